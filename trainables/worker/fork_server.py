"""Imports everything that trainings need once, then forks a training process for each slot's request: `main(…)`.

A slot connects to the server's Unix socket. It sends its niceness (Ray gives its workers 15) and one end of a pipe,
which its child will serve, as `training_server` does. The server answers with the child's pid and a pidfd. When the
child has ended, it sends the exit code on the same connection, which closes when the server ends. It forks only while
it has one thread: a lock that another thread holds would stay locked in the child for ever.
docs/decisions/training_processes.md explains why processes are forked.
"""

import contextlib
import fcntl
import gc
import os
import signal
import socket
import struct
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final

import numpy as np

from trainables.worker.training_server import WarmUp, serve

MESSAGE: Final = struct.Struct("=i")
"""The format of all messages, one number. A slot sends its niceness, together with a pipe. The server sends a pid,
together with a pidfd, and later an exit code as in `subprocess`."""


@dataclass(frozen=True)
class _Child:
    """A child, and the connection to its slot."""

    pid: int
    slot: socket.socket


def main(owner: int, listener: int) -> None:
    """Serves until the owner's pipe closes; the owner sends a `WarmUp` first.

    Args:
        owner: the descriptor of a pipe to the process that started this one.
        listener: the descriptor of a Unix socket on which slots connect.
    """
    owner_pipe, server_socket = Connection(owner), socket.socket(fileno=listener)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the driver handles them; stopping a Ray job signals all its processes
    _import(owner_pipe.recv(), owner_pipe)
    pipe = _Server(server_socket, owner_pipe).run()
    if pipe is None:
        _remove(Path(server_socket.getsockname()))
    else:  # from here on this is a child
        serve(pipe)


def _remove(path: Path) -> None:
    """Removes the socket and its folder, which stay if the owner is killed."""
    with contextlib.suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def threads() -> int:
    """The number of threads of this process, those of libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _import(warm_up: WarmUp, owner: Connection) -> None:
    """Imports, and then stops the garbage collector from writing to memory: the children share unchanged pages.

    Imports take ten seconds. If the owner dies meanwhile, SIGIO ends this process at once.
    """
    gc.disable()
    flags = fcntl.fcntl(owner, fcntl.F_GETFL)
    fcntl.fcntl(owner, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(owner, fcntl.F_SETFL, flags | os.O_ASYNC)
    warm_up.imports()
    fcntl.fcntl(owner, fcntl.F_SETFL, flags)
    gc.collect()
    gc.freeze()


class _Server:
    """Handles all events: a slot that requests a process, a child that has ended, an owner that has closed its pipe."""

    def __init__(self, listener: socket.socket, owner: Connection) -> None:
        self._listener, self._owner = listener, owner
        self._waiting_slots: list[socket.socket] = []
        self._children: dict[int, _Child] = {}  # by pidfd

    def run(self) -> Connection | None:
        """Forks for each request. Returns the pipe in a child, and None in the server when it has to end.

        It also ends if it has more than one thread; then slots start their own processes.
        """
        while self._owner not in (ready := wait([self._owner, self._listener, *self._waiting_slots, *self._children])):
            if threads() > 1:
                return None
            for source in ready:
                pipe = self._handle(source)
                if pipe is not None:
                    return pipe
        return None

    def _handle(self, source: object) -> Connection | None:
        if source is self._listener:
            self._waiting_slots.append(self._listener.accept()[0])
        elif isinstance(source, int):
            _report_end(source, self._children.pop(source))
        elif isinstance(source, socket.socket):
            self._waiting_slots.remove(source)
            return self._fork(source)
        return None

    def _fork(self, slot: socket.socket) -> Connection | None:
        """Forks; returns the pipe in the child, and None in the server."""
        niceness, pipe = _read_request(slot)
        try:
            pid = os.fork() if pipe is not None else None
        except OSError:  # no memory or no free pid: the slot's connection is closed
            pid = None
        if pid == 0:
            self._set_up_child(slot, niceness)
            return pipe
        if pipe is not None:
            pipe.close()
        if pid is None:
            slot.close()
        else:
            self._answer(slot, pid)
        return None

    def _answer(self, slot: socket.socket, pid: int) -> None:
        """Sends a slot its child's pid and pidfd. The pid is still valid: only this process can wait for the child."""
        descriptor = os.pidfd_open(pid)
        self._children[descriptor] = _Child(pid, slot)
        with contextlib.suppress(OSError):  # the slot has ended: the child will end, too
            socket.send_fds(slot, [MESSAGE.pack(pid)], [descriptor])

    def _set_up_child(self, slot: socket.socket, niceness: int) -> None:
        """Closes the server's connections, and resets state that a newly started process would not share."""
        os.setsid()
        with contextlib.suppress(OSError):  # a process may not lower its niceness
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        self._owner.close()
        for connection in (self._listener, slot, *self._waiting_slots):
            connection.close()
        for descriptor, sibling in self._children.items():
            os.close(descriptor)
            sibling.slot.close()
        np.random.seed()  # Python itself reseeds `random` after a fork
        gc.enable()


def _read_request(slot: socket.socket) -> tuple[int, Connection | None]:
    """The niceness and the pipe that a slot sends; the pipe is None if the slot has ended."""
    try:
        message, descriptors, _, _ = socket.recv_fds(slot, MESSAGE.size, 1)
    except ConnectionError:
        return 0, None
    return (MESSAGE.unpack(message)[0], Connection(descriptors[0])) if descriptors else (0, None)


def _report_end(descriptor: int, child: _Child) -> None:
    """Sends a slot its child's exit code, after ending all processes that are left in the child's session."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)  # the pid is still valid: nobody has waited for it
    code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    with contextlib.suppress(OSError):
        child.slot.send(MESSAGE.pack(code))
    child.slot.close()
    os.close(descriptor)
