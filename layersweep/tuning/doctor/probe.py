"""Asks a cluster's machines about themselves: those that have joined through Ray, the others by ssh from the head."""

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
from layersweep.tuning.common.cluster_file import NOT_REACHED
from layersweep.tuning.doctor import node_facts
from layersweep.tuning.doctor.findings import Clock, Node
from layersweep.tuning.doctor.missing_nodes import Attempt
from layersweep.words import first_line

_CONFIG: Final = Path("~/ray_bootstrap_config.yaml")
_KEY: Final = Path("~/ray_bootstrap_key.pem")
_LOGS: Final = Path("/tmp/ray/session_latest/logs")  # noqa: S108
_LOG_BYTES: Final = 1 << 18
_DASHBOARD: Final = 8265
_SSH_SECONDS: Final = 30.0
_PORT_SECONDS: Final = 2.0
_STRANGER_SECONDS: Final = 30.0
_CLOCK_TRIES: Final = 3

_SSH: Final = (
    "BatchMode=yes", "ConnectTimeout=5", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
)  # fmt: skip
"""As Ray's own, but no password is asked for."""

_STRANGER: Final = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None)
"""
"""A request that needs the token, by a process that has none."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What `ray up` has left on the head.

    Attributes:
        machines: the addresses of the head and the workers; empty where a cloud gives them.
        user: whom the head logs in as on the workers.
    """

    machines: tuple[str, ...] = ()
    user: str = ""


def setup() -> Setup:
    """What `ray up` has left on this machine; empty if nothing."""
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
    """Whether a process of this user finds a token."""
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or path.is_file()


def answers_strangers(address: str) -> bool:
    """Whether Ray answers a process without a token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _STRANGER, address],
            env=environment | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            timeout=_STRANGER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def open_ports(address: str) -> list[str]:
    """What answers at an address of this machine, and should at loopback only."""
    try:
        socket.create_connection((address, _DASHBOARD), timeout=_PORT_SECONDS).close()
    except OSError:
        return []
    return [f"the dashboard, port {_DASHBOARD}"]


def nodes(ask: Callable[[], dict[str, Any]], *, seconds: float, clock: bool = False) -> list[Node]:
    """Runs a function of `node_facts` on every node of the cluster that this process has joined.

    Args:
        ask: the function; it is sent as it is, so that a node needs not have it.
        seconds: after so long a node is silent.
        clock: whether clocks are looked at.
    """
    import ray

    ray.cloudpickle.register_pickle_by_value(node_facts)
    questions = _Questions(seconds)
    asked = [(node, questions.put(node["NodeID"], ask)) for node in ray.nodes() if node["Alive"]]
    found = []
    for node, reference in asked:
        facts, silent = questions.answer(reference)
        found.append(
            Node(
                address=node["NodeManagerAddress"],
                head="node:__internal_head__" in node["Resources"],
                slots=int(node["Resources"].get("CPU", 0)),
                facts=facts or {},
                silent=silent,
                clock=questions.clock(node["NodeID"]) if clock and facts else None,
            )
        )
    still = addresses() if any(node.silent for node in found) else set()
    here = [node for node in found if not node.silent or node.address in still]  # others have left meanwhile
    return sorted(here, key=lambda node: (not node.head, node.address))


class _Questions:
    """Functions that run on nodes, each for itself, and answer within so many seconds from now."""

    def __init__(self, seconds: float) -> None:
        import ray

        def call(function: Callable[[], Any]) -> Any:  # in here: Ray sends it as it is
            return function()

        self._seconds, self._ends = seconds, time.monotonic() + seconds
        self._task = ray.remote(num_cpus=0, max_retries=0)(call)

    def put(self, node_id: str, function: Callable[[], Any]) -> Any:
        """Lets a node run a function; returns Ray's reference to what it returns."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as Affinity

        return self._task.options(scheduling_strategy=Affinity(node_id=node_id, soft=False)).remote(function)

    def answer(self, reference: Any) -> tuple[Any, str]:
        """What a function returned, or None and why it did not."""
        import ray
        from ray.exceptions import GetTimeoutError, RayError

        try:
            return ray.get(reference, timeout=max(0.1, self._ends - time.monotonic())), ""
        except GetTimeoutError:
            return None, f"no answer within {self._seconds:g} s"
        except RayError as error:
            return None, first_line(str(error)) or type(error).__name__

    def clock(self, node_id: str) -> Clock | None:
        """A node's clock, from the fastest of a few questions: the first may have to start a process."""
        found = []
        for _ in range(_CLOCK_TRIES):
            before = time.time()
            there, _silent = self.answer(self.put(node_id, time.time))
            after = time.time()
            if there is None:
                return None
            found.append(Clock(offset=there - (before + after) / 2, error=(after - before) / 2))
        return min(found, key=lambda clock: clock.error)


