"""What the facts of a cluster's nodes mean: findings, each with what to do. Functions of values alone."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from layersweep.tuning.doctor.findings import (
    AGAIN,
    Finding,
    Node,
    failure,
    head_of,
    install_same,
    ok,
    speaking,
    warning,
    where_all,
)
from layersweep.tuning.runtime.machine import LEAST_BYTES
from layersweep.words import GIB, count, few, gib

_FEWEST_FREE_BYTES: Final = GIB

_FEW_FREE_BYTES: Final = 5 * GIB

_CLOCK_SECONDS: Final = 1.0

_Value = TypeVar("_Value")


def _each(
    about: str, nodes: Sequence[Node], problem: Callable[[Node], Finding | None], well: Callable[[], str]
) -> list[Finding]:
    """What is wrong with each node that gave facts; else one line for all of them, if there are any."""
    known = speaking(nodes)
    found = [finding for node in known if (finding := problem(node)) is not None]
    return found or ([ok(about, where_all(nodes), well())] if known else [])


def versions(nodes: Sequence[Node]) -> list[Finding]:
    """Whether Python and packages are the same as on the head."""
    return _compared(
        nodes,
        about="versions",
        value=lambda node: node.facts["versions"],
        differs=_differing_versions,
        well=lambda value: ", ".join(f"{name} {version or 'missing'}" for name, version in value.items()),
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
        well=lambda value: f"{count(len(value), 'Python file')}, digest {digest(value)}",
    )
    here = head_of(nodes)
    if here is not None and not here.facts["code"]:
        do = "`uv sync --group cluster` in the project's folder"
        return [failure("code", here.name, "the project is not installed", do)]
    if laptop and here is not None and laptop != (there := digest(here.facts["code"])):
        do = "`ray up -y --no-restart cluster.yaml` copies it; delete there what was deleted on the laptop"
        said = f"not the laptop's: its digest is {there}, the laptop's {laptop}; the head's runs"
        found.append(warning("code", here.name, said, do))
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
    well: Callable[[_Value], str],
) -> list[Finding]:
    """A failure for each node that has not what the head has; else one line for all."""
    here = head_of(nodes)
    if here is None:
        return []
    expected = value(here)

    def problem(node: Node) -> Finding | None:
        there = value(node)
        return None if there == expected else failure(about, node.name, *differs(expected, there))

    return _each(about, nodes, problem, lambda: well(expected))


def processors(nodes: Sequence[Node]) -> list[Finding]:
    """Which models there are: they round differently."""
    models = Counter(node.facts["processor"] for node in speaking(nodes))
    if len(models) > 1:
        said = ", ".join(f"{model} ({n})" for model, n in models.most_common())
        do = "nothing, if the last digits of a result may depend on where its trial ran"
        return [warning("processor", "cluster", said, do)]
    return [ok("processor", where_all(nodes), model) for model in models]


def clocks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether clocks agree: records go by the driver's, logs by their machine's own."""
    known = [(node, node.clock) for node in nodes if node.clock is not None]
    found = [
        warning(
            "clock",
            node.name,
            f"{clock.offset:+.1f} s against the head's, to within {clock.error:.3f} s",
            "install chrony or systemd-timesyncd there",
        )
        for node, clock in known
        if abs(clock.offset) - clock.error > _CLOCK_SECONDS
    ]
    if known and not found:
        most = max(abs(clock.offset) + clock.error for _, clock in known)
        found.append(ok("clock", where_all(nodes), f"within {most:.3f} s of the head's"))
    return found


def disks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each node's cache can be written, and has room."""

    def problem(node: Node) -> Finding | None:
        cache = node.facts["cache"]
        folder, free = cache["folder"], cache["free_bytes"]
        if cache["problem"]:
            do = "give LAYERSWEEP_CACHE a folder that can be written, on every machine, before `ray start`"
            return failure("disk", node.name, f"the cache {folder} cannot be written: {cache['problem']}", do)
        if free >= _FEW_FREE_BYTES:
            return None
        finding = failure if free < _FEWEST_FREE_BYTES else warning
        return finding(
            "disk", node.name, f"{gib(free)} free for the cache {folder}", "make room, or set LAYERSWEEP_CACHE"
        )

    least = min((node.facts["cache"]["free_bytes"] for node in speaking(nodes)), default=0)
    return _each("disk", nodes, problem, lambda: f"{gib(least)} free, or more")


