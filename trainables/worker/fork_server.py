"""Imports what trainings need once, then forks a process that serves them for each slot that asks: `main(…)`.

A slot connects to the server's Unix socket and sends its niceness (Ray gives its workers 15) and one end of a pipe,
which its child will serve as `training_server` does. The server answers with the child's pid and a pidfd, and when the
child has ended with its exit code, on the same connection, which ends with the server. It forks only while it has one
thread: a lock that another thread holds would stay locked in the child for ever. Why processes are forked:
docs/decisions/training_processes.md.
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

WORD: Final = struct.Struct("=i")
"""What a slot says: its niceness (the pipe comes with it). What the server says: a pid (a pidfd comes with it), then an
exit code as `subprocess` gives it."""


@dataclass(frozen=True)
class _Forked:
    """A child, and the connection to the slot that asked for it."""

    pid: int
    slot: socket.socket


def main(owner: int, listener: int) -> None:
    """Serves until the owner's pipe closes; the owner sends a `WarmUp` first.

    Args:
        owner: the descriptor of a pipe to the process that started this one.
        listener: that of a Unix socket on which slots are waiting, perhaps.
    """
    pipe, door = Connection(owner), socket.socket(fileno=listener)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the driver hears them; a Ray job that is stopped tells all below it
    _import(pipe.recv(), pipe)
    served = _Server(door, pipe).run()
    if served is None:
        _remove(Path(door.getsockname()))
    else:  # from here on this is a child
        serve(served)


def _remove(path: Path) -> None:
    """Removes the socket and its folder, which an owner that was killed leaves behind."""
    with contextlib.suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def threads() -> int:
    """How many threads this process has, those of libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _import(warm_up: WarmUp, owner: Connection) -> None:
    """Imports, and leaves the memory as it is from then on: pages that nobody writes to are shared with the children.

    Imports take ten seconds; an owner that dies meanwhile takes this process along at once, by SIGIO.
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
    """Attends to whoever has something to say: a slot that asks, a child that has ended, the owner that goes."""

    def __init__(self, door: socket.socket, owner: Connection) -> None:
        self._door, self._owner = door, owner
        self._asking: list[socket.socket] = []
        self._children: dict[int, _Forked] = {}  # by pidfd

    def run(self) -> Connection | None:
        """Forks for each slot that asks. Returns in a child its pipe; in the server None, when it is to end.

        It ends as well when it finds that it has more than one thread; then slots start processes of their own.
        """
        while self._owner not in (ready := wait([self._owner, self._door, *self._asking, *self._children])):
            if threads() > 1:
                return None
            for one in ready:
                pipe = self._attend(one)
                if pipe is not None:
                    return pipe
        return None

    def _attend(self, one: object) -> Connection | None:
        if one is self._door:
            self._asking.append(self._door.accept()[0])
        elif isinstance(one, int):
            _bury(one, self._children.pop(one))
        elif isinstance(one, socket.socket):
            self._asking.remove(one)
            return self._fork(one)
        return None

    def _fork(self, slot: socket.socket) -> Connection | None:
        """Forks; returns in the child its pipe."""
        niceness, pipe = _asked(slot)
        try:
            pid = os.fork() if pipe is not None else None
        except OSError:  # no memory, no number left: the slot reads it from the end of its connection
            pid = None
        if pid == 0:
            self._become_a_child(slot, niceness)
            return pipe
        if pipe is not None:
            pipe.close()
        if pid is None:
            slot.close()
        else:
            self._tell(slot, pid)
        return None

    def _tell(self, slot: socket.socket, pid: int) -> None:
        """Tells a slot of its child, which nobody but this process can wait for: its pid is certainly its own."""
        handle = os.pidfd_open(pid)
        self._children[handle] = _Forked(pid, slot)
        with contextlib.suppress(OSError):  # the slot has gone: so will the child
            socket.send_fds(slot, [WORD.pack(pid)], [handle])

    def _become_a_child(self, slot: socket.socket, niceness: int) -> None:
        """Lets go of what is the server's, and of what a process started afresh would not share with its siblings."""
        os.setsid()
        with contextlib.suppress(OSError):  # nobody may become less nice
            os.setpriority(os.PRIO_PROCESS, 0, niceness)
        self._owner.close()
        for connection in (self._door, slot, *self._asking):
            connection.close()
        for handle, sibling in self._children.items():
            os.close(handle)
            sibling.slot.close()
        np.random.seed()  # Python does as much for `random`
        gc.enable()


def _asked(slot: socket.socket) -> tuple[int, Connection | None]:
    """The niceness and the pipe that a slot sends; no pipe if it has gone."""
    try:
        word, handles, _, _ = socket.recv_fds(slot, WORD.size, 1)
    except ConnectionError:
        return 0, None
    return (WORD.unpack(word)[0], Connection(handles[0])) if handles else (0, None)


def _bury(handle: int, child: _Forked) -> None:
    """Tells a slot how its child ended; what that has left in its session ends with it."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)  # not waited for yet, it keeps its number
    code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
    with contextlib.suppress(OSError):
        child.slot.send(WORD.pack(code))
    child.slot.close()
    os.close(handle)
