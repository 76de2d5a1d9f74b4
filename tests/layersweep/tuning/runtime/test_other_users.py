"""A second user of this machine tries what a running sweep has: token, sockets, address, records, checkpoints.

`pytest -s` shows each refusal.
"""

import contextlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path

import killable
import psutil
import pytest

from layersweep.tuning.doctor import probe
from layersweep.tuning.runtime import ray_runtime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("useradd") is None, reason="a second user needs root and useradd"
    ),
]
NAME = "layersweep-other"


@pytest.fixture(scope="module")
def other():
    """A user who is new on this machine."""
    subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/false", NAME], check=True, capture_output=True)
    try:
        yield pwd.getpwnam(NAME)
    finally:
        subprocess.run(["userdel", NAME], check=True, capture_output=True)


@pytest.fixture(scope="module")
def machine():
    """A folder that every user can enter and write, as /tmp is, with the first user's home in it."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        (folder / "home").mkdir(mode=0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOME", str(folder / "home"))
            patch.setenv("RAY_TMPDIR", name)
            patch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
            yield folder


def attempt(user: pwd.struct_passwd, action: Callable[[], object]) -> str:
    """What an action of this user ends with: `done`, or the error."""
    receiver, sender = Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        answer = "done"
        try:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            action()
        except OSError as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            sender.send(answer)
            os._exit(0)
    os.waitpid(child, 0)
    return receiver.recv()


def connect(path: Path) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as client:
            try:
                client.connect(str(path))
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise


def bind_in_place_of(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.fixture(scope="module")
def running(machine):
    """A sweep in the middle of its trials, each of which has a checkpoint."""
    flags = ("--set", "seconds=2", "--epochs", "1000", "--checkpoint-every", "1")
    sweep = killable.Running(machine / "home" / "results", *flags)
    sweep.more(1)
    sweep.until(lambda: list((machine / "home" / "results").glob("**/*.keras")))
    yield sweep
    sweep.kill()


def test_another_user_is_refused_everything_of_a_running_sweep(other, machine, running, monkeypatch):
    home, results = machine / "home", running.results
    own = machine / f"layersweep-{os.getuid()}"
    part = next((results / "epochs").glob("*/*.parquet"))
    checkpoint = next(results.glob("**/*.keras"))
    sockets = {path.name: path for path in own.glob("**/*") if stat.S_ISSOCK(path.lstat().st_mode)}
    assert sockets.keys() >= {"plasma_store", "raylet"}
    (command,) = own.glob("????????/")
    actions = {
        "read the token": (home / ".ray" / "auth_token").read_text,
        "replace the token": lambda: (home / ".ray" / "auth_token").write_text("mine"),
        "list the token's folder": lambda: [*(home / ".ray").iterdir()],
        "list Ray's folder": lambda: [*own.iterdir()],
        "delete Ray's folder": lambda: own.rename(machine / "moved"),
        "name a head of their own": lambda: (own / "ray" / "ray_current_cluster").write_text("6.6.6.6:6379"),
        "read Ray's logs": lambda: [*(command / "ray" / "session_latest" / "logs").iterdir()],
        "read the driver's environment": lambda: Path(f"/proc/{running.process.pid}/environ").read_bytes(),
        "stop the driver": lambda: os.kill(running.process.pid, 15),
        "list the results": lambda: [*results.iterdir()],
        "read the records": part.read_bytes,
        "replace the records": lambda: part.write_bytes(b""),
        "add to the records": lambda: (part.parent / "00000099-00000099.parquet").write_bytes(b""),
        "read a checkpoint": checkpoint.read_bytes,
        "replace a checkpoint": lambda: checkpoint.write_bytes(b""),
        **{f"connect to {name}": lambda path=path: connect(path) for name, path in sockets.items()},
        **{f"take the place of {name}": lambda path=path: bind_in_place_of(path) for name, path in sockets.items()},
    }
    answers = {what: attempt(other, action) for what, action in actions.items()}
    print("", *(f"{what}: {answer}" for what, answer in answers.items()), sep="\n")
    assert {what for what, answer in answers.items() if not answer.startswith("PermissionError")} == set()
    assert running.process.poll() is None


def test_what_listens_asks_for_the_token(running):
    """Ray listens on every address; no port lets a request in that has no token."""
    pids = {process.pid for process in running.tree()}
    ports = {c.laddr.port for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid in pids}
    assert ports
    assert {port for port in ports if probe.answers_without_token(f"127.0.0.1:{port}")} == set()


def test_the_head_that_another_user_names_is_not_joined(other, machine, monkeypatch):
    """In Ray's usual folder anybody can write the file with the address of "the current cluster"."""
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", str(machine))
    with socket.create_server(("127.0.0.1", 0)) as head:
        head.settimeout(0.2)
        ray = machine / "ray"

        def name_a_head() -> None:
            ray.mkdir(mode=0o777)
            (ray / "ray_current_cluster").write_text(f"127.0.0.1:{head.getsockname()[1]}")

        assert attempt(other, name_a_head) == "done"
        assert ray_runtime.cluster_address() is None
        with contextlib.suppress(TimeoutError):
            head.accept()
            pytest.fail("the stranger's head was connected to")
