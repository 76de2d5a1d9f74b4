"""Errors that callers of this package may catch."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

_FULL: Final = "free the disk and run again"
_ADVICE: Final[Mapping[int | None, str]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "make the disk writable and run again",
    errno.EIO: "check the disk and run again",
    errno.ESTALE: "mount the folder again and run again",
}


class ResultsError(Exception):
    """Results cannot be read or written; the message names the path and says what to do."""


class BusyError(ResultsError):
    """Another command is using the sweep."""


def reason(error: OSError) -> str:
    """Why the system refuses, in the system's words."""
    return os.strerror(error.errno) if error.errno else str(error)


@contextmanager
def results_errors(problem: str) -> Iterator[None]:
    """Turns a refusal of the system (a full, broken or read-only disk) into a ResultsError, which says what to do.

    Args:
        problem: what cannot be done, for example `cannot write <path>`.
    """
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno, "mend that and run again")
        raise ResultsError(f"{problem}: {reason(error)}; {advice}") from error
