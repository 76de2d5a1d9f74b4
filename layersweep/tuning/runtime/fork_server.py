"""The fork server of a command: it imports TensorFlow once, for all slots of this machine, while Ray starts."""

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

from layersweep.tuning.runtime.processes import StartedProcess, end, start
from trainables.worker.training_server import WarmUp

_BACKLOG: Final = 1024
_EXIT_SECONDS: Final = 10.0


@contextmanager
def running_server(warm_up: WarmUp, folder: Path | None = None) -> Iterator[Path | None]:
    """While inside, a fork server runs. The value is its socket; slots can use it at once, only the user can read it.

    The socket is in a new folder below `folder`, or below the system's temporary folder.

    None where no fork server can run: it needs Linux with pidfds.
    """
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="fork-", dir=folder, ignore_cleanup_errors=True) as private_folder:
        path = Path(private_folder) / "socket"
        pipe, process = _start(path)
        with contextlib.suppress(OSError):
            pipe.send(warm_up)
        try:
            yield path
        finally:
            pipe.close()
            end(process, within=_EXIT_SECONDS)


def _start(path: Path) -> tuple[Connection, StartedProcess]:
    pipe, server_end = Pipe()
    with server_end, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen(_BACKLOG)
        return pipe, start(server_end, listener, module="trainables.worker.fork_server")
