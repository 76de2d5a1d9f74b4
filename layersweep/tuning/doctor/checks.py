"""What the facts of a cluster's nodes mean: findings, each with what to do. Functions of values alone."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from layersweep.tuning.doctor.findings import (
    AGAIN,
    Finding,
    Level,
    Node,
    few,
    gib,
    head_of,
    install_same,
    speaking,
    where_all,
)
from layersweep.tuning.runtime.machine import LEAST_BYTES
from layersweep.words import count

_TOKEN_MODE: Final = 0o600

_FEWEST_FREE_BYTES: Final = 1 << 30

_FEW_FREE_BYTES: Final = 5 << 30

_CLOCK_SECONDS: Final = 1.0

_Value = TypeVar("_Value")


def versions(nodes: Sequence[Node]) -> list[Finding]:
    """Whether Python and packages are the same as on the head."""
    return _compared(
        nodes,
        about="versions",
        value=lambda node: node.facts["versions"],
        differs=_differing_versions,
        ok=lambda value: ", ".join(f"{name} {version or 'missing'}" for name, version in value.items()),
    )


def _differing_versions(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[str, str]:
    names = [name for name in here if there.get(name) != here[name]]
    said = ", ".join(
        f"{name} {there.get(name) or 'missing'}, the head's is {here[name] or 'missing'}" for name in names
    )
    return said, install_same("python" if "python" in names else names[0])


def code(nodes: Sequence[Node], *, laptop: str = "") -> list[Finding]:
    """Whether the project's Python files are those of the head, and the head's those of the laptop of this digest."""
    found = _compared(
        nodes,
        about="code",
        value=lambda node: node.facts["code"],
        differs=_differing_files,
        ok=lambda value: f"{count(len(value), 'Python file')}, digest {digest(value)}",
    )
    here = head_of(nodes)
    if here is not None and not here.facts["code"]:
        do = "`uv sync --group cluster` in the project's folder"
        return [Finding(level="failure", about="code", where=here.name, said="the project is not installed", do=do)]
    if laptop and here is not None and laptop != (there := digest(here.facts["code"])):
        do = "`ray up -y --no-restart cluster.yaml` copies it; delete there what was deleted on the laptop"
        said = f"not the laptop's: its digest is {there}, the laptop's {laptop}; the head's runs"
        found.append(Finding(level="warning", about="code", where=here.name, said=said, do=do))
    return found


def digest(files: Mapping[str, str]) -> str:
    """One for all files."""
    lines = "".join(f"{path} {content}\n" for path, content in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def _differing_files(here: Mapping[str, str], there: Mapping[str, str]) -> tuple[str, str]:
    if not there:
        return "the project is not installed there", AGAIN
    changed = sorted(path for path in here.keys() & there.keys() if here[path] != there[path])
    lacking, extra = sorted(here.keys() - there.keys()), sorted(there.keys() - here.keys())
    kinds = (("differs from the head's", changed), ("missing", lacking), ("not on the head", extra))
    said = "; ".join(f"{kind}: {few(paths)}" for kind, paths in kinds if paths)
    return said, f"delete there what is not on the head; else {AGAIN}" if extra else AGAIN


def _compared(
    nodes: Sequence[Node],
    *,
    about: str,
    value: Callable[[Node], _Value],
    differs: Callable[[_Value, _Value], tuple[str, str]],
    ok: Callable[[_Value], str],
) -> list[Finding]:
    """A failure for each node that has not what the head has; else one line for all."""
    here = head_of(nodes)
    if here is None:
        return []
    found = []
    for node in speaking(nodes):
        if value(node) != value(here):
            said, do = differs(value(here), value(node))
            found.append(Finding(level="failure", about=about, where=node.name, said=said, do=do))
    if not found:
        found.append(Finding(level="ok", about=about, where=where_all(nodes), said=ok(value(here))))
    return found


def processors(nodes: Sequence[Node]) -> list[Finding]:
    """Which models there are: they round differently."""
    models = Counter(node.facts["processor"] for node in speaking(nodes))
    said = ", ".join(f"{model} ({n})" if len(models) > 1 else model for model, n in models.most_common())
    if len(models) > 1:
        do = "nothing, if the last digits of a result may depend on where its trial ran"
        return [Finding(level="warning", about="processor", where="cluster", said=said, do=do)]
    return [Finding(level="ok", about="processor", where=where_all(nodes), said=said)] if models else []


def clocks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether clocks agree: records go by the driver's, logs by their machine's own."""
    known = [(node, node.clock) for node in nodes if node.clock is not None]
    found = [
        Finding(
            level="warning",
            about="clock",
            where=node.name,
            said=f"{clock.offset:+.1f} s against the head's, to within {clock.error:.3f} s",
            do="install chrony or systemd-timesyncd there",
        )
        for node, clock in known
        if abs(clock.offset) - clock.error > _CLOCK_SECONDS
    ]
    if known and not found:
        most = max(abs(clock.offset) + clock.error for _, clock in known)
        found.append(
            Finding(level="ok", about="clock", where=where_all(nodes), said=f"within {most:.3f} s of the head's")
        )
    return found


