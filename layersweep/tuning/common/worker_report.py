"""What a slot tells the driver after each step of a trial: one value, pickled into a Tune result."""

import pickle
from dataclasses import dataclass
from typing import cast

from layersweep.records.values import Built, Epoch


@dataclass(frozen=True, kw_only=True)
class Error:
    """Why a trial failed."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One step: the epochs that ended (with the model's facts at the first), or the error that ended the trial.

    What ends a trial comes by itself: its last epoch, one that met a NaN, an error, or neither (it ended early).
    `problem` says why a checkpoint could not be written.
    """

    host: str
    device: str | None
    log: str
    memory_peak_bytes: int
    built: Built | None = None
    epochs: tuple[Epoch, ...] = ()
    error: Error | None = None
    seconds_start: float = 0.0
    seconds_import: float = 0.0
    seconds_close: float = 0.0
    seconds_checkpoint: float = 0.0
    problem: str | None = None

    def pack(self) -> bytes:
        """One bytes value, which Tune does not look into."""
        return pickle.dumps(self)


def unpack(packed: bytes) -> Report:
    """The report that a slot of this sweep packed; it comes from a process that the sweep started itself."""
    return cast("Report", pickle.loads(packed))
