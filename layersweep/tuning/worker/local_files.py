"""A slot's own place for a trial's files, on a machine that does not see the results."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import filelock

from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.file_transfer import DriverFiles, write
from trainables.data.dataset import brought
from trainables.errors import DataError

_PREFIX: Final = "layersweep-slot-"


_LOCKED: Final = ".lock"


_LOG_BYTES: Final = 64 << 10
"""Of the end of a log, which is all that comes home."""


class NotFetchedError(Exception):
    """A file of the driver's machine could not be brought here."""


class LocalFiles:
    """A slot's own place for the files of one trial after another, on a machine that does not see the results."""

    def __init__(self, depot: DriverFiles) -> None:
        self._depot = depot
        _sweep_up()
        self._folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{secrets.token_hex(8)}"
        self._lock = filelock.FileLock(_lock(self._folder))
        self._lock.acquire()
        self._folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Deletes what is here."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _lock(self._folder).unlink(missing_ok=True)
        self._lock.release()

    def ticket(self, ticket: Assignment) -> Assignment:
        """A trial's ticket with files of this machine: data and weights are brought here, what is written stays here.

        Raises:
            NotFetchedError: if a file could not be brought.
        """
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
            return replace(
                ticket,
                trial=with_data_here(ticket.trial, self._depot),
                log=self._folder / ticket.log.name,
                checkpoints=self._folder / "checkpoints",
                results=self._folder / "results",
                start=self._fetched(ticket.start),
                parent=self._fetched(ticket.parent),
                located={key: str(self._fetched(Path(path))) for key, path in ticket.located.items()},
            )
        except OSError as error:
            raise NotFetchedError(f"a file of the driver's machine could not be brought here: {error}") from error

    def _fetched(self, path: Path | None) -> Path | None:
        return None if path is None else self._depot.fetch(path, self._folder / "fetched" / path.name)

    def send(self, path: Path, target: Path) -> str | None:
        """Copies a file home; returns why that failed, if it did."""
        try:
            self._depot.send(path, target)
        except OSError as error:
            return f"{path.name} could not be brought to {target.parent}: {error.strerror or error}"
        return None

    def send_log(self, path: Path, target: Path) -> None:
        """Copies the end of a log home, if it says anything; a log that does not arrive costs nothing else."""
        if not path.is_file() or not path.stat().st_size:
            return
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read()
        self.tidy(write, target, text)

    def tidy(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls a function on the driver's machine whose failure costs space alone."""
        with contextlib.suppress(OSError):
            self._depot.do(function, *arguments, **options)


def _sweep_up() -> None:
    """Deletes what slots of this machine have left that were killed: their locks are free."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCKED}"):
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(lock, timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCKED}")


def with_data_here(trial: Trial, depot: DriverFiles) -> Trial:
    """A trial whose data set is in this machine's cache, brought there if need be.

    Raises:
        NotFetchedError: if it could not be brought.
    """
    try:
        return replace(trial, data=brought(trial.data, depot.piece))
    except (OSError, DataError) as error:
        raise NotFetchedError(f"the data set could not be brought here: {error}") from error
