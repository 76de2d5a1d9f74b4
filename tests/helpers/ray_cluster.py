"""Three hosts on this machine with an environment and the project's cluster.yaml, for tests that run `ray up`."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cluster_hosts
import psutil
import yaml
from cluster_hosts import Hosts
from places import ROOT as PROJECT

HOSTS = 3
_GIB = 6
PATIENCE_SECONDS = 300.0
"""Upper limit of a wait: what takes seconds here may take minutes where others work as well."""

_LINES = 40
"""Of what a command said, so many are printed."""

ENVIRONMENT = "LAYERSWEEP_CLUSTER_ENVIRONMENT"
"""Names another virtual environment than this one, made by `uv sync --group cluster`, for the hosts."""


def source() -> Path:
    """The virtual environment that the hosts are given."""
    return Path(os.environ.get(ENVIRONMENT) or sys.prefix)


def problem() -> str | None:
    """Why no cluster can be made here; None if one can."""
    if not [*source().glob("lib/python3*/site-packages/aiohttp_cors")]:
        return f"{source()} has no ray[default]: uv sync --group cluster"
    if (free := psutil.virtual_memory().available / (1 << 30)) < _GIB:
        return f"three hosts of Ray take {_GIB} GiB of memory, {free:.1f} are free"
    return cluster_hosts.problem()


@dataclass(kw_only=True)
class Cluster:
    """The hosts, and how the laptop speaks to them.

    Attributes:
        hosts: the machines.
        environment: the hosts' and the laptop's virtual environment.
        file: the cluster's file, as the laptop sees it.
        seconds: how long each step took.
    """

    hosts: Hosts
    environment: Path
    file: str = "/root/cluster.yaml"
    seconds: dict[str, float] = field(default_factory=dict)

    def on(
        self, place: str, *command: str, timeout: float = PATIENCE_SECONDS, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command in the project's folder with the environment; on the head and the workers, in the copy."""
        cwd = "/root/layersweep" if place[0] == "h" else str(PROJECT)
        path = f"{self.environment}/bin:{cluster_hosts.SYSTEM}"
        said = {"PATH": path, "COLUMNS": "200", "RAY_USAGE_STATS_ENABLED": "0", **env}
        return self.hosts.run(place, command, timeout=timeout, env=said, cwd=cwd)

    def timed(
        self, step: str, place: str, *command: str, shown: str = "", timeout: float = PATIENCE_SECONDS, **env: str
    ) -> "subprocess.CompletedProcess[str]":
        """The same; remembers how long it took, and prints the end of what was said, or the line that says `shown`."""
        began = time.monotonic()
        try:
            done = self.on(place, *command, timeout=timeout, **env)
        finally:
            self.seconds[step] = time.monotonic() - began
        lines = (done.stdout + done.stderr).splitlines()
        said = [line for line in lines if shown and shown in line][-1:] or lines[-_LINES:]
        print("\n".join([f"\n== {step}: {self.seconds[step]:.1f} s, exit code {done.returncode}", *said]))
        return done

    def up(self, step: str) -> "subprocess.CompletedProcess[str]":
        """Runs `ray up` on the laptop."""
        return self.timed(step, "laptop", "ray", "up", "-y", self.file)

    def doctor(self, step: str, *flags: str) -> "subprocess.CompletedProcess[str]":
        """Runs the doctor on the laptop."""
        return self.timed(step, "laptop", "python", "-m", "layersweep", "doctor", self.file, *flags)

    def raylets(self, i: int) -> int:
        """How many raylets run on host `i`."""
        return sum("/raylet/raylet" in line for line in self.hosts.processes(i))


@contextmanager
def hosts(folder: Path) -> Iterator[Cluster]:
    """Three hosts, a laptop and a stranger with the file for `ray up`, which has not been run.

    The project is at /root/layersweep; `folder` gets an environment in which it is found there.
    """
    environment = make_environment(folder, source())
    with Hosts(HOSTS, keep=[PROJECT, environment, source(), Path(sys.base_prefix)]) as made:
        text = (PROJECT / "cluster.yaml").read_text()
        (made.root("laptop") / "cluster.yaml").write_text(changed(text, made, environment))
        yield Cluster(hosts=made, environment=environment)


def changed(text: str, hosts: Hosts, environment: Path) -> str:
    """The project's cluster.yaml for these hosts.

    The lines that a user changes; one slot a host, for three of them share this machine; and, in place of the setup
    commands that fetch uv and the locked packages, a link to the environment that all hosts see.
    """
    workers = ", ".join(hosts.address(i) for i in range(2, HOSTS + 1))
    lines = {
        "head_ip: 10.0.0.1 ": f"head_ip: {hosts.address(1)} ",
        "worker_ips: [10.0.0.2, 10.0.0.3] ": f"worker_ips: [{workers}] ",
        "# external_head_ip: 203.0.113.5 ": f"external_head_ip: {hosts.outside} ",
        "ssh_user: ubuntu ": "ssh_user: root ",
        "ssh_private_key: ~/.ssh/id_ed25519 ": f"ssh_private_key: {hosts.key} ",
    }
    for old, new in lines.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    content = yaml.safe_load(text)
    fetch, sync, *others = content["setup_commands"]
    assert "pip install" in fetch
    assert "uv sync" in sync
    content["setup_commands"] = [f"ln -sfn {shlex.quote(str(environment))} ~/layersweep/.venv", *others]
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        stop, start = content[name]
        content[name] = [stop, f"{start} --num-cpus=1"]
    return yaml.safe_dump(content, sort_keys=False)


def make_environment(folder: Path, origin: Path) -> Path:
    """A virtual environment of links to another's packages; the project itself is at /root/layersweep."""
    [packages] = origin.glob("lib/python3*/site-packages")
    made = folder / "lib" / packages.parent.name / "site-packages"
    made.mkdir(parents=True)
    for entry in packages.iterdir():
        if not entry.name.startswith(("__editable__", "__pycache__", "_virtualenv")):
            (made / entry.name).symlink_to(entry)
    compiled = (packages / "ray" / "__pycache__").is_dir()
    cached = "" if compiled else "import sys; sys.pycache_prefix = '/tmp/compiled'\n"  # a host keeps what it compiles
    (made / "layersweep.pth").write_text(f"/root/layersweep\n{cached}")
    shutil.copy(origin / "pyvenv.cfg", folder / "pyvenv.cfg")
    (folder / "bin").mkdir()
    for name in ("python", "python3"):
        (folder / "bin" / name).symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    script = (origin / "bin" / "ray").read_text().partition("\n")[2]
    (folder / "bin" / "ray").write_text(f"#!{folder}/bin/python\n{script}")
    (folder / "bin" / "ray").chmod(0o755)
    return folder


def wait_until(holds: Callable[[], bool], *, seconds: float) -> float:
    """Waits until something holds, and returns how long that took; fails after so many seconds."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"does not hold after {seconds:g} s"
        time.sleep(0.5)
    return time.monotonic() - began
