"""The two ways to a training process: started afresh, which imports TensorFlow anew, or forked by a fork server."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, TypeAlias

from trainables.hardware import ENVIRONMENT
from trainables.worker.fork_server import WORD

_ANSWER_SECONDS: Final = 5.0


class Started(subprocess.Popen[bytes]):
    """A process with a session of its own."""

    def kill(self) -> None:
        """Ends it, and what it may have started."""
        os.killpg(self.pid, signal.SIGKILL)


class Forked:
    """A process that a fork server makes when it is ready, and waits for.

    Args:
        server: the connection on which the server says the process' pid, and then how it ended.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._pid: int | None = None
        self._handle: int | None = None
        self._code: int | None = None

    @property
    def pid(self) -> int | None:
        """Its number; None before it has been forked, and for ever if the server never did."""
        if self._pid is None:
            self._hear(0)
        return self._pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for its end; returns its exit code, None if the server ended before it or never made it.

        Raises:
            subprocess.TimeoutExpired: if it lives on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._server.fileno() >= 0:
            self._in_time(self._hear(_left(deadline)), timeout)
        if self._handle is not None:
            self._in_time(bool(wait([self._handle], _left(deadline))), timeout)
            os.close(self._handle)
            self._handle = None
        return self._code

    def kill(self) -> None:
        """Ends it; what it may have started ends with it. One that was not made yet will find its pipe closed."""
        if self.pid is None:
            self._server.close()
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _hear(self, timeout: float | None) -> bool:
        """Takes the server's next word; False if none came in time. After its last the connection is closed."""
        if self._server.fileno() < 0:
            return True
        if not wait([self._server], timeout):
            return False
        try:
            word, handles, _, _ = socket.recv_fds(self._server, WORD.size, 1)
        except ConnectionError:
            word, handles = b"", []
        if word and self._pid is None:
            self._handle, (self._pid,) = handles[0], WORD.unpack(word)
            return True
        if word:
            (self._code,) = WORD.unpack(word)
        self._server.close()
        return True

    @staticmethod
    def _in_time(happened: bool, timeout: float | None) -> None:
        if not happened:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)


Process: TypeAlias = Started | Forked
"""A training process, as its slot sees it."""


def end(process: Process | subprocess.Popen[bytes], *, within: float) -> None:
    """Waits for a process that has been told to go, and kills it if it lives on for so many seconds."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def start(*serves: Connection | socket.socket, module: str = "trainables.worker.training_server") -> Started:
    """Starts a process that serves this end of a pipe, and a socket, by the `main` of a module."""
    handles = [one.fileno() for one in serves]
    return Started(
        [sys.executable, "-c", f"from {module} import main; main({', '.join(map(str, handles))})"],
        pass_fds=handles,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | ENVIRONMENT,
    )


def fork(fork_server: Path, pipe: Connection) -> Forked | None:
    """Asks the fork server at this socket for a process that serves this end of a pipe; None if no server is there.

    A server that is still importing will fork later, and one that dies before closes the pipe.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        server.settimeout(_ANSWER_SECONDS)
        server.connect(str(fork_server))
        socket.send_fds(server, [WORD.pack(os.getpriority(os.PRIO_PROCESS, 0))], [pipe.fileno()])
    except OSError:  # it has died, or is on another machine
        server.close()
        return None
    return Forked(server)
