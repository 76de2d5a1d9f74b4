"""The driver's disk for slots on machines that do not see it: data, checkpoints, weights and logs go through Ray.

Where the results' folder is shared between the machines, nothing of this is used.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import filelock
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.data import brought
from trainables.errors import DataError

if TYPE_CHECKING:
    from tuning.slot import Ticket
    from tuning.sweep import Trial

PIECE: Final = 16 << 20
"""Bytes of a file that travel at once: what they take of the object store is bounded."""

_AT_ONCE: Final = 4
"""Slots that are served at once."""

_PREFIX: Final = "layersweep-slot-"
_LOCKED: Final = ".lock"
_LOG_BYTES: Final = 64 << 10
"""Of the end of a log, which is all that comes home."""


class NotFetchedError(Exception):
    """A file of the driver's machine could not be brought here."""


class _Depot:
    """The actor on the driver's machine."""

    def do(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)


class Depot:
    """A handle on the driver's disk, for slots anywhere.

    Args:
        results: the folder of the results, which a slot may see as well.
        sweep: the sweep's name.
    """

    def __init__(self, results: Path, sweep: str) -> None:
        self.mark = results / ".state" / f"here-{sweep}-{secrets.token_hex(8)}"
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        for left in self.mark.parent.glob(f"here-{sweep}-*"):  # of a driver that was killed: this one is alone
            left.unlink(missing_ok=True)
        self.mark.touch()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_concurrency=_AT_ONCE, max_restarts=-1)(_Depot)
        self._actor = actor.options(scheduling_strategy=here).remote()

    def close(self) -> None:
        """Ends it; only the driver may."""
        self.mark.unlink(missing_ok=True)
        del self._actor  # with the last handle it ends, by itself where Ray has died

    def seen(self) -> bool:
        """Whether this machine sees the results."""
        return self.mark.exists()

    def do(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls a function on the driver's machine.

        Raises:
            OSError: if it did, or the driver is gone.
        """
        try:
            return ray.get(self._actor.do.remote(function, *arguments, **options))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OSError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise OSError(f"the driver does not answer: {error}") from error

    def piece(self, path: Path, offset: int) -> bytes:
        """The bytes of a file of the driver's from an offset on, at most `PIECE`; none behind its end."""
        return bytes(self.do(_piece, path, offset))

    def fetch(self, path: Path, target: Path) -> Path:
        """Copies a file of the driver's to a file here.

        Raises:
            OSError: if it is not there, or cannot be written here.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while piece := self.piece(path, file.tell()):
                file.write(piece)
        return target

    def send(self, path: Path, target: Path) -> None:
        """Copies a file of this machine to the driver's, whole or not at all.

        Raises:
            OSError: if it cannot be read here, or not be written there.
        """
        aside = target.with_name(f".{target.name}")
        with path.open("rb") as file:
            self.do(_begin, aside)
            while piece := file.read(PIECE):
                self.do(_append, aside, piece)
        self.do(_put, aside, target)


@contextmanager
def opened(results: Path, sweep: str) -> Iterator[Depot]:
    """A depot while inside."""
    depot = Depot(results, sweep)
    try:
        yield depot
    finally:
        depot.close()


class Elsewhere:
    """A slot's own place for the files of one trial after another, on a machine that does not see the results."""

    def __init__(self, depot: Depot) -> None:
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

    def ticket(self, ticket: "Ticket") -> "Ticket":
        """A trial's ticket with files of this machine: data and weights are brought here, what is written stays here.

        Raises:
            NotFetchedError: if a file could not be brought.
        """
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(mode=0o700)
            results = self._folder / "results"
            return replace(
                ticket,
                trial=with_data_here(ticket.trial, self._depot),
                log=self._folder / ticket.log.name,
                checkpoints=self._folder / "checkpoints",
                results=results,
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
        self.tidy(_log, target, text)

    def tidy(self, function: Callable[..., Any], *arguments: Any, but: Sequence[Path] | None = None) -> None:
        """Calls a function on the driver's machine whose failure costs space alone."""
        options = {} if but is None else {"but": but}
        try:
            self._depot.do(function, *arguments, **options)
        except OSError:
            return


def _sweep_up() -> None:
    """Deletes what slots of this machine have left that were killed: their locks are free."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCKED}"):
        with contextlib.suppress(filelock.Timeout, OSError), filelock.FileLock(lock, timeout=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)


def _lock(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{_LOCKED}")


def with_data_here(trial: "Trial", depot: Depot) -> "Trial":
    """A trial whose data set is in this machine's cache, brought there if need be.

    Raises:
        NotFetchedError: if it could not be brought.
    """
    try:
        return replace(trial, data=brought(trial.data, depot.piece))
    except (OSError, DataError) as error:
        raise NotFetchedError(f"the data set could not be brought here: {error}") from error


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def _begin(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)


def _put(aside: Path, path: Path) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.rename(path)


def _log(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
