"""The lock of a sweep: only one command at a time may use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from layersweep.records.errors import BusyError, results_errors

_own_locks: Final[set[Path]] = set()
_LOCKS: Final = Path("/proc/locks")


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
            lock_guard = lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BusyError(f"another command is running the sweep {sweep!r} in {results}: wait for it") from None
    with lock_guard:
        _own_locks.add(file)
        try:
            yield
        finally:
            _own_locks.discard(file)


def is_own(results: Path, sweep: str) -> bool:
    """Whether this process holds the sweep's lock."""
    return _lock_file(results, sweep) in _own_locks


def is_busy(results: Path, sweep: str) -> bool:
    """Whether a process of this machine holds the sweep's lock: a command runs the sweep, or deletes it.

    The lock is not touched, so that no command is refused by it.

    Only Linux lists locks. Elsewhere the answer is yes if there is a lock file: a command may hold it.
    """
    try:
        number = _lock_file(results, sweep).stat().st_ino
        locks = _LOCKS.read_text()
    except FileNotFoundError:
        return _lock_file(results, sweep).exists()
    except OSError:
        return False
    return any(line.split()[5].rpartition(":")[2] == str(number) for line in locks.splitlines() if " -> " not in line)


def lists_locks() -> bool:
    """Whether `is_busy` knows: it does on Linux."""
    return _LOCKS.exists()


def _lock_file(results: Path, sweep: str) -> Path:
    return results.absolute() / ".state" / f"{sweep}.lock"
