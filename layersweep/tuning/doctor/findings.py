"""Findings of the doctor, and the nodes that they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["failure", "warning", "ok"]

LEVELS: Final[tuple[Level, ...]] = ("failure", "warning", "ok")
"""The worst first."""

AGAIN: Final = "run `ray up -y cluster.yaml` again: it copies the code and installs what uv.lock says"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found, and what to do about it.

    Attributes:
        level: failure, warning or ok.
        about: the subject, in a word or two.
        where: the machine, or the cluster.
        said: what was found.
        do: what to do; empty where nothing is.
    """

    level: Level
    about: str
    where: str
    said: str
    do: str = ""


def failure(about: str, where: str, said: str, do: str) -> Finding:
    """What keeps a sweep from running, or its results from being the same everywhere."""
    return Finding(level="failure", about=about, where=where, said=said, do=do)


def warning(about: str, where: str, said: str, do: str) -> Finding:
    """What a sweep can live with."""
    return Finding(level="warning", about=about, where=where, said=said, do=do)


def ok(about: str, where: str, said: str) -> Finding:
    """What is as it should be."""
    return Finding(level="ok", about=about, where=where, said=said)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A node's clock against the head's, in seconds: it is ahead by `offset`, to within `error`."""

    offset: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that has joined.

    Attributes:
        address: the one by which it joined.
        head: whether it is the head.
        slots: its CPUs, as Ray counts them.
        facts: what `node_facts.brief` or `full` returned there.
        silent: why it returned nothing; empty if it did.
        clock: None where it was not looked at.
    """

    address: str
    head: bool = False
    slots: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    silent: str = ""
    clock: Clock | None = None

    @property
    def name(self) -> str:
        """For people."""
        host = self.facts.get("host")
        return f"{self.address} ({host})" if host and host != self.address else self.address


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by level; otherwise as they come."""
    return sorted(findings, key=lambda finding: LEVELS.index(finding.level))


def head_of(nodes: Sequence[Node]) -> Node | None:
    """The node that others are compared with."""
    known = speaking(nodes)
    return next((node for node in known if node.head), known[0] if known else None)


def speaking(nodes: Sequence[Node]) -> list[Node]:
    """Those that gave facts."""
    return [node for node in nodes if node.facts]


def where_all(nodes: Sequence[Node]) -> str:
    """How all of them are called in a finding."""
    n = len(speaking(nodes))
    return f"all {n} nodes" if n > 1 else next((node.name for node in nodes), "cluster")


def install_same(name: str) -> str:
    """What to do where a version differs."""
    return "install the same Python, to the patch, on all machines" if name == "python" else AGAIN
