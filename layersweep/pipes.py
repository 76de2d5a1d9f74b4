"""What happens when nobody reads a command's output any more, as after `| head`: it ends without a word."""

import os
import select
import sys
from collections.abc import Callable
from typing import Final

from layersweep.exit_codes import BROKEN_PIPE

_GONE: Final = select.POLLERR | select.POLLHUP | select.POLLNVAL


def ends_with_its_reader(command: Callable[[], int]) -> int:
    """Runs a command; returns its exit code, or that of Unix tools if its output is a pipe that nobody reads any more.

    What the command has begun is ended as after any other error. Only the pipe of its output is meant: if another one
    breaks, the error is raised.

    Raises:
        SystemExit: as the command does.
    """
    try:
        try:
            return command()
        finally:
            _flush()  # else the interpreter fails to do so when it ends
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        _discard_output()
        return BROKEN_PIPE


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _reader_is_gone() -> bool:
    """Whether nobody reads what this process writes."""
    poll = select.poll()
    for descriptor in _descriptors():
        poll.register(descriptor, select.POLLOUT)
    return any(events & _GONE for _, events in poll.poll(0))


def _discard_output() -> None:
    """Lets what is not written yet vanish, instead of failing once more at the interpreter's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _descriptors():
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _descriptors() -> list[int]:
    """The file descriptors of the two outputs, as far as these are files."""
    descriptors = []
    for stream in (sys.stdout, sys.stderr):
        try:
            descriptors.append(stream.fileno())
        except (AttributeError, OSError, ValueError):  # none, replaced by one in memory, or closed
            continue
    return descriptors
