"""Collects the facts about a cluster's machines: through Ray from nodes, by ssh from the head for the others."""

import contextlib
import hashlib
import os
import platform
import secrets
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from layersweep import project
from layersweep.formatting import first_line
from layersweep.tuning.common.ssh_commands import HOST_KEYS, NOT_REACHED
from layersweep.tuning.doctor import node_facts
from layersweep.tuning.doctor.findings import Clock, Node
from layersweep.tuning.doctor.missing_nodes import SshAttempt
from layersweep.tuning.runtime import access_token, private_folder

_CONFIG: Final = Path("~/ray_bootstrap_config.yaml")
_KEY: Final = Path("~/ray_bootstrap_key.pem")
_LOG_BYTES: Final = 1 << 18
_DASHBOARD: Final = 8265
_SSH_SECONDS: Final = 30.0
_PORT_SECONDS: Final = 2.0
_TOKEN_SECONDS: Final = 30.0
_CLOCK_ATTEMPTS: Final = 3

_SSH: Final = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", *HOST_KEYS)
"""ssh asks for no password. Ray does not check the key of a host; the doctor refuses one that has changed."""

_PROTECTED_REQUEST: Final = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None)
"""
"""A program whose request needs the token."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The setup of the cluster, as `ray up` wrote it on the head.

    Attributes:
        machines: the addresses of the head and the workers; empty where a cloud assigns them.
        user: the user that the head logs in as on the workers.
    """

    machines: tuple[str, ...] = ()
    user: str = ""


def setup() -> Setup:
    """The setup that `ray up` wrote on this machine; empty if there is none."""
    import yaml

    try:
        content = yaml.safe_load(_CONFIG.expanduser().read_text())
    except (OSError, yaml.YAMLError):
        return Setup()
    if not isinstance(content, dict):
        return Setup()
    provider = content.get("provider", {})
    machines = (provider.get("head_ip"), *(provider.get("worker_ips") or ()))
    return Setup(
        machines=tuple(str(machine) for machine in machines if machine),
        user=str(content.get("auth", {}).get("ssh_user", "")),
    )


def token_exists() -> bool:
    """Whether this user has a token."""
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or access_token.token_file().is_file()


def answers_without_token(address: str) -> bool:
    """Whether Ray answers a process that has no token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    try:
        result = subprocess.run(
            [sys.executable, "-c", _PROTECTED_REQUEST, address],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            timeout=_TOKEN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def open_ports(address: str) -> list[str]:
    """The ports that answer at an address of this machine, but should answer on loopback only."""
    try:
        socket.create_connection((address, _DASHBOARD), timeout=_PORT_SECONDS).close()
    except OSError:
        return []
    return [f"the dashboard, port {_DASHBOARD}"]


def nodes(facts: Callable[[], dict[str, Any]], *, seconds: float, clock: bool = False) -> list[Node]:
    """Runs a function of `node_facts` on every node of the cluster that this process has joined.

    Args:
        facts: the function; its code is sent, so a node does not need the project.
        seconds: a node that does not answer within this time has an error instead of facts.
        clock: whether to measure the clocks.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(node_facts)
    calls = _RemoteCalls(seconds)
    references = [(node, calls.start(node["NodeID"], facts)) for node in ray.nodes() if node["Alive"]]
    results = []
    for node, reference in references:
        answer, error = calls.result(reference)
        results.append(
            Node(
                address=node["NodeManagerAddress"],
                head="node:__internal_head__" in node["Resources"],
                slots=int(node["Resources"].get("CPU", 0)),
                facts=answer or {},
                error=error,
                clock=calls.clock(node["NodeID"]) if clock and answer else None,
            )
        )
    alive = addresses() if any(node.error for node in results) else set()
    remaining = [node for node in results if not node.error or node.address in alive]  # others have left meanwhile
    return sorted(remaining, key=lambda node: (not node.head, node.address))


class _RemoteCalls:
    """Calls of functions on single nodes; all must return within `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        import ray

        def call(function: Callable[[], Any]) -> Any:  # a local function, so that Ray sends its code
            return function()

        self._seconds, self._deadline = seconds, time.monotonic() + seconds
        self._task = ray.remote(num_cpus=0, max_retries=0)(call)

    def start(self, node_id: str, function: Callable[[], Any]) -> Any:
        """Starts a call on a node; returns Ray's reference to its result."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Affinity

        return self._task.options(scheduling_strategy=Affinity(node_id=node_id, soft=False)).remote(function)

    def result(self, reference: Any) -> tuple[Any, str]:
        """The value that the function returned and no error, or None and the error."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        try:
            return ray.get(reference, timeout=max(0.1, self._deadline - time.monotonic())), ""
        except GetTimeoutError:
            return None, f"no answer within {self._seconds:g} s"
        except RayError as error:
            return None, first_line(str(error)) or type(error).__name__

    def clock(self, node_id: str) -> Clock | None:
        """A node's clock, from the fastest of a few calls: the first may have to start a process."""
        clocks = []
        for _ in range(_CLOCK_ATTEMPTS):
            before = time.time()
            node_time, _error = self.result(self.start(node_id, time.time))
            after = time.time()
            if node_time is None:
                return None
            clocks.append(Clock(offset=node_time - (before + after) / 2, error=(after - before) / 2))
        return min(clocks, key=lambda clock: clock.error)


def addresses() -> set[str]:
    """The addresses of the nodes of the cluster that this process has joined."""
    import ray

    return {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


class Marker:
    """A file in a folder, for a while: a machine that sees the file shares the folder. Use it as a context manager.

    A missing folder is created for the file, and deleted with it.

    Attributes:
        name: the file's name.
        problem: why the file could not be written; empty if it was.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_new_folder = not folder.exists()
        self.name = f".doctor-{secrets.token_hex(8)}"
        self.problem = ""

    def __enter__(self) -> "Marker":
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / self.name).write_bytes(b"")
        except OSError as error:
            self.problem = error.strerror or str(error)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            (self._folder / self.name).unlink()
            if self._is_new_folder:
                self._folder.rmdir()  # fails if it holds other files by now


def ssh_attempts(machines: Sequence[str], user: str) -> dict[str, SshAttempt]:
    """Tries to reach machines by ssh, all at once, in the way of the head's Ray."""
    if not machines:
        return {}
    with ThreadPoolExecutor(len(machines)) as pool:
        return dict(zip(machines, pool.map(lambda machine: _attempt(machine, user), machines), strict=True))


def _attempt(machine: str, user: str) -> SshAttempt:
    target = f"{user}@{machine}" if user else machine
    key = ["-i", str(_KEY.expanduser()), "-o", "IdentitiesOnly=yes"] if _KEY.expanduser().is_file() else []
    try:
        result = subprocess.run(
            ["ssh", *_SSH, *key, "--", target, f"bash -c {shlex.quote(probe_script())}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SSH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return SshAttempt(target=target, exit_code=NOT_REACHED, error=f"timed out after {_SSH_SECONDS:g} s")
    except OSError as error:
        return SshAttempt(target=target, exit_code=NOT_REACHED, error=f"ssh cannot be run: {error.strerror}")
    pairs = (line.partition("=") for line in result.stdout.splitlines())
    answers = {name: value for name, _, value in pairs} | {
        "head_python": platform.python_version(),
        "head_ray": metadata.version("ray"),
    }
    return SshAttempt(
        target=target, exit_code=result.returncode, error=result.stderr, answers=answers, log=_log_line(machine)
    )


def probe_script() -> str:
    """The shell script that prints what a machine has, a line `name=value` each.

    The names are rsync, raylet, token, project, python and ray.
    """
    path = project.FOLDER if project.IS_CLONE else Path(sys.prefix).parent
    try:
        folder = f"~/{shlex.quote(str(path.relative_to(Path.home())))}"
    except ValueError:
        folder = shlex.quote(str(path))
    token = Path("~/.ray/auth_token").expanduser()
    digest = hashlib.sha256(token.read_bytes()).hexdigest() if token.is_file() else ""
    token_cases = f"'') echo token=missing;; {digest}*) echo token=same;; *) echo token=another;;"
    ray = "import importlib.metadata as m; print('ray=' + m.version('ray'))"
    python = "import platform; print('python=' + platform.python_version())"
    return "\n".join(
        (
            "command -v rsync >/dev/null && echo rsync=yes || echo rsync=no",
            "pgrep -x raylet >/dev/null && echo raylet=yes || echo raylet=no",
            f"case $(sha256sum ~/.ray/auth_token 2>/dev/null) in {token_cases} esac",
            f"cd {folder} 2>/dev/null && echo project=yes || {{ echo project=no; exit 0; }}",
            "test -x .venv/bin/python || exit 0",
            f".venv/bin/python -c {shlex.quote(python)}",
            f".venv/bin/python -c {shlex.quote(ray)} 2>/dev/null",
            "exit 0",
        )
    )


def _log_line(machine: str) -> str:
    """The last line about a machine in the head's log of its workers."""
    logs = private_folder.user_folder() / "ray" / "session_latest" / "logs"
    for name in ("monitor.out", "monitor.err", "monitor.log"):
        try:
            text = (logs / name).read_bytes()[-_LOG_BYTES:].decode(errors="replace")
        except OSError:
            continue
        if lines := [line.strip() for line in text.splitlines() if machine in line]:
            return lines[-1].rpartition(" -- ")[2]
    return ""
