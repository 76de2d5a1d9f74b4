"""The log of a trial has a bound: of what a training prints without end, the last part stays, in two files."""

import os
import shutil
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 16 << 20
"""About so much of a trial's output stays, half of it in `<trial_id>.log` and half in `<trial_id>.log.1`."""


def cut(log: Path, most_bytes: int = MOST_BYTES) -> None:
    """Moves the content of a long log to `<log>.1`, of which only the end stays.

    A process that appends to the log goes on at its beginning; a line that it writes meanwhile may be lost. A log that
    is missing or cannot be cut is left alone.
    """
    half = most_bytes // 2
    try:
        if log.stat().st_size <= half:
            return
        with log.open("rb") as file, earlier(log).open("wb") as target:
            file.seek(-half, os.SEEK_END)
            shutil.copyfileobj(file, target)
        os.truncate(log, 0)
    except OSError:
        return


def earlier(log: Path) -> Path:
    """The file with a log's earlier lines."""
    return log.with_name(f"{log.name}.1")
