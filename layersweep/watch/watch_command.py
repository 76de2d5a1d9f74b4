"""Opens the page of recorded sweeps in the browser, while they run and afterwards; several are side by side.

    layersweep watch [NAME ...] [--results results] [--port N] [--no-open]

Without a name it lists all sweeps. It serves the page on this machine alone, until Ctrl-C.
"""

import contextlib
import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import tyro

from layersweep.escaping import terminal, to_html
from layersweep.exit_codes import OK
from layersweep.records.errors import ResultsError
from layersweep.watch.access import Access
from layersweep.watch.address_file import address_file, remove_private, write_private
from layersweep.watch.answers import RecordedAnswers
from layersweep.watch.server import WatchServer, listen

_LAST_PORT: Final = 65_535
_REDIRECTION: Final = '<!DOCTYPE html><meta http-equiv="refresh" content="0; url={url}">\n'


@dataclass(frozen=True, kw_only=True)
class Options:
    """Opens the page of recorded sweeps in the browser."""

    sweeps: tyro.conf.Positional[tuple[str, ...]] = ()
    """The names of recorded sweeps; several are shown side by side. Without a name, all are listed."""
    results: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("results")
    """The results folder."""
    port: Annotated[int, tyro.conf.arg(metavar="N", help_behavior_hint="(default: the first free one from 8400)")] = 0
    """The port at which the page is served."""
    no_open: bool = False
    """Only print the address."""


def main(arguments: Sequence[str]) -> int:
    """`layersweep watch`; returns the exit code.

    Raises:
        ResultsError: if there is no results folder, a sweep is not recorded or cannot be read, or the port is taken.
    """
    options = tyro.cli(
        Options,
        args=list(arguments),
        prog="layersweep watch",
        description=__doc__,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    _check(options)
    try:
        listener = listen(options.port or None)
    except OSError as error:
        raise ResultsError(f"port {options.port} cannot be used: {error.strerror}; set another with --port") from error
    access = Access(port=listener.getsockname()[1])
    is_terminal = sys.stdout.isatty()
    file = address_file(options.results, f"port-{access.port}").with_suffix(".html" if is_terminal else ".address")
    text = _REDIRECTION.format(url=to_html(access.url)) if is_terminal else access.line
    with WatchServer(listener, access, RecordedAnswers(options.results, options.sweeps)) as server:
        try:
            _show(access, options, file, text)
            server.run()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
        finally:
            remove_private(file, text)
    return OK


def _check(options: Options) -> None:
    """Checks what the command line names.

    Raises:
        ResultsError: if it is not there, or cannot be read.
    """
    from layersweep.records.overview import check_recorded, names
    from layersweep.records.read import read

    if not 0 <= options.port <= _LAST_PORT:
        raise ResultsError(f"--port {options.port} is not valid; valid: 1 to {_LAST_PORT}")
    names(options.results)
    for sweep in options.sweeps:
        check_recorded(options.results, sweep)
        for table in ("runs", "plan", "trials"):
            read(options.results, table, sweep, columns=("sweep",))  # of a newer schema?


def _show(access: Access, options: Options, file: Path, text: str) -> None:
    """Prints the address at a terminal and opens it; else prints only where the address is.

    The browser gets it from the file too, since every user can read a command line.

    Raises:
        ResultsError: if the file is needed and cannot be written.
    """
    if not sys.stdout.isatty():
        write_private(file, text)
        sys.stdout.write(terminal(f"watch    the address is in {file}; Ctrl-C ends\n"))
        sys.stdout.flush()
        return
    sys.stdout.write(f"watch    {access.url}\n         Ctrl-C ends\n")
    sys.stdout.flush()
    if not options.no_open and _has_screen():
        with contextlib.suppress(ResultsError):
            write_private(file, text)
            threading.Thread(target=webbrowser.open, args=[file.as_uri()], daemon=True).start()


def _has_screen() -> bool:
    """Whether a browser has a window of its own: one in the terminal would take that."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
