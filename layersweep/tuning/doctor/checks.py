"""Checks of a cluster's nodes: findings from the nodes' facts, each with advice. Functions of values only."""

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from layersweep.formatting import GIB, count, first_names, gib
from layersweep.tuning.doctor.findings import (
    RUN_RAY_UP,
    Finding,
    Node,
    all_nodes,
    failure,
    head_of,
    ok,
    version_advice,
    warning,
    with_facts,
)
from layersweep.tuning.runtime.machine import LEAST_BYTES

_FEWEST_FREE_BYTES: Final = GIB

_FEW_FREE_BYTES: Final = 5 * GIB

_CLOCK_SECONDS: Final = 1.0

_Value = TypeVar("_Value")


def _each(
    about: str, nodes: Sequence[Node], problem: Callable[[Node], Finding | None], summary: Callable[[], str]
) -> list[Finding]:
    """A finding for each node that has a problem; without any, one `ok` for all nodes that gave facts."""
    nodes_with_facts = with_facts(nodes)
    findings = [finding for node in nodes_with_facts if (finding := problem(node)) is not None]
    return findings or ([ok(about, all_nodes(nodes), summary())] if nodes_with_facts else [])


def versions(nodes: Sequence[Node]) -> list[Finding]:
    """Whether Python and packages are the same as on the head."""
    return _same_as_head(
        nodes,
        about="versions",
        value=lambda node: node.facts["versions"],
        difference=_version_difference,
        summary=lambda value: ", ".join(f"{name} {version or 'missing'}" for name, version in value.items()),
    )


def _version_difference(expected: Mapping[str, str], actual: Mapping[str, str]) -> tuple[str, str]:
    names = [name for name in expected if actual.get(name) != expected[name]]
    message = ", ".join(
        f"{name} {actual.get(name) or 'missing'} (head: {expected[name] or 'missing'})" for name in names
    )
    return message, version_advice("python" if "python" in names else names[0])


def code(nodes: Sequence[Node], *, laptop_digest: str = "") -> list[Finding]:
    """Whether the project's Python files are the same as on the head, and the head's the same as on the laptop."""
    findings = _same_as_head(
        nodes,
        about="code",
        value=lambda node: node.facts["code"],
        difference=_file_difference,
        summary=lambda value: f"{count(len(value), 'Python file')}, digest {digest(value)}",
    )
    head = head_of(nodes)
    if head is not None and not head.facts["code"]:
        advice = "run `uv sync --group cluster` in the project's folder"
        return [failure("code", head.name, "the project is not installed", advice)]
    if laptop_digest and head is not None and laptop_digest != (head_digest := digest(head.facts["code"])):
        advice = (
            "run `ray up -y --no-restart cluster.yaml` to copy the laptop's code; delete on the head what was deleted "
            "on the laptop"
        )
        message = f"the digest is {head_digest}, the laptop's is {laptop_digest}; a sweep runs the head's code"
        findings.append(warning("code", head.name, message, advice))
    return findings


