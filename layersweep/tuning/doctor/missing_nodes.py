"""Findings about machines that have not joined their cluster, and about a head that ssh does not reach; from values."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from layersweep.formatting import count, first_names, last_line
from layersweep.tuning.common.ssh_commands import NOT_REACHED, shell_path
from layersweep.tuning.doctor.findings import (
    RUN_RAY_UP,
    Finding,
    Level,
    Node,
    failure,
    ok,
    version_advice,
    warning,
)


@dataclass(frozen=True, kw_only=True)
class SshAttempt:
    """The result of ssh from the head to a machine that has not joined.

    Attributes:
        target: user@address.
        exit_code: the exit code of ssh, or that of the command on the machine.
        error: what ssh wrote to stderr.
        answers: what the machine answered to `probe.probe_script`, with the head's versions.
        log: the last line of the head's log about the machine.
    """

    target: str
    exit_code: int
    error: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    log: str = ""


def membership(
    configured: Sequence[str],
    nodes: Sequence[Node],
    attempts: Mapping[str, SshAttempt],
    *,
    missing_level: Level = "failure",
) -> list[Finding]:
    """Whether each configured machine is a node, and each node works.

    Args:
        configured: the addresses of the cluster's machines.
        nodes: those that have joined.
        attempts: an ssh attempt for a missing machine, by address; without one, the finding has no reason.
        missing_level: the level of findings about missing machines.
    """
    addresses = {node.address for node in nodes}
    findings = [_missing(name, attempts.get(name), missing_level) for name in configured if name not in addresses]
    if not findings:
        head = f", the head {next((n.address for n in nodes if n.head), 'not among them')}" if nodes else ""
        message = f"{count(len(nodes), 'node')} with {count(sum(n.slots for n in nodes), 'slot')}{head}"
        findings.append(ok("nodes", "cluster", message))
    if configured and (others := [n.name for n in nodes if n.address not in configured]):
        message = f"joined, but not in the cluster's file: {first_names(others)}"
        findings.append(warning("nodes", "cluster", message, "run `ray stop` there if the machine is not yours"))
    advice = (
        "read $RAY_TMPDIR/ray/session_latest/logs/raylet.err there, or run `ray stop` there: the head then starts Ray "
        "again"
    )
    broken = [node for node in nodes if node.error]
    return [*findings, *(failure("nodes", n.name, f"joined, but ran no task: {n.error}", advice) for n in broken)]


def _missing(address: str, attempt: SshAttempt | None, level: Level) -> Finding:
    message, advice = why_missing(attempt) if attempt else ("not joined", "`layersweep doctor` says why")
    return Finding(level=level, about="nodes", where=address, message=message, advice=advice)


_NO_REASON: Final = "no reason given"

_SSH_ERRORS: Final = (
    (
        r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED",
        "another host key than before",
        "if {host} was set up again, run `ssh-keygen -R {host}` where ssh failed; else another machine answers there",
    ),
    (
        r"Permission denied",
        "key refused",
        "add what `ssh-keygen -y -f ~/ray_bootstrap_key.pem` prints on the head to ~/.ssh/authorized_keys of {target}",
    ),
    (r"Connection refused", "no ssh server", "start sshd on {target}"),
    (
        r"timed out|No route|unreachable|Host is down",
        "not reached",
        "check that it is on, and its address in the cluster's file; `ping` it from the machine that does not reach it",
    ),
    (r"resolve", "no such name", "write its address as a number in the cluster's file"),
    (
        r"not accessible|No such file|invalid format|UNPROTECTED",
        "the head cannot read its key",
        "auth.ssh_private_key of the cluster's file must name a private key of mode 600; then run `ray up` again",
    ),
)
"""Patterns of ssh's error messages, with what each means and what to do."""


def why_missing(attempt: SshAttempt) -> tuple[str, str]:
    """Why a machine has not joined, and what to do."""
    if attempt.exit_code:
        reason, advice = _ssh_error(attempt.error, attempt.target)
        return f"not joined: {reason}", advice
    reason, advice = next((reason, advice) for applies, reason, advice in _setup_problems(attempt) if applies)
    return f"not joined: {reason}", advice


