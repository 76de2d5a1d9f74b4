"""The driver's disk for slots on other machines: data, checkpoints, weights and logs go through Ray.

So a cluster needs no shared folder, and the trials of a lost node continue elsewhere from their checkpoints. If the
machines do share the results folder, nothing of this is used.

A slot finds out by a mark in the results folder whether it sees the driver's disk. See docs/decisions/clusters.md.
"""

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from layersweep.records.errors import results_errors
from layersweep.records.files import make_folder, sync, write_whole
from layersweep.tuning.common.script_files import RunningScript

PIECE: Final = 16 << 20
"""Bytes of a file that are sent at once, so that they take a bounded part of the object store."""

_ARCHIVE: Final = ".zip"
_PARALLEL_CALLS: Final = 4
"""Slots that are served at the same time."""


@dataclass(frozen=True, kw_only=True)
class DriverScript:
    """The script that the driver runs, with the files beside it.

    Attributes:
        folder: its folder on the driver's machine.
        name: the name of a folder with these files, which stands for their content.
        archive: the file on the driver's machine with these files.
    """

    folder: Path
    name: str
    archive: Path


class _DriverFilesActor:
    """The actor on the driver's machine."""

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)


class DriverFiles:
    """A handle on the driver's disk, for slots anywhere.

    Args:
        results: the results folder, which a slot may see as well.
        sweep: the sweep's name.
        script: the script that runs here, if its slots on other machines need its files.

    Attributes:
        mark: a file that is there while the driver runs.
        script: the same script, as a slot needs it; None without one.

    Raises:
        ResultsError: if the folder cannot be written.
    """

    script: "DriverScript | None" = None

    def __init__(self, results: Path, sweep: str, *, script: RunningScript | None = None) -> None:
        self.mark = results / ".state" / f"here-{sweep}-{secrets.token_hex(8)}"
        with results_errors(f"cannot write {self.mark}"):
            self.mark.parent.mkdir(parents=True, exist_ok=True)
            for old_mark in self.mark.parent.glob(f"here-{sweep}-*"):  # of killed drivers: only one runs at a time
                old_mark.unlink(missing_ok=True)
            self.mark.touch()
            if script is not None:
                self.script = self._sealed(script)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_concurrency=_PARALLEL_CALLS, max_restarts=-1)(_DriverFilesActor)
        self._actor = actor.options(scheduling_strategy=here).remote()

    def _sealed(self, script: RunningScript) -> "DriverScript":
        """Writes the script's files as they are now: people edit scripts while they run."""
        archive = self.mark.with_name(f"{self.mark.name}{_ARCHIVE}")
        write_whole(archive, script.files.archive())
        return DriverScript(folder=script.folder, name=script.files.name, archive=archive)

    def close(self) -> None:
        """Ends it; only the driver may."""
        with contextlib.suppress(OSError):  # the next driver deletes them
            if self.script is not None:
                self.script.archive.unlink(missing_ok=True)
            self.mark.unlink(missing_ok=True)
        del self._actor  # with the last handle it ends, by itself where Ray has died

    def is_shared(self) -> bool:
        """Whether this machine sees the results folder."""
        return self.mark.exists()

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Calls a function on the driver's machine.

        Raises:
            OSError: if the function raised one, or the driver is gone.
        """
        try:
            return ray.get(self._actor.call.remote(function, *arguments, **options))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OSError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise OSError(f"the driver does not answer: {error}") from error

    def piece(self, path: Path, offset: int) -> bytes:
        """The bytes of a file on the driver's disk from an offset on, at most `PIECE`; none behind its end."""
        return bytes(self.call(_piece, path, offset))

    def fetch(self, path: Path, target: Path) -> Path:
        """Copies a file from the driver's machine to this one.

        Raises:
            OSError: if it is not there, or cannot be written here.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            while piece := self.piece(path, file.tell()):
                file.write(piece)
        return target

    def send(self, path: Path, target: Path) -> None:
        """Copies a file from this machine to the driver's, whole or not at all.

        Raises:
            OSError: if it cannot be read here, or not be written there.
        """
        temporary = target.with_name(f".{target.name}")
        with path.open("rb") as file:
            self.call(write, temporary, b"")
            while piece := file.read(PIECE):
                self.call(_append, temporary, piece)
        self.call(_finish, temporary, target)


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def write(path: Path, content: bytes) -> None:
    """Writes a file, its folders too if need be."""
    make_folder(path.parent)
    path.write_bytes(content)


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)


def _finish(temporary: Path, path: Path) -> None:
    sync(temporary)
    temporary.rename(path)
    sync(path.parent)
