"""The lock of a sweep: only one command at a time may use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layersweep.records.errors import BusyError, ResultsError


@contextmanager
def sweep_lock(results: Path, sweep: str) -> Iterator[None]:
    """Holds the sweep's lock, `results/.state/<sweep>.lock`; the system releases it when the process ends.

    Raises:
        BusyError: if another command holds it.
        ResultsError: if the results folder cannot be written.
    """
    import filelock

    lock = filelock.FileLock(results / ".state" / f"{sweep}.lock")
    try:
        lock_guard = lock.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyError(f"another command is running the sweep {sweep!r} in {results}: wait for it") from None
    except OSError as error:
        raise ResultsError(f"cannot lock the sweep {sweep!r} in {results}: {error.strerror or error}") from error
    with lock_guard:
        yield
