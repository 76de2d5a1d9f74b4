"""A table of targets, one of which has a fault: by it a test sees that the runner reports faults."""

from tests.fuzz.targets import CORPUS, Target


def fault(content: bytes) -> None:
    """Fails on every input that begins with an odd byte."""
    if content[:1] and content[0] % 2:
        raise ZeroDivisionError("the fault")


def refusal(content: bytes) -> None:
    """Refuses everything, with an error that it may raise."""
    raise ValueError(len(content))


TARGETS = {"fault": Target(fault, (ValueError,)), "refusal": Target(refusal, (ValueError,))}
__all__ = ["CORPUS", "TARGETS"]
