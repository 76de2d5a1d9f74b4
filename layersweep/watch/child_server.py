"""The server that a sweep's command starts: a process of its own, which the sweep neither waits for nor needs.

The command listens at a port itself, so that it can tell the address at once, and gives the socket to the process. The
token goes through a pipe, since every user can read a command line. When the command ends, however it does, the pipe
ends too: so the process learns of it.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.records.errors import ResultsError
from layersweep.watch.access import Access
from layersweep.watch.address_file import address_file, remove_private, write_private
from layersweep.watch.server import WatchServer, listen

if TYPE_CHECKING:
    from rich.console import Console

MODULE: Final = "layersweep.watch"

_END_SECONDS: Final = 1.0
_THREADS: Final = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""A page must not take the processors from the trials."""
_NICENESS: Final = 10

_watched_processes: Final[list[subprocess.Popen[bytes]]] = []
"""Servers that a browser still shows when their sweep has ended."""


@contextmanager
def served_page(results: Path, sweep: str, console: "Console") -> Iterator[None]:
    """Serves the page of a sweep while it runs; a server that cannot start is one line, and the sweep goes on.

    Only a terminal gets the address: what is none may be a log, which others read. A quiet console gets no server.

    Args:
        results: the results folder.
        sweep: the sweep.
        console: where the sweep prints.
    """
    if console.quiet:
        yield
        return
    process, file = None, address_file(results, sweep)
    is_terminal = console.file.isatty()
    try:
        process, access = _start(results, sweep, file, needs_file=not is_terminal)
        line = access.url if is_terminal else f"the address is in {file}"
    except (OSError, ResultsError) as error:
        line = f"the page to watch the sweep cannot be served: {error}. The sweep goes on"
    console.print(f"watch    {line}", soft_wrap=True)
    try:
        yield
    finally:
        if process is not None:
            _release(process)


def _start(results: Path, sweep: str, file: Path, *, needs_file: bool) -> tuple[subprocess.Popen[bytes], Access]:
    """Starts the process that serves a sweep's page; without the file where others could read it, if it is not needed.

    Raises:
        OSError, ResultsError: if it cannot be started, or its address cannot be written.
    """
    with listen() as listener:
        access = Access(port=listener.getsockname()[1])
        try:
            write_private(file, access.line)
        except ResultsError:
            if needs_file:
                raise
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C ends the sweep, not the page
                env=os.environ | _THREADS,
            )
        except OSError:
            remove_private(file, access.line)
            raise
    settings = {**access.values, "results": os.fspath(results.absolute()), "sweep": sweep, "file": os.fspath(file)}
    pipe = process.stdin
    assert pipe is not None
    pipe.write(f"{json.dumps(settings)}\n".encode())
    pipe.flush()
    return process, access


def _release(process: subprocess.Popen[bytes]) -> None:
    """Tells the process that the sweep has ended; it goes on while a browser shows the page."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        _watched_processes.append(process)


def main(arguments: Sequence[str]) -> None:
    """Serves at the socket of this file number until the sweep's command has ended and no browser shows the page."""
    import socket

    from layersweep.watch.answers import RecordedAnswers

    os.nice(_NICENESS)
    listener = socket.socket(fileno=int(arguments[0]))
    with os.fdopen(0, "rb", buffering=0, closefd=False) as pipe:
        settings: dict[str, str] = json.loads(pipe.readline())
    access = Access.of_values(listener.getsockname()[1], settings)
    results, file = Path(settings["results"]), Path(settings["file"])
    server = WatchServer(listener, access, RecordedAnswers(results, [settings["sweep"]]))
    try:
        server.run(owner=0)
    finally:
        remove_private(file, access.line)
