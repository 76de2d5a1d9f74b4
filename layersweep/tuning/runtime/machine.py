"""A machine's memory and cores, and how many slots they allow."""

from collections.abc import Callable
from typing import Final

from trainables.hardware import cores, memory_bytes

USABLE: Final = 0.9
"""The share of the memory for slots; the rest is for the driver, Ray and the system."""

LEAST_BYTES: Final = 3 << 29
"""1.5 GiB: the memory for the training of a small CNN, with TensorFlow."""


def memory_share(slots: int, *, total_bytes: Callable[[], int] = memory_bytes) -> int:
    """The memory that each of these slots on this machine may use."""
    return int(USABLE * total_bytes() / max(1, slots))


def default_slots(*, total_bytes: Callable[[], int] = memory_bytes, cores: Callable[[], int] = cores) -> int:
    """One slot for each core, or fewer where the memory is too small for so many trainings."""
    return max(1, min(cores(), int(USABLE * total_bytes() / LEAST_BYTES)))
