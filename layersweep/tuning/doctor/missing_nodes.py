"""What it means that a machine has not joined its cluster, or that the head is not reached; from values alone."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from layersweep.tuning.common.cluster_file import NOT_REACHED
from layersweep.tuning.doctor.findings import AGAIN, Finding, Level, Node, failure, install_same, ok, warning
from layersweep.words import count, few, last_line


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An ssh from the head to a machine that has not joined.

    Attributes:
        target: user@address.
        exit_code: ssh's, or that of the command there.
        error: what ssh complained of.
        found: what the machine said, as `look_there` asks it.
        log: the last line of the head's log about the machine.
    """

    target: str
    exit_code: int
    error: str = ""
    found: Mapping[str, str] = field(default_factory=dict)
    log: str = ""


def joined(
    configured: Sequence[str], nodes: Sequence[Node], attempts: Mapping[str, Attempt], *, missing: Level = "failure"
) -> list[Finding]:
    """Whether each configured machine is a node; an address without an attempt is only named."""
    there = {node.address for node in nodes}
    found = [_missing(address, attempts.get(address), missing) for address in configured if address not in there]
    if not found:
        head = f", the head {next((n.address for n in nodes if n.head), 'not among them')}" if nodes else ""
        said = f"{count(len(nodes), 'node')} with {count(sum(n.slots for n in nodes), 'slot')}{head}"
        found.append(ok("nodes", "cluster", said))
    if configured and (others := [n.name for n in nodes if n.address not in configured]):
        said = f"joined, and not in the cluster's file: {few(others)}"
        found.append(warning("nodes", "cluster", said, "`ray stop` there, if it is not yours"))
    do = "look at /tmp/ray/session_latest/logs/raylet.err there, or `ray stop` there: the head starts it again"
    silent = [n for n in nodes if n.silent]
    return [*found, *(failure("nodes", n.name, f"joined, and ran no task: {n.silent}", do) for n in silent)]


def _missing(address: str, attempt: Attempt | None, level: Level) -> Finding:
    said, do = why_missing(attempt) if attempt else ("not joined", "layersweep doctor says why")
    return Finding(level=level, about="nodes", where=address, said=said, do=do)


_NO_REASON: Final = "no reason given"

_SSH_SAYS: Final = (
    (
        r"Permission denied",
        "key refused",
        "add what `ssh-keygen -y -f ~/ray_bootstrap_key.pem` prints on the head to ~/.ssh/authorized_keys of {target}",
    ),
    (r"Connection refused", "no ssh server", "start sshd on {target}"),
    (
        r"timed out|No route|unreachable|Host is down",
        "not reached",
        "is it on? Is its address in the cluster's file right? `ping` it from where it is not reached",
    ),
    (r"resolve", "no such name", "write its address as a number in the cluster's file"),
    (
        r"not accessible|No such file|invalid format|UNPROTECTED",
        "the head cannot read its key",
        "auth.ssh_private_key of the cluster's file must name a private key of mode 600; then `ray up` again",
    ),
)
"""What ssh's complaints mean."""


def why_missing(attempt: Attempt) -> tuple[str, str]:
    """Why a machine has not joined, and what to do."""
    if attempt.exit_code:
        said, do = _unreached(attempt.error)
        return f"not joined: {said}", do.format(target=attempt.target)
    said, do = next((said, do) for holds, said, do in _there(attempt) if holds)
    return f"not joined: {said}", do


def _unreached(error: str) -> tuple[str, str]:
    """What ssh's complaint means, and what to do about {target}."""
    for pattern, said, do in _SSH_SAYS:
        if re.search(pattern, error):
            return f"{said} ({last_line(error)})", do
    return f"ssh failed: {last_line(error) or _NO_REASON}", "try it: ssh {target}"


def _there(attempt: Attempt) -> list[tuple[bool, str, str]]:
    """What may be the matter with a machine that ssh reaches, the first first; the last holds always."""
    found, target = attempt.found, attempt.target
    log = f"; the head's log: {attempt.log}" if attempt.log else ""
    look = "on the head: tail -n 50 /tmp/ray/session_latest/logs/monitor.out; then `ray up` again"
    other = f"`ssh {target} ray stop`: the head starts it again; it may belong to another head"
    python, ray, token = (found.get(name, "") or "missing" for name in ("python", "ray", "token"))
    here_python, here_ray = found.get("head_python", ""), found.get("head_ray", "")
    return [
        (found.get("rsync") == "no", "rsync missing", f"install rsync on {target}; then `ray up` again"),
        (found.get("project") == "no", f"not set up: no project there{log}", look),
        (python == "missing", f"not set up: no .venv in the project there{log}", look),
        (python != here_python, f"Python {python} there, {here_python} on the head", install_same("python")),
        (ray != here_ray, f"ray {ray} there, {here_ray} on the head", install_same("ray")),
        (token != "same", f"~/.ray/auth_token is {token} there{log}", AGAIN),  # noqa: S105 (an answer)
        (found.get("raylet") == "yes", "Ray runs there, but not with this head", other),
        (True, f"ray not started{log}", look),
    ]


def cluster_file(content: Mapping[str, Any], *, missing: Sequence[str], key_mode: int | None) -> list[Finding]:
    """Whether a file for `ray up` makes sense, beyond what it must have.

    Args:
        content: the file's.
        missing: the sources of its file_mounts that are not in this folder.
        key_mode: the permissions of its private key's file; None without one.
    """
    found: list[tuple[str, str]] = []
    provider = content.get("provider", {})
    machines = [str(provider.get("head_ip")), *map(str, provider.get("worker_ips") or ())]
    if twice := [machine for machine, n in Counter(machines).items() if n > 1]:
        found.append((f"{few(twice)} is in it twice", "give provider.head_ip and worker_ips each machine once"))
    if missing:
        found.append(
            (f"file_mounts: {few(missing)} is not in this folder", "run this and `ray up` in the project's folder")
        )
    project = str(content.get("metadata", {}).get("project", "~/layersweep"))
    targets = content.get("file_mounts") or {}
    if outside := [target for target in targets if not str(target).startswith(f"{project}/")]:
        said = f"metadata.project is {project}, and file_mounts has {few(outside)}"
        found.append((said, "if the project's folder is changed, change it in file_mounts and setup_commands as well"))
    if key_mode is not None and key_mode & 0o077:
        key = content.get("auth", {}).get("ssh_private_key")
        found.append((f"others can read the key {key} (mode {key_mode:o}): ssh does not take it", f"chmod 600 {key}"))
    return [failure("file", "laptop", said, do) for said, do in found]


def head_not_reached(target: str, error: str, exit_code: int) -> Finding:
    """What it means that ssh from the laptop did not run Python in the project's folder on the head."""
    if exit_code == NOT_REACHED:
        said, do = _unreached(error)
    else:
        said, do = f"the project is not set up there: {last_line(error) or _NO_REASON}", "`ray up -y cluster.yaml`"
    return failure("head", target, said, do.format(target=target))