def disks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each node's cache can be written, and has room."""
    found, free = [], []
    for node in speaking(nodes):
        cache = node.facts["cache"]
        folder, where = cache["folder"], node.name
        free.append(cache["free_bytes"])
        if cache["problem"]:
            do = "give LAYERSWEEP_CACHE a folder that can be written, on every machine, before `ray start`"
            said = f"the cache {folder} cannot be written: {cache['problem']}"
            found.append(Finding(level="failure", about="disk", where=where, said=said, do=do))
        elif cache["free_bytes"] < _FEW_FREE_BYTES:
            level: Level = "failure" if cache["free_bytes"] < _FEWEST_FREE_BYTES else "warning"
            said = f"{gib(cache['free_bytes'])} free for the cache {folder}"
            found.append(
                Finding(level=level, about="disk", where=where, said=said, do="make room, or set LAYERSWEEP_CACHE")
            )
    if free and not found:
        found.append(Finding(level="ok", about="disk", where=where_all(nodes), said=f"{gib(min(free))} free, or more"))
    return found


def memory(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each slot has what a small training needs."""
    found = []
    for node in speaking(nodes):
        share = node.facts["memory_bytes"] // max(1, node.slots)
        if share < LEAST_BYTES:
            said = f"{gib(share)} for each of {count(node.slots, 'slot')}; a small CNN needs {gib(LEAST_BYTES)}"
            do = "`--num-cpus` in its `ray start`: fewer slots"
            found.append(Finding(level="warning", about="memory", where=node.name, said=said, do=do))
    shares = [node.facts["memory_bytes"] // max(1, node.slots) for node in speaking(nodes)]
    if shares and not found:
        said = f"{gib(min(shares))} for each slot, or more"
        found.append(Finding(level="ok", about="memory", where=where_all(nodes), said=said))
    return found


def results(nodes: Sequence[Node], folder: str, problem: str) -> list[Finding]:
    """Whether the results' folder can be written on the head, and is the same on the others, which checkpoint to it."""
    if problem:
        do = "give --results another folder, or make room"
        return [Finding(level="failure", about="results", where="head", said=f"{folder}: {problem}", do=do)]
    others = [node for node in speaking(nodes) if not node.head]
    found = [
        Finding(
            level="failure",
            about="results",
            where=node.name,
            said=f"{folder} is shared, and cannot be written there: {node.facts['results']['problem']}",
            do="mount it with write access for the user that runs Ray",
        )
        for node in others
        if node.facts["results"]["problem"]
    ]
    apart = [node.address for node in others if not node.facts["results"]["shared"]]
    if apart:
        said = f"{folder} of the head is not seen by {few(apart)}: checkpoints, weights and logs go there through Ray"
        found.append(Finding(level="ok", about="results", where="cluster", said=said))
    if not found:
        shared = ", and shared" if others else ""
        found.append(
            Finding(level="ok", about="results", where=where_all(nodes), said=f"{folder} can be written{shared}")
        )
    return found


def data(nodes: Sequence[Node], name: str) -> list[Finding]:
    """Whether each node has the data set in its cache now."""
    found = []
    for node in speaking(nodes):
        facts = node.facts["data"]
        if facts["problem"]:
            do = "put its files there, or give --data a folder that every node has"
            found.append(Finding(level="failure", about="data", where=node.name, said=facts["problem"], do=do))
        else:
            how = f"made in {facts['seconds']:.1f} s: {'; '.join(facts['said'])}" if facts["said"] else "was there"
            found.append(Finding(level="ok", about="data", where=node.name, said=f"{name} is in the cache; {how}"))
    return found


def token(nodes: Sequence[Node], *, mode: str, exists: bool, answers_strangers: bool) -> list[Finding]:
    """Whether nobody without the token gets in.

    Args:
        nodes: those that have joined.
        mode: RAY_AUTH_MODE as this process was given it; empty if it was not.
        exists: whether there is a token on the head.
        answers_strangers: whether Ray has answered a request without a token.
    """
    found = []

    def failure(said: str, do: str, where: str = "head") -> None:
        found.append(Finding(level="failure", about="token", where=where, said=said, do=do))

    if mode not in {"", "token"}:
        failure(f"RAY_AUTH_MODE={mode}: Ray asks for no token", "unset it, or set it to token, before `ray start`")
    if not exists:
        failure("no token in ~/.ray/auth_token", "`ray up -y cluster.yaml` makes it and copies it to each node")
    if answers_strangers:
        said = "Ray answers without a token: whoever reaches its port runs code on every node"
        failure(
            said, "`ray stop`, then RAY_AUTH_MODE=token before each `ray start`: `ray up -y cluster.yaml`", "cluster"
        )
    for node in speaking(nodes):
        if node.facts["auth_mode"] != "token":
            failure(
                f"started with RAY_AUTH_MODE={node.facts['auth_mode'] or '(not set)'}",
                "`ray stop` there; RAY_AUTH_MODE=token before `ray start`",
                node.name,
            )
        permissions = node.facts.get("token_mode", _TOKEN_MODE)
        if permissions is not None and permissions & 0o077:
            failure(f"others can read ~/.ray/auth_token (mode {permissions:o})", "chmod 600 it", node.name)
    if not found:
        found.append(
            Finding(level="ok", about="token", where=where_all(nodes), said="a stranger's request was refused")
        )
    return found


def ports(address: str, answered: Sequence[str]) -> list[Finding]:
    """Whether the dashboard is on loopback alone; `answered` names what answered at the head's address."""
    if answered:
        do = "--dashboard-host=127.0.0.1 in `ray start --head`; reach it with `ray dashboard cluster.yaml`"
        said = f"open to the network at {address}: {', '.join(answered)}"
        return [Finding(level="warning", about="ports", where="head", said=said, do=do)]
    return [Finding(level="ok", about="ports", where="head", said="the dashboard is on loopback")]
