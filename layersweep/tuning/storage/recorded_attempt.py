"""What is recorded of a trial's attempt, which a new training of the trial continues."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from layersweep.records.values import Epoch
from layersweep.tuning.common.epoch_files import EpochFile

METRICS: Final = (
    "loss", "accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1", "learning_rate",
)  # fmt: skip
"""Two runs of an epoch are the same if they agree in every digit of these, as far as both have them: older records lack
balanced accuracy and macro F1."""

_LAST: Final = METRICS[:-1]
"""Those whose last values are in `trials`."""

EPOCH_SECONDS: Final = ("build", "features", "train", "validate", "test", "measure")
"""The classes of time that an epoch has."""

ALONGSIDE: Final = ("layers", "tests", "classes", "exports")
"""The tables whose rows belong to an epoch and are written before it: a kill may have come between them."""

Metrics = Mapping[str, float]
"""The metrics of an epoch by name, without those that its record lacks."""


@dataclass(frozen=True, kw_only=True)
class RecordedAttempt:
    """One course of a trial's training: its epochs follow each other over kills, retries and more epochs.

    A trial that continues trains the epochs behind its checkpoint again, only to compare them. If one differs in any
    digit (another processor, another version), the whole course becomes a new attempt.

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
        """The last epoch after which a training of so many epochs may continue: one is left, to read the test set."""
        return min(self.last, epochs - 1)

    def curve(self, epochs: int) -> dict[int, Metrics]:
        """The metrics of the first so many epochs."""
        return {epoch: self.epochs[epoch] for epoch in range(1, epochs + 1)}

    def value_at(self, weights: Sequence[EpochFile], metric: str) -> float | None:
        """A metric at the first of the epochs whose weights are kept; None if there are none."""
        return self.epochs.get(weights[0].epoch, {}).get(metric) if weights else None

    def contradicts(self, epoch: Epoch) -> bool:
        """Whether the epoch is recorded with other metrics; NaN equals NaN, and one that is not recorded anything."""
        if epoch.epoch not in self.epochs:
            return False
        recorded, now = self.epochs[epoch.epoch], metrics(epoch)
        return any(
            recorded[name] != now[name] and (recorded[name] == recorded[name] or now[name] == now[name])
            for name in recorded.keys() & now.keys()
        )

    def has_rows(self, table: str, epoch: int) -> bool:
        """Whether a table holds the epoch's rows."""
        return epoch in (self.epochs if table == "epochs" else self.alongside.get(table, ()))


def metrics(epoch: Epoch) -> dict[str, float]:
    """The metrics of an epoch that has just ended."""
    return known({name: getattr(epoch, name) for name in METRICS})


def known(row: Mapping[str, Any]) -> dict[str, float]:
    """The metrics in a row, without those that it lacks."""
    return {name: float(row[name]) for name in METRICS if row[name] is not None}


def result_columns(curve: Mapping[int, Metrics]) -> dict[str, float]:
    """The columns of `trials` that a curve (metrics by epoch) gives: its epochs, its last and its best numbers."""
    last = max(curve, default=0)
    if not last:
        return {"epochs": 0}
    row: dict[str, float] = {"epochs": last}
    row |= {f"last_{name}": curve[last][name] for name in _LAST if name in curve[last]}
    accuracies = {e: a for e, m in curve.items() if math.isfinite(a := m.get("val_accuracy", math.nan))}
    if accuracies:
        best = max(sorted(accuracies), key=lambda e: accuracies[e])
        row |= {"best_val_accuracy": accuracies[best], "best_epoch": best}
    return row


def stop_columns(attempt: RecordedAttempt, epochs: int, reason: str) -> dict[str, Any]:
    """The columns of `trials` for a trial of so many epochs that is stopped where its recorded epochs end."""
    ids = {"attempt": attempt.attempt, "continuation": attempt.continuation, "epochs_asked": epochs}
    curve = attempt.curve(min(attempt.last, epochs))
    return ids | {"outcome": "stopped", "reason": reason} | result_columns(curve)