def addresses() -> set[str]:
    """Those of the nodes of the cluster that this process has joined."""
    import ray

    return {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


class Marker:
    """A file in a folder while inside; whoever sees it has the same folder. The folder is made for it, and unmade.

    Attributes:
        name: the file's.
        problem: why it could not be made; empty if it was.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = not folder.exists()
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
            if self._made:
                self._folder.rmdir()  # unless something else was put there


def attempts(machines: Sequence[str], user: str) -> dict[str, Attempt]:
    """Tries to reach machines by ssh, all at once, as the head's Ray does."""
    if not machines:
        return {}
    with ThreadPoolExecutor(len(machines)) as pool:
        return dict(zip(machines, pool.map(lambda machine: _attempt(machine, user), machines), strict=True))


def _attempt(machine: str, user: str) -> Attempt:
    target = f"{user}@{machine}" if user else machine
    key = ["-i", str(_KEY.expanduser()), "-o", "IdentitiesOnly=yes"] if _KEY.expanduser().is_file() else []
    said = [word for option in _SSH for word in ("-o", option)]
    try:
        done = subprocess.run(
            ["ssh", *key, *said, target, f"bash -c {shlex.quote(look_there())}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SSH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Attempt(target=target, exit_code=NOT_REACHED, error=f"timed out after {_SSH_SECONDS:g} s")
    except OSError as error:
        return Attempt(target=target, exit_code=NOT_REACHED, error=f"ssh cannot be run: {error.strerror}")
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    found = {name: value for name, _, value in pairs} | {
        "head_python": platform.python_version(),
        "head_ray": metadata.version("ray"),
    }
    return Attempt(target=target, exit_code=done.returncode, error=done.stderr, found=found, log=_logged(machine))


def look_there() -> str:
    """The shell's commands that say, line by line, what a machine has: rsync, project, python, ray, token, raylet."""
    try:
        folder = f"~/{shlex.quote(str(project.FOLDER.relative_to(Path.home())))}"
    except ValueError:
        folder = shlex.quote(str(project.FOLDER))
    token = Path("~/.ray/auth_token").expanduser()
    digest = hashlib.sha256(token.read_bytes()).hexdigest() if token.is_file() else ""
    token_is = f"'') echo token=missing;; {digest}*) echo token=same;; *) echo token=another;;"
    ray = "import importlib.metadata as m; print('ray=' + m.version('ray'))"
    python = "import platform; print('python=' + platform.python_version())"
    return "\n".join(
        (
            "command -v rsync >/dev/null && echo rsync=yes || echo rsync=no",
            "pgrep -x raylet >/dev/null && echo raylet=yes || echo raylet=no",
            f"case $(sha256sum ~/.ray/auth_token 2>/dev/null) in {token_is} esac",
            f"cd {folder} 2>/dev/null && echo project=yes || {{ echo project=no; exit 0; }}",
            "test -x .venv/bin/python || exit 0",
            f".venv/bin/python -c {shlex.quote(python)}",
            f".venv/bin/python -c {shlex.quote(ray)} 2>/dev/null",
            "exit 0",
        )
    )


def _logged(machine: str) -> str:
    """The last line of the head's log of its workers that names a machine."""
    for name in ("monitor.out", "monitor.err", "monitor.log"):
        try:
            text = (_LOGS / name).read_bytes()[-_LOG_BYTES:].decode(errors="replace")
        except OSError:
            continue
        if lines := [line.strip() for line in text.splitlines() if machine in line]:
            return lines[-1].rpartition(" -- ")[2]
    return ""
