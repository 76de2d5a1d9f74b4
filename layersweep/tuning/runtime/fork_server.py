"""The fork server of a command: it imports TensorFlow once, while Ray starts, for all slots on this machine."""

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from layersweep.tuning.runtime.processes import Started, end, start
from trainables.worker.training_server import WarmUp

_BACKLOG: Final = 1024
_FAREWELL_SECONDS: Final = 10.0


@contextmanager
def started(warm_up: WarmUp) -> Iterator[Path | None]:
    """While inside, a fork server; its socket, on which slots may ask at once, in a folder that is the user's alone.

    None where there can be none: it takes a Linux with pidfds.
    """
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="layersweep-fork-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "socket"
        owner, process = _start(path)
        with contextlib.suppress(OSError):
            owner.send(warm_up)
        try:
            yield path
        finally:
            owner.close()
            end(process, within=_FAREWELL_SECONDS)


def _start(path: Path) -> tuple[Connection, Started]:
    owner, theirs = Pipe()
    with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(path))
        door.listen(_BACKLOG)
        return owner, start(theirs, door, module="trainables.worker.fork_server")
