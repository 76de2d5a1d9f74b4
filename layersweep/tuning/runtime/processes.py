"""The two kinds of training processes: a new one, which must import TensorFlow, and one that a fork server forks."""

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
from trainables.worker.fork_server import MESSAGE

_ANSWER_SECONDS: Final = 5.0


class StartedProcess(subprocess.Popen[bytes]):
    """A new process in a session of its own."""

    def kill(self) -> None:
        """Kills it, and the processes that it may have started."""
        os.killpg(self.pid, signal.SIGKILL)


class ForkedProcess:
    """A process that a fork server forks when it is ready, and waits for.

    Args:
        server: the connection on which the server sends the process' pid, and later its exit code.
    """

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self._pid: int | None = None
        self._handle: int | None = None
        self._code: int | None = None

    @property
    def pid(self) -> int | None:
        """The process' pid; None before the fork, and for ever if the server never forks it."""
        if self._pid is None:
            self._receive(0)
        return self._pid

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for its end; returns its exit code, or None if the server ended before it or never forked it.

        Raises:
            subprocess.TimeoutExpired: if it still runs after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._server.fileno() >= 0:
            self._check_in_time(self._receive(_seconds_left(deadline)), timeout)
        if self._handle is not None:
            self._check_in_time(bool(wait([self._handle], _seconds_left(deadline))), timeout)
            os.close(self._handle)
            self._handle = None
        return self._code

    def kill(self) -> None:
        """Kills it and the processes that it started. One that is not forked yet will find its pipe closed."""
        if self.pid is None:
            self._server.close()
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def _receive(self, timeout: float | None) -> bool:
        """Receives the server's next message; False if none came in time. The last one closes the connection."""
        if self._server.fileno() < 0:
            return True
        if not wait([self._server], timeout):
            return False
        try:
            message, handles, _, _ = socket.recv_fds(self._server, MESSAGE.size, 1)
        except ConnectionError:
            message, handles = b"", []
        if message and self._pid is None:
            self._handle, (self._pid,) = handles[0], MESSAGE.unpack(message)
            return True
        if message:
            (self._code,) = MESSAGE.unpack(message)
        self._server.close()
        return True

    @staticmethod
    def _check_in_time(is_in_time: bool, timeout: float | None) -> None:
        if not is_in_time:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)


Process: TypeAlias = StartedProcess | ForkedProcess
"""A training process, for its slot."""


def end(process: Process | subprocess.Popen[bytes], *, within: float) -> None:
    """Waits for a process that was asked to end, and kills it if it still runs after `within` seconds."""
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def start(
    *connections: Connection | socket.socket, module: str = "trainables.worker.training_server"
) -> StartedProcess:
    """Starts a process that runs the `main` of a module with the file numbers of these connections."""
    handles = [connection.fileno() for connection in connections]
    return StartedProcess(
        [sys.executable, "-c", f"from {module} import main; main({', '.join(map(str, handles))})"],
        pass_fds=handles,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | ENVIRONMENT,
    )


def fork(fork_server: Path, pipe: Connection) -> ForkedProcess | None:
    """Asks the fork server at this socket for a process that serves this end of a pipe; None if no server answers.

    A server that is still importing forks later. One that dies before closes the pipe.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        server.settimeout(_ANSWER_SECONDS)
        server.connect(str(fork_server))
        socket.send_fds(server, [MESSAGE.pack(os.getpriority(os.PRIO_PROCESS, 0))], [pipe.fileno()])
    except OSError:  # the server has died, or is on another machine
        server.close()
        return None
    return ForkedProcess(server)
