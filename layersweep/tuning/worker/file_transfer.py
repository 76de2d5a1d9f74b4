"""The driver's disk for slots on machines that do not see it: data, checkpoints, weights and logs go through Ray.

Where the results' folder is shared between the machines, nothing of this is used.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PIECE: Final = 16 << 20
"""Bytes of a file that travel at once: what they take of the object store is bounded."""

_AT_ONCE: Final = 4
"""Slots that are served at once."""


class _DriverFilesActor:
    """The actor on the driver's machine."""

    def do(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)


class DriverFiles:
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
        actor = ray.remote(num_cpus=0, max_concurrency=_AT_ONCE, max_restarts=-1)(_DriverFilesActor)
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
            self.do(write, aside, b"")
            while piece := file.read(PIECE):
                self.do(_append, aside, piece)
        self.do(_put, aside, target)


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(PIECE)


def write(path: Path, content: bytes) -> None:
    """Writes a file, its folders too if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)


def _put(aside: Path, path: Path) -> None:
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.rename(path)
