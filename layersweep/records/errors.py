"""Errors that callers of this package may catch."""

import errno
import os
import re
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
    number = _number(error)
    return os.strerror(number) if number else str(error)


@contextmanager
def results_errors(problem: str) -> Iterator[None]:
    """Turns a refusal of the system (a full, broken or read-only disk) into a ResultsError, which says what to do.

    Args:
        problem: what cannot be done, for example `cannot write <path>`.
    """
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(_number(error), "mend that and run again")
        raise ResultsError(f"{problem}: {reason(error)}; {advice}") from error


def _number(error: OSError) -> int | None:
    """The system's number of an error; Polars has it in its text only."""
    match = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno or (int(match[1]) if match else None)
