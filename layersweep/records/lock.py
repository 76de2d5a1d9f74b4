"""The lock of a sweep: only one command at a time may use it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from layersweep.records.errors import BusyError, results_errors

_MOMENT: Final = 0.2
"""Seconds: so long a command tries to lock its sweep, because `is_busy` of another one holds it for a moment."""

_own_locks: Final[set[Path]] = set()


@contextmanager
def sweep_lock(results: Path, sweep: str) -> Iterator[None]:
    """Holds the sweep's lock, `results/.state/<sweep>.lock`; the system releases it when the process ends.

    Raises:
        BusyError: if another command holds it.
        ResultsError: if the results folder cannot be written.
    """
    import filelock

    file = _lock_file(results, sweep)
    lock = filelock.FileLock(file)
    with results_errors(f"cannot lock the sweep {sweep!r} in {results}"):
        try:
            lock_guard = lock.acquire(timeout=_MOMENT, poll_interval=_MOMENT / 4)
        except filelock.Timeout:
            raise BusyError(f"another command is running the sweep {sweep!r} in {results}: wait for it") from None
    with lock_guard:
        _own_locks.add(file)
        try:
            yield
        finally:
            _own_locks.discard(file)


def is_busy(results: Path, sweep: str) -> bool:
    """Whether another process holds the sweep's lock: a command runs the sweep, or deletes it."""
    file = _lock_file(results, sweep)
    if file in _own_locks:
        return False
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:  # never locked, or not ours to read
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    finally:
        os.close(descriptor)
    return False


def is_own(results: Path, sweep: str) -> bool:
    """Whether this process holds the sweep's lock."""
    return _lock_file(results, sweep) in _own_locks


def _lock_file(results: Path, sweep: str) -> Path:
    return results.absolute() / ".state" / f"{sweep}.lock"
