"""Several hosts on one machine, for tests of a cluster: network namespaces on a bridge.

A host has its own network, mounts, processes, name and shared memory; its own /tmp, /root, /run, /dev/shm and
/etc/hosts; and an sshd. Folders that are kept are seen by all of them, read-only. The first host is the head.

    with Hosts(3, keep=[project]) as hosts:
        hosts.run("laptop", ["ssh", "-i", str(hosts.key), f"root@{hosts.outside}", "hostname"])
        hosts.cut(3)

The laptop has a cable to the head alone (10.78.0.0/24); the stranger is on the cluster's network (10.77.0.0/24), as the
hosts are. Needs root, and ip, unshare, nsenter, mount, sshd, ssh-keygen and rsync.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

_PROGRAMS: Final = ("ip", "unshare", "nsenter", "mount", "sshd", "ssh", "ssh-keygen", "rsync")
SYSTEM: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A root's PATH."""

_PREFIX: Final = "layersweep"
_NETWORK: Final = "10.77.0"
_CABLE: Final = "10.78.0"
_STRANGER: Final = 99
_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 10.0
_PRIVATE: Final = ("tmp", "root", "run")

_BASHRC: Final = "case $- in *i*) ;; *) return ;; esac\n"
"""As Ubuntu's begins: a shell that no person sits at reads no further."""


def problem() -> str | None:
    """Why no hosts can be made here; None if they can."""
    if os.geteuid() != 0:
        return "hosts in namespaces need root"
    missing = [name for name in _PROGRAMS if _found(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: iproute2 util-linux openssh-server rsync)"
    name = f"{_PREFIX}-{os.getpid()}-try"
    apart = ["ip", "netns", "exec", name, "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    steps = (
        ["ip", "netns", "add", name],
        ["ip", "-n", name, "link", "add", "br0", "type", "bridge"],
        ["ip", "-n", name, "link", "add", "p1", "type", "veth", "peer", "name", "p2"],
        [*apart, "mount", "-t", "proc", "proc", "/proc"],
    )
    try:
        for step in steps:
            tried = subprocess.run(step, capture_output=True, text=True, check=False)
            if tried.returncode:
                return f"no network namespace can be made a host: {tried.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM}")