def _ssh_error(error: str, target: str) -> tuple[str, str]:
    """What ssh's error message about user@address means, and what to do."""
    words = {"target": shlex.quote(target), "host": shlex.quote(target.rpartition("@")[2])}
    for pattern, reason, advice in _SSH_ERRORS:
        if re.search(pattern, error):
            return f"{reason} ({last_line(error)})", advice.format(**words)
    return f"ssh failed: {last_line(error) or _NO_REASON}", f"try it: ssh {words['target']}"


def _setup_problems(attempt: SshAttempt) -> list[tuple[bool, str, str]]:
    """What may be wrong with a machine that ssh reaches, in the order of the setup; the last entry always applies."""
    answers, target = attempt.answers, attempt.target
    log = f"; the head's log: {attempt.log}" if attempt.log else ""
    look = "run on the head: tail -n 50 $RAY_TMPDIR/ray/session_latest/logs/monitor.out; then run `ray up` again"
    stop = f"run `ssh {shlex.quote(target)} ray stop`, unless Ray there is another head's: this head starts it then"
    python, ray, token = (answers.get(name, "") or "missing" for name in ("python", "ray", "token"))
    head_python, head_ray = answers.get("head_python", ""), answers.get("head_ray", "")
    token_problem = "is missing there" if token == "missing" else "differs from the head's"  # noqa: S105 (an answer)
    return [
        (answers.get("rsync") == "no", "rsync is missing", f"install rsync on {target}; then run `ray up` again"),
        (answers.get("project") == "no", f"not set up: the project's folder is missing{log}", look),
        (python == "missing", f"not set up: the project's folder has no .venv{log}", look),
        (python != head_python, f"Python {python} there, {head_python} on the head", version_advice("python")),
        (ray != head_ray, f"ray {ray} there, {head_ray} on the head", version_advice("ray")),
        (token != "same", f"~/.ray/auth_token {token_problem}{log}", RUN_RAY_UP),  # noqa: S105
        (answers.get("raylet") == "yes", "Ray runs there, but not with this head", stop),
        (True, f"ray not started{log}", look),
    ]


def cluster_file(content: Mapping[str, Any], *, missing_sources: Sequence[str], key_mode: int | None) -> list[Finding]:
    """Problems in a file for `ray up`, besides those that `ClusterFile.read` refuses.

    Args:
        content: the file's content.
        missing_sources: the sources of its file_mounts that are not in this folder.
        key_mode: the permissions of its private key's file; None without one.
    """
    problems: list[tuple[str, str]] = []
    provider = content.get("provider", {})
    machines = [str(provider.get("head_ip")), *map(str, provider.get("worker_ips") or ())]
    if duplicates := [machine for machine, n in Counter(machines).items() if n > 1]:
        advice = "list each machine once in provider.head_ip and provider.worker_ips"
        problems.append((f"{first_names(duplicates)} is listed twice", advice))
    if missing_sources:
        message = f"file_mounts: {first_names(missing_sources)} is not in this folder"
        problems.append((message, "run the doctor and `ray up` in the project's folder"))
    project = str(content.get("metadata", {}).get("project", "~/layersweep"))
    targets = content.get("file_mounts") or {}
    if outside := [target for target in targets if not str(target).startswith(f"{project}/")]:
        message = f"metadata.project is {project}, but file_mounts has {first_names(outside)}"
        problems.append((message, "use the same project's folder in metadata.project, file_mounts and setup_commands"))
    if key_mode is not None and key_mode & 0o077:
        key = content.get("auth", {}).get("ssh_private_key")
        message = f"other users can read the key {key} (mode {key_mode:o}): ssh refuses it"
        problems.append((message, f"run `chmod 600 {shell_path(str(key))}`"))
    return [failure("file", "laptop", message, advice) for message, advice in problems]


def head_not_reached(target: str, error: str, exit_code: int) -> Finding:
    """Why ssh from the laptop did not run Python in the project's folder on the head."""
    if exit_code == NOT_REACHED:
        message, advice = _ssh_error(error, target)
    else:
        message = f"the project is not set up there: {last_line(error) or _NO_REASON}"
        advice = "run `ray up -y cluster.yaml`"
    return failure("head", target, message, advice)