def memory(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each slot has what a small training needs."""

    def share(node: Node) -> int:
        return int(node.facts["memory_bytes"]) // max(1, node.slots)

    def problem(node: Node) -> Finding | None:
        if share(node) >= LEAST_BYTES:
            return None
        said = f"{gib(share(node))} for each of {count(node.slots, 'slot')}; a small CNN needs {gib(LEAST_BYTES)}"
        return warning("memory", node.name, said, "`--num-cpus` in its `ray start`: fewer slots")

    return _each("memory", nodes, problem, lambda: f"{gib(min(map(share, speaking(nodes))))} for each slot, or more")


def results(nodes: Sequence[Node], folder: str, problem: str) -> list[Finding]:
    """Whether the results' folder can be written on the head, and is the same on the others, which checkpoint to it."""
    if problem:
        return [failure("results", "head", f"{folder}: {problem}", "give --results another folder, or make room")]
    others = [node for node in speaking(nodes) if not node.head]
    found = [
        failure(
            "results",
            node.name,
            f"{folder} is shared, and cannot be written there: {node.facts['results']['problem']}",
            "mount it with write access for the user that runs Ray",
        )
        for node in others
        if node.facts["results"]["problem"]
    ]
    apart = [node.address for node in others if not node.facts["results"]["shared"]]
    if apart:
        said = f"{folder} of the head is not seen by {few(apart)}: checkpoints, weights and logs go there through Ray"
        found.append(ok("results", "cluster", said))
    if not found:
        found.append(ok("results", where_all(nodes), f"{folder} can be written{', and shared' if others else ''}"))
    return found


def data(nodes: Sequence[Node], name: str) -> list[Finding]:
    """Whether each node has the data set in its cache now."""

    def finding(node: Node) -> Finding:
        facts = node.facts["data"]
        if facts["problem"]:
            do = "put its files there, or give --data a folder that every node has"
            return failure("data", node.name, facts["problem"], do)
        how = f"made in {facts['seconds']:.1f} s: {'; '.join(facts['said'])}" if facts["said"] else "was there"
        return ok("data", node.name, f"{name} is in the cache; {how}")

    return [finding(node) for node in speaking(nodes)]


def token(nodes: Sequence[Node], *, mode: str, exists: bool, answers_strangers: bool) -> list[Finding]:
    """Whether nobody without the token gets in.

    Args:
        nodes: those that have joined.
        mode: RAY_AUTH_MODE as this process was given it; empty if it was not.
        exists: whether there is a token on the head.
        answers_strangers: whether Ray has answered a request without a token.
    """
    found = []
    if mode not in {"", "token"}:
        said = f"RAY_AUTH_MODE={mode}: Ray asks for no token"
        found.append(failure("token", "head", said, "unset it, or set it to token, before `ray start`"))
    if not exists:
        do = "`ray up -y cluster.yaml` makes it and copies it to each node"
        found.append(failure("token", "head", "no token in ~/.ray/auth_token", do))
    if answers_strangers:
        said = "Ray answers without a token: whoever reaches its port runs code on every node"
        do = "`ray stop`, then RAY_AUTH_MODE=token before each `ray start`: `ray up -y cluster.yaml`"
        found.append(failure("token", "cluster", said, do))
    for node in speaking(nodes):
        if node.facts["auth_mode"] != "token":
            said = f"started with RAY_AUTH_MODE={node.facts['auth_mode'] or '(not set)'}"
            found.append(failure("token", node.name, said, "`ray stop` there; RAY_AUTH_MODE=token before `ray start`"))
        if (permissions := node.facts.get("token_mode") or 0) & 0o077:
            said = f"others can read ~/.ray/auth_token (mode {permissions:o})"
            found.append(failure("token", node.name, said, "chmod 600 it"))
    return found or [ok("token", where_all(nodes), "a stranger's request was refused")]


def ports(address: str, answered: Sequence[str]) -> list[Finding]:
    """Whether the dashboard is on loopback alone; `answered` names what answered at the head's address."""
    if answered:
        do = "--dashboard-host=127.0.0.1 in `ray start --head`; reach it with `ray dashboard cluster.yaml`"
        return [warning("ports", "head", f"open to the network at {address}: {', '.join(answered)}", do)]
    return [ok("ports", "head", "the dashboard is on loopback")]
