"""Findings of the doctor, and the nodes that they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["failure", "warning", "ok"]

LEVELS: Final[tuple[Level, ...]] = ("failure", "warning", "ok")
"""The worst first."""

RUN_RAY_UP: Final = "run `ray up -y cluster.yaml` again: it copies the code and installs the versions of uv.lock"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One result of the doctor, and what to do about it.

    Attributes:
        level: failure, warning or ok.
        about: the subject, in a word or two.
        where: the machine, or the cluster.
        message: the result.
        advice: what to do; empty if there is nothing to do.
    """

    level: Level
    about: str
    where: str
    message: str
    advice: str = ""


def failure(about: str, where: str, message: str, advice: str) -> Finding:
    """A problem that keeps a sweep from running, or its results from being the same everywhere."""
    return Finding(level="failure", about=about, where=where, message=message, advice=advice)


def warning(about: str, where: str, message: str, advice: str) -> Finding:
    """A problem in spite of which a sweep can run."""
    return Finding(level="warning", about=about, where=where, message=message, advice=advice)


def ok(about: str, where: str, message: str) -> Finding:
    """A check that has passed."""
    return Finding(level="ok", about=about, where=where, message=message)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A node's clock compared with the head's, in seconds: it is ahead by `offset`, ± `error`."""

    offset: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that has joined.

    Attributes:
        address: the address by which it joined.
        head: whether it is the head.
        slots: its CPUs, as Ray counts them.
        facts: what `node_facts.basic_facts` or `all_facts` returned there.
        error: why it returned no facts; empty if it did.
        clock: its clock; None where it was not measured.
    """

    address: str
    head: bool = False
    slots: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    clock: Clock | None = None

    @property
    def name(self) -> str:
        """The address with the host's name, for people: `10.0.0.1 (h1)`."""
        host = self.facts.get("host")
        return f"{self.address} ({host})" if host and host != self.address else self.address


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings sorted by level; those of one level keep their order."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def head_of(nodes: Sequence[Node]) -> Node | None:
    """The node that others are compared with: the head if it gave facts, else the first that did."""
    nodes_with_facts = with_facts(nodes)
    return next((node for node in nodes_with_facts if node.head), nodes_with_facts[0] if nodes_with_facts else None)


def with_facts(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that gave facts."""
    return [node for node in nodes if node.facts]


def all_nodes(nodes: Sequence[Node]) -> str:
    """The name of all nodes together in a finding: `all 3 nodes`."""
    n = len(with_facts(nodes))
    return f"all {n} nodes" if n > 1 else next((node.name for node in nodes), "cluster")


def version_advice(name: str) -> str:
    """What to do where a version of Python or of a package differs."""
    if name == "python":
        return "install the same Python on all machines, with the same patch number (3.11.7, for example)"
    return RUN_RAY_UP
