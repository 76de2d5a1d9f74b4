"""The report of a slot to the driver after each step of a trial: one value, pickled into a Tune result."""

import pickle
from dataclasses import dataclass
from typing import cast

from layersweep.records.values import Epoch, NetworkSummary


@dataclass(frozen=True, kw_only=True)
class Error:
    """Why a trial failed."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One step of a trial: the epochs that ended, or the error that ended the trial.

    The report that ends a trial holds nothing else: its last epoch, an epoch with a NaN, an error, or no epoch if the
    trial ended early.

    Attributes:
        network: the network, in the first report.
        problem: why a checkpoint could not be written.
    """

    host: str
    device: str | None
    log: str
    memory_peak_bytes: int
    network: NetworkSummary | None = None
    epochs: tuple[Epoch, ...] = ()
    error: Error | None = None
    seconds_start: float = 0.0
    seconds_import: float = 0.0
    seconds_close: float = 0.0
    seconds_checkpoint: float = 0.0
    problem: str | None = None

    def pack(self) -> bytes:
        """The report as bytes, which Tune passes on unread."""
        return pickle.dumps(self)


def unpack(packed: bytes) -> Report:
    """The report from its bytes, which come from a process that the sweep itself started, so that pickle is safe."""
    return cast("Report", pickle.loads(packed))