class Hosts:
    """Hosts 1 to `count`, a laptop and a stranger, while inside.

    Args:
        count: how many hosts.
        keep: folders that all of them see, read-only, at the same place.

    Attributes:
        key: a private key that opens every host, at the same place on the laptop.
        outside: the head's address as the laptop sees it.
    """

    def __init__(self, count: int, *, keep: Sequence[Path] = ()) -> None:
        self.count = count
        self.outside = f"{_CABLE}.11"
        self.key = Path("/root/.ssh/id_ed25519")
        self._keep = [str(path) for path in keep]
        self._prefix = f"{_PREFIX}-{os.getpid()}"
        self._base = Path()
        self._inits: dict[str, subprocess.Popen[str]] = {}
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._base = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-hosts-", dir="/var/tmp"))
        try:
            self._make_keys()
            self._make_networks()
            for place in self.places:
                self._start(place)
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def places(self) -> list[str]:
        """The names of all machines: h1, h2 and so on, laptop, stranger."""
        return [*(f"h{i}" for i in range(1, self.count + 1)), "laptop", "stranger"]

    def address(self, i: int) -> str:
        """That of host `i` (from 1) as the other hosts see it."""
        return f"{_NETWORK}.{10 + i}"

    def root(self, place: str) -> Path:
        """The folder, as this machine sees it, that is /root there."""
        return self._base / place / "root"

    def tmp(self, place: str) -> Path:
        """The folder, as this machine sees it, that is /tmp there."""
        return self._base / place / "tmp"

    def popen(
        self,
        place: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
        **how: Any,
    ) -> "subprocess.Popen[str]":
        """Starts a command on a machine, with a clean environment; the caller ends it, or `down` does."""
        variables = {"PATH": SYSTEM, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", **(env or {})}
        said = [f"{name}={value}" for name, value in variables.items()]
        enter = ["nsenter", "--target", str(self._pids[place]), "--mount", "--net", "--pid", "--uts", "--ipc", "--"]
        shell = ["env", "-i", *said, "sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", cwd, *command]
        return subprocess.Popen([*enter, *shell], text=True, **{"stdin": subprocess.DEVNULL, **how})

    def run(
        self,
        place: str,
        command: Sequence[str],
        *,
        timeout: float = 120.0,
        env: Mapping[str, str] | None = None,
        cwd: str = "/root",
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command on a machine to its end.

        Raises:
            subprocess.TimeoutExpired: if it takes longer; with what it had said.
        """
        with self.popen(place, command, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                _kill_below(process.pid)
                out, err = process.communicate()
                raise subprocess.TimeoutExpired(list(command), timeout, out, err) from None
        return subprocess.CompletedProcess(list(command), process.returncode, out, err)

    def cut(self, i: int) -> None:
        """Pulls host `i`'s cable out of the switch."""
        _ip("-n", f"{self._prefix}-switch", "link", "set", f"p{i}", "down")

    def mend(self, i: int) -> None:
        """Puts host `i`'s cable in again."""
        _ip("-n", f"{self._prefix}-switch", "link", "set", f"p{i}", "up")

    def lock_out(self, i: int) -> None:
        """Makes host `i` know another key than the laptop's."""
        self._authorized(i).write_text((self._base / "other.pub").read_text())

    def let_in(self, i: int) -> None:
        """Makes host `i` know the laptop's key, as all do at first."""
        self._authorized(i).write_text((self._base / "key.pub").read_text())

    def processes(self, i: int) -> list[str]:
        """The command lines that run on host `i`, besides those that make it a host."""
        lines = self.run(f"h{i}", ["ps", "-eo", "pid=,args="]).stdout.splitlines()
        split = [line.split(None, 1) for line in lines]
        return [
            args for pid, args in split if int(pid) > 1 and not args.startswith(("sshd:", "/usr/sbin/sshd", "ps -eo"))
        ]

    def down(self) -> None:
        """Ends every process of every machine, and leaves no namespace, mount or file."""
        for process in self._inits.values():
            if process.stdin:
                process.stdin.close()  # the machine's first process ends, and all others with it
        for process in self._inits.values():
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        self._inits.clear()
        self._pids.clear()
        for name in _namespaces():
            if name.startswith(f"{self._prefix}-"):
                _ip("netns", "del", name)
        if str(self._base).startswith(f"/var/tmp/{_PREFIX}-hosts-"):
            mounted = [
                line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self._base) in line
            ]
            assert not mounted, f"a host's mount is seen outside, nothing is deleted: {mounted}"
            shutil.rmtree(self._base, ignore_errors=True)

    def _authorized(self, i: int) -> Path:
        return self._base / f"h{i}" / "run" / "sshd" / "authorized"

    def _make_keys(self) -> None:
        for name in ("key", "other", "host"):
            made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self._base / name)]
            subprocess.run(made, check=True)

    def _make_networks(self) -> None:
        """A switch; a cable from it to each host and to the stranger; a cable from the laptop to the head."""
        switch = f"{self._prefix}-switch"
        for name in ("switch", *self.places):
            _ip("netns", "add", f"{self._prefix}-{name}")
            _ip("-n", f"{self._prefix}-{name}", "link", "set", "lo", "up")
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        ends = {f"h{i}": (f"p{i}", self.address(i)) for i in range(1, self.count + 1)}
        ends["stranger"] = (f"p{_STRANGER}", f"{_NETWORK}.{_STRANGER}")
        for place, (port, address) in ends.items():
            there = f"{self._prefix}-{place}"
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", there)
            _ip("-n", switch, "link", "set", port, "master", "br0", "up")
            _address(there, "eth0", address)
        laptop, head = f"{self._prefix}-laptop", f"{self._prefix}-h1"
        _ip("-n", laptop, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", head)
        _address(laptop, "eth0", f"{_CABLE}.1")
        _address(head, "eth1", self.outside)

    def _start(self, place: str) -> None:
        """Makes a machine and waits until it is ready."""
        own = self._base / place
        for name in _PRIVATE:
            (own / name).mkdir(parents=True)
        (own / "tmp").chmod(0o1777)
        (own / "root" / ".bashrc").write_text(_BASHRC)
        names = [f"{self.address(i)} h{i}" for i in range(1, self.count + 1)]
        (own / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
        (own / "resolv.conf").write_text("# no names from elsewhere\n")
        (own / "run" / "sshd").mkdir(mode=0o755)
        shutil.copy(self._base / "host", own / "run" / "sshd" / "host")
        shutil.copy(self._base / "key.pub", own / "run" / "sshd" / "authorized")
        if place == "laptop":
            (own / "root" / ".ssh").mkdir(mode=0o700)
            shutil.copy(self._base / "key", own / "root" / ".ssh" / "id_ed25519")
        told = {"place": place, "own": str(own), "base": str(self._base), "keep": self._keep, "sshd": place[0] == "h"}
        inside = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(told)]
        apart = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", *inside]
        log = (self._base / f"{place}.log").open("w")
        with log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", f"{self._prefix}-{place}", *apart],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._inits[place] = process
        assert process.stdout
        ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        if not ready or process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{place} did not start: {(self._base / f'{place}.log').read_text().strip()}")
        [self._pids[place]] = _children(process.pid)


def _address(namespace: str, device: str, address: str) -> None:
    _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", device)
    _ip("-n", namespace, "link", "set", device, "up")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _namespaces() -> list[str]:
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill_below(pid: int) -> None:
    for child in _children(pid):
        _kill_below(child)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _be_a_host(told: Mapping[str, Any]) -> None:
    """The first process of a machine: makes its mounts and its sshd, then buries the dead until stdin ends."""
    own, keep = Path(told["own"]), [Path(path) for path in told["keep"]]
    _mount("--make-rprivate", "/")
    stashes = [own / "keep" / str(number) for number in range(len(keep))]
    for path, stash in zip(keep, stashes, strict=True):
        stash.mkdir(parents=True)
        _mount("--rbind", str(path), str(stash))
    for name in ("hosts", "resolv.conf"):
        if Path(f"/etc/{name}").exists():
            _mount("--bind", str(own / name), f"/etc/{name}")
    for name in _PRIVATE:
        _mount("--bind", str(own / name), f"/{name}")
    for path, stash in zip(keep, stashes, strict=True):
        path.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", str(stash), str(path))
        _mount("-o", "remount,bind,ro", str(path))
    _mount("-t", "tmpfs", "tmpfs", "/dev/shm")
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", told["base"])  # else a machine sees what others have
    subprocess.run(["hostname", told["place"]], check=True)
    if told["sshd"]:
        settings = ("UsePAM=no", "StrictModes=no", "HostKey=/run/sshd/host", "AuthorizedKeysFile=/run/sshd/authorized")
        options = [word for setting in (*settings, "PidFile=none") for word in ("-o", setting)]
        subprocess.run(["/usr/sbin/sshd", "-f", "/dev/null", *options], check=True, env={"PATH": SYSTEM})
    print("ready", flush=True)
    os.chdir("/root")
    while True:
        ended, _, _ = select.select([sys.stdin], [], [], 0.5)
        if ended and not os.read(0, 1):
            return
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _be_a_host(json.loads(sys.argv[1]))
