"""Interrupted work in the cache: what a killed process of this machine has left is removed by the next start."""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trainables.data.cache import LEFTOVER_SECONDS, TEMPORARY, cache_root, host_name

_SCRATCH: Final = ".decoding-"
_VARIANT: Final = r"(-\d+x\d+-[a-z_]+-[a-z_]+)?"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder of the cache, for the time of a decoding; arrays of its files stay readable after it is gone."""
    folder = cache_root() / f"{_SCRATCH}{host_name()}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o770, parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(name: str) -> None:
    """Removes what killed processes of this machine have left of a data set; the caller holds its lock."""
    host, states = re.escape(host_name()), "|".join(TEMPORARY)
    temporary = re.compile(rf"\.({states})-{re.escape(name)}-[0-9a-f]{{16}}{_VARIANT}-{host}")
    scratch = re.compile(rf"{re.escape(_SCRATCH)}{host}-(\d+)")
    with os.scandir(cache_root()) as entries:
        paths = [Path(entry) for entry in entries if entry.name.startswith(".")]
    for path in paths:
        process = scratch.fullmatch(path.name)
        if temporary.fullmatch(path.name) or (process and not _runs(int(process[1]))):
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith(_SCRATCH) and path.is_file() and not _is_open(path):
            path.unlink(missing_ok=True)  # the first version decoded into a file in the cache


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_open(path: Path) -> bool:
    """Whether another process has a file open; where the system cannot say it, whether it is new."""
    try:
        with path.open("rb") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):
        with contextlib.suppress(FileNotFoundError):
            return time.time() - path.stat().st_mtime < LEFTOVER_SECONDS
    return False
