"""A slot's own folder for the files of its trials, on a machine that does not see the results folder."""

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import filelock

from layersweep.tuning.common.script_files import ScriptFiles
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.file_transfer import DriverFiles, DriverScript, write
from trainables.data.cache import cache_root
from trainables.data.dataset import local_copy
from trainables.errors import DataError

_PREFIX: Final = "layersweep-slot-"


_LOCKED: Final = ".lock"

_SCRIPTS: Final = "scripts"
"""The cache's folder for the scripts of sweeps."""


_LOG_BYTES: Final = 64 << 10
"""Only so much of the end of a log is sent to the driver's machine."""


class NotFetchedError(Exception):
    """A file of the driver's machine could not be copied to this machine."""


class LocalFiles:
    """A slot's own folder for the files of one trial after another."""

    def __init__(self, driver_files: DriverFiles) -> None:
        self._driver_files = driver_files
        _delete_leftovers()
        self._folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{secrets.token_hex(8)}"
        self._lock = filelock.FileLock(_lock(self._folder))
        self._lock.acquire()
        self._folder.mkdir(mode=0o700)

    def close(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        _lock(self._folder).unlink(missing_ok=True)
        self._lock.release()

    def localized(self, assignment: Assignment) -> Assignment:
        """An assignment with files of this machine: data and weights are copied here, and output is written here.

        Raises:
            NotFetchedError: if a file could not be copied.
        """
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
            return replace(
                assignment,
                trial=with_local_data(assignment.trial, self._driver_files),
                log=self._folder / assignment.log.name,
                checkpoints=self._folder / "checkpoints",
                results=self._folder / "results",
                start=self._fetch(assignment.start),
                parent=self._fetch(assignment.parent),
                weight_files={key: str(self._fetch(Path(path))) for key, path in assignment.weight_files.items()},
            )
        except OSError as error:
            raise NotFetchedError(
                f"a file of the driver's machine could not be copied to this machine: {error}"
            ) from error

    def _fetch(self, path: Path | None) -> Path | None:
        return None if path is None else self._driver_files.fetch(path, self._folder / "fetched" / path.name)

    def send(self, path: Path, target: Path) -> str | None:
        """Copies a file to the driver's machine; returns why that failed, if it did."""
        try:
            self._driver_files.send(path, target)
        except OSError as error:
            return f"{path.name} could not be copied to {target.parent}: {error.strerror or error}"
        return None

    def send_log(self, path: Path, target: Path) -> None:
        """Copies the end of a log to the driver's machine, if it is not empty; a failure is ignored."""
        if not path.is_file() or not path.stat().st_size:
            return
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read()
        self.try_remotely(write, target, text)

    def try_remotely(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Calls a function on the driver's machine, and ignores a failure of it: it would cost disk space only."""
        with contextlib.suppress(OSError):
            self._driver_files.call(function, *arguments, **options)


def _delete_leftovers() -> None:
    """Deletes the folders that killed slots of this machine have left: their locks are free."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCKED}"):
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(lock, timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCKED}")


def with_local_data(trial: Trial, driver_files: DriverFiles) -> Trial:
    """A trial whose data set is in this machine's cache, copied there if need be.

    Raises:
        NotFetchedError: if it could not be copied.
    """
    try:
        return replace(trial, data=local_copy(trial.data, driver_files.piece))
    except (OSError, DataError) as error:
        raise NotFetchedError(f"the data set could not be copied to this machine: {error}") from error


def with_local_script(assignment: Assignment, driver_files: DriverFiles) -> Assignment:
    """An assignment whose family finds the modules beside the user's script in this machine's copy of them.

    The copy lies in the cache, once on each machine. The driver's own machine uses a copy as well: the script may be
    edited while it runs.

    Raises:
        NotFetchedError: if they could not be copied.
    """
    if driver_files.script is None:
        return assignment
    script_folder, copy = str(driver_files.script.folder), str(_local_script(driver_files, driver_files.script))
    paths = tuple(copy if path == script_folder else path for path in assignment.family.paths)
    return replace(assignment, family=replace(assignment.family, paths=paths))


def _local_script(driver_files: DriverFiles, script: DriverScript) -> Path:
    """The folder on this machine with the files of the driver's script.

    Raises:
        NotFetchedError: if they could not be copied.
    """
    parent = cache_root() / _SCRIPTS
    try:
        with tempfile.TemporaryDirectory(prefix=_SCRIPTS) as temporary:
            archive = driver_files.fetch(script.archive, Path(temporary) / script.archive.name)
            return ScriptFiles.of_archive(archive.read_bytes(), script.name).written(parent)
    except (OSError, ValueError) as error:
        raise NotFetchedError(f"the files of the script could not be copied to this machine: {error}") from error