def digest(files: Mapping[str, str]) -> str:
    """One digest of all files."""
    lines = "".join(f"{path} {content}\n" for path, content in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


def _file_difference(expected: Mapping[str, str], actual: Mapping[str, str]) -> tuple[str, str]:
    if not actual:
        return "the project is not installed there", RUN_RAY_UP
    changed = sorted(path for path in expected.keys() & actual.keys() if expected[path] != actual[path])
    missing, extra = sorted(expected.keys() - actual.keys()), sorted(actual.keys() - expected.keys())
    kinds = (("differs from the head's", changed), ("missing", missing), ("not on the head", extra))
    message = "; ".join(f"{kind}: {first_names(paths)}" for kind, paths in kinds if paths)
    return message, f"delete there what is not on the head; for the rest, {RUN_RAY_UP}" if extra else RUN_RAY_UP


def _same_as_head(
    nodes: Sequence[Node],
    *,
    about: str,
    value: Callable[[Node], _Value],
    difference: Callable[[_Value, _Value], tuple[str, str]],
    summary: Callable[[_Value], str],
) -> list[Finding]:
    """A failure for each node whose value differs from the head's; without any, one `ok` for all."""
    head = head_of(nodes)
    if head is None:
        return []
    expected = value(head)

    def problem(node: Node) -> Finding | None:
        actual = value(node)
        return None if actual == expected else failure(about, node.name, *difference(expected, actual))

    return _each(about, nodes, problem, lambda: summary(expected))


def processors(nodes: Sequence[Node]) -> list[Finding]:
    """Whether all processors are of one model: different models round differently."""
    models = Counter(node.facts["processor"] for node in with_facts(nodes))
    if len(models) > 1:
        message = ", ".join(f"{model} ({n})" for model, n in models.most_common())
        advice = "do nothing if the last digits of a result may depend on the machine"
        return [warning("processor", "cluster", message, advice)]
    return [ok("processor", all_nodes(nodes), model) for model in models]


def clocks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether clocks agree: records have the driver's times, logs those of their machine."""
    node_clocks = [(node.name, node.clock) for node in nodes if node.clock is not None]
    findings = [
        warning(
            "clock",
            name,
            f"{clock.offset:+.1f} s compared with the head's, ± {clock.error:.3f} s",
            "install chrony or systemd-timesyncd there",
        )
        for name, clock in node_clocks
        if abs(clock.offset) - clock.error > _CLOCK_SECONDS
    ]
    if node_clocks and not findings:
        most = max(abs(clock.offset) + clock.error for _, clock in node_clocks)
        findings.append(ok("clock", all_nodes(nodes), f"within {most:.3f} s of the head's"))
    return findings


def disks(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each node's cache can be written, and has room."""

    def problem(node: Node) -> Finding | None:
        cache = node.facts["cache"]
        folder, free = cache["folder"], cache["free_bytes"]
        if cache["problem"]:
            advice = "set LAYERSWEEP_CACHE to a folder that can be written, on every machine, before `ray start`"
            return failure("disk", node.name, f"the cache {folder} cannot be written: {cache['problem']}", advice)
        if free >= _FEW_FREE_BYTES:
            return None
        finding = failure if free < _FEWEST_FREE_BYTES else warning
        return finding(
            "disk", node.name, f"{gib(free)} free for the cache {folder}", "make room, or set LAYERSWEEP_CACHE"
        )

    least = min((node.facts["cache"]["free_bytes"] for node in with_facts(nodes)), default=0)
    return _each("disk", nodes, problem, lambda: f"at least {gib(least)} free")


def memory(nodes: Sequence[Node]) -> list[Finding]:
    """Whether each slot has the memory that a small training needs."""

    def share(node: Node) -> int:
        return int(node.facts["memory_bytes"]) // max(1, node.slots)

    def problem(node: Node) -> Finding | None:
        if share(node) >= LEAST_BYTES:
            return None
        message = f"{gib(share(node))} for each of {count(node.slots, 'slot')}; a small CNN needs {gib(LEAST_BYTES)}"
        return warning("memory", node.name, message, "give its `ray start` a smaller `--num-cpus`: fewer slots")

    return _each("memory", nodes, problem, lambda: f"at least {gib(min(map(share, with_facts(nodes))))} for each slot")


def results(nodes: Sequence[Node], folder: str, problem: str) -> list[Finding]:
    """Whether the results folder can be written on the head, and on nodes that share it, which write checkpoints."""
    if problem:
        return [failure("results", "head", f"{folder}: {problem}", "give --results another folder, or make room")]
    others = [node for node in with_facts(nodes) if not node.head]
    findings = [
        failure(
            "results",
            node.name,
            f"{folder} is shared, but cannot be written there: {node.facts['results']['problem']}",
            "mount it with write access for the user that runs Ray",
        )
        for node in others
        if node.facts["results"]["problem"]
    ]
    without_folder = [node.address for node in others if not node.facts["results"]["shared"]]
    if without_folder:
        message = (
            f"the head's {folder} is not shared with {first_names(without_folder)}: checkpoints, weights and logs are "
            "sent to it through Ray"
        )
        findings.append(ok("results", "cluster", message))
    if not findings:
        sharing = ", and is shared" if others else ""
        findings.append(ok("results", all_nodes(nodes), f"{folder} can be written{sharing}"))
    return findings


def data(nodes: Sequence[Node], name: str) -> list[Finding]:
    """Whether each node has the data set in its cache now."""

    def finding(node: Node) -> Finding:
        facts = node.facts["data"]
        if facts["problem"]:
            advice = "put its files there, or give --data a folder that every node has"
            return failure("data", node.name, facts["problem"], advice)
        if not facts["messages"]:
            return ok("data", node.name, f"{name} was in the cache already")
        steps = "; ".join(facts["messages"])
        return ok("data", node.name, f"{name} is in the cache now, after {facts['seconds']:.1f} s: {steps}")

    return [finding(node) for node in with_facts(nodes)]


def token(nodes: Sequence[Node], *, mode: str, exists: bool, answers_without_token: bool) -> list[Finding]:
    """Whether the cluster refuses everybody who has no token.

    Args:
        nodes: those that have joined.
        mode: RAY_AUTH_MODE in the environment of this process; empty if it was not set.
        exists: whether there is a token on the head.
        answers_without_token: whether Ray has answered a request without a token.
    """
    findings = []
    if mode not in {"", "token"}:
        message = f"RAY_AUTH_MODE={mode}: Ray asks for no token"
        findings.append(failure("token", "head", message, "unset it, or set it to token, before `ray start`"))
    if not exists:
        advice = "run `ray up -y cluster.yaml`: it makes a token and copies it to each node"
        findings.append(failure("token", "head", "no token in ~/.ray/auth_token", advice))
    if answers_without_token:
        message = "Ray answers without a token: anybody who reaches its port can run code on every node"
        advice = "run `ray stop`, then `ray up -y cluster.yaml`, which sets RAY_AUTH_MODE=token for each `ray start`"
        findings.append(failure("token", "cluster", message, advice))
    for node in with_facts(nodes):
        if node.facts["auth_mode"] != "token":
            message = f"started with RAY_AUTH_MODE={node.facts['auth_mode'] or '(not set)'}"
            advice = "run `ray stop` there, and set RAY_AUTH_MODE=token before `ray start`"
            findings.append(failure("token", node.name, message, advice))
    return findings or [ok("token", all_nodes(nodes), "a request without a token was refused")]


def other_users(nodes: Sequence[Node]) -> list[Finding]:
    """Whether other users of the machines can read the token, enter Ray's folder, or write the results."""

    def problem(node: Node) -> Finding | None:
        facts = node.facts
        if (mode := facts.get("token_mode") or 0) & 0o077:
            message = f"other users could read ~/.ray/auth_token (mode {mode:o}); now they cannot (mode 600)"
            advice = "if the machine has other users, delete the token on the head, and run `ray up` for a new one"
            return warning("other users", node.name, message, advice)
        if (ray_folder := facts.get("ray_folder")) and ray_folder["open"]:
            message = f"other users can enter {ray_folder['folder']}, where Ray's sockets are"
            advice = "run `ray stop` there, and start Ray with RAY_TMPDIR and --temp-dir, as cluster.yaml does"
            return failure("other users", node.name, message, advice)
        if folders := [facts[name]["folder"] for name in ("results", "cache") if facts[name].get("open")]:
            message, advice = (
                f"they can change {' and '.join(folders)}",
                f"run `{shlex.join(['chmod', 'o-w', *folders])}`",
            )
            return warning("other users", node.name, message, advice)
        return None

    closed = "the token, Ray's sockets, the results and the cache are closed to them"
    return _each("other users", nodes, problem, lambda: closed)


def ports(address: str, open_ports: Sequence[str]) -> list[Finding]:
    """Whether the dashboard is on loopback only; `open_ports` names what answered at the head's address."""
    if open_ports:
        advice = "use --dashboard-host=127.0.0.1 in `ray start --head`; reach it with `ray dashboard cluster.yaml`"
        return [warning("ports", "head", f"open to the network at {address}: {', '.join(open_ports)}", advice)]
    return [ok("ports", "head", "the dashboard is on loopback")]
