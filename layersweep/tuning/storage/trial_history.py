"""What is recorded of a trial that goes on: an attempt's epochs, which are trained again only to be compared."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from layersweep.records.values import Epoch
from layersweep.tuning.common.epoch_files import EpochFile

METRICS: Final = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
"""What two runs of an epoch must share, in every digit, to be the same."""

EPOCH_SECONDS: Final = ("build", "features", "train", "validate", "test", "measure")
"""The classes of time that an epoch has."""

ALONGSIDE: Final = ("layers", "tests", "classes", "exports")
"""The tables whose rows belong to an epoch and are written before it: a kill may have come in between."""

Metrics = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RecordedAttempt:
    """An attempt so far.

    Attributes:
        attempt: its number.
        continuation: how often it has ended before.
        fresh: a number that no attempt of the trial has had.
        epochs: the recorded epochs with their metrics.
        alongside: for each table of `ALONGSIDE` the epochs that have rows there.
    """

    attempt: int = 0
    continuation: int = 0
    fresh: int = 1
    epochs: Mapping[int, Metrics] = field(default_factory=dict)
    alongside: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The last recorded epoch before which none is missing; 0 if there is none."""
        return next(epoch for epoch in itertools.count() if epoch + 1 not in self.epochs)

    def start(self, epochs: int) -> int:
        """The last epoch behind which a training of so many epochs may go on: one is left, to read the test set."""
        return min(self.last, epochs - 1)

    def curve(self, epochs: int) -> dict[int, Metrics]:
        """The metrics of the first so many epochs."""
        return {epoch: self.epochs[epoch] for epoch in range(1, epochs + 1)}

    def at(self, kept: Sequence[EpochFile], metric: str) -> float | None:
        """A metric at the first of the epochs whose weights are kept; None where none are."""
        return self.epochs.get(kept[0].epoch, {}).get(metric) if kept else None


def metrics(epoch: Epoch) -> dict[str, float]:
    """The metrics of an epoch that has just ended."""
    return {name: float(getattr(epoch, name)) for name in METRICS}


def results(curve: Mapping[int, Metrics]) -> dict[str, float]:
    """The columns of `trials` that a curve (metrics by epoch) gives: its epochs, its last and its best numbers."""
    last = max(curve, default=0)
    if not last:
        return {"epochs": 0}
    row: dict[str, float] = {"epochs": last}
    row |= {f"last_{name}": curve[last][name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    sound = {e: m["val_accuracy"] for e, m in curve.items() if math.isfinite(m["val_accuracy"])}
    if sound:
        best = max(sorted(sound), key=lambda e: sound[e])
        row |= {"best_val_accuracy": sound[best], "best_epoch": best}
    return row


def broken_off(past: RecordedAttempt, epochs: int, reason: str) -> dict[str, Any]:
    """The columns of `trials` for the end of a trial of so many epochs that goes no further than what is recorded."""
    ids = {"attempt": past.attempt, "continuation": past.continuation, "epochs_asked": epochs}
    return ids | {"outcome": "stopped", "reason": reason} | results(past.curve(min(past.last, epochs)))


def same(first: Metrics, second: Metrics) -> bool:
    """Whether two runs of an epoch are equal in every digit; NaN equals NaN."""
    return all(first[n] == second[n] or (first[n] != first[n] and second[n] != second[n]) for n in METRICS)
