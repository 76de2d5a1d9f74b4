"""What earlier commands recorded, as far as a new one needs to know."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from records.read import read
from records.tables import SCREENING, TIME_CLASSES
from tuning.plan import Ending
from tuning.sweep import Sweep, Trial


@dataclass(frozen=True, kw_only=True)
class History:
    """The recorded trials of a sweep: rows of `trials`, by trial id, and the attempts that were begun."""

    rows: dict[str, list[dict[str, object]]]
    attempts: dict[str, int]
    metric: str

    def next_attempt(self, trial_id: str) -> int:
        """The number of an attempt that was never begun."""
        return self.attempts.get(trial_id, -1) + 1

    def ending(self, trial: Trial) -> Ending | None:
        """How the trial ended if it need not run: completed in as many epochs, diverged, or stopped in a screening."""
        for row in self.rows.get(trial.trial_id, []):
            outcome, epochs = str(row["outcome"]), int(str(row["epochs"]))
            stopped = outcome == "stopped" and trial.question == SCREENING and row["epochs_asked"] == trial.epochs
            if stopped or outcome == "diverged" or (outcome == "completed" and epochs >= trial.epochs):
                value = row[f"last_{self.metric}"]
                return Ending(outcome=outcome, epoch=epochs, value=None if value is None else float(str(value)))
        return None


def recorded(results: Path, sweep: Sweep) -> History:
    """Reads what earlier commands of this sweep recorded.

    Raises:
        ResultsError: if the results cannot be read.
    """
    columns = ["trial_id", "attempt", "outcome", "epochs", "epochs_asked", f"last_{sweep.metric}"]
    rows: dict[str, list[dict[str, object]]] = {}
    for row in read(results, "trials", sweep.name).select(columns).to_dicts():
        rows.setdefault(row["trial_id"], []).append(row)
    begun = pl.concat([read(results, t, sweep.name).select("trial_id", "attempt") for t in ("trials", "epochs")])
    attempts = dict(begun.group_by("trial_id").agg(pl.col("attempt").max()).iter_rows())
    return History(rows=rows, attempts=attempts, metric=sweep.metric)


def next_sequence(results: Path, sweep: str) -> int:
    """The number of the next epoch that a driver of this sweep sees."""
    last = read(results, "epochs", sweep)["sequence"].max()
    return 0 if last is None else int(str(last)) + 1


def seconds_per_image(results: Path, family: str) -> float | None:
    """The median seconds of a slot for one training image of a family, overhead included; None if not known."""
    trials = read(results, "trials").filter(pl.col("family") == family, pl.col("epochs") > 0)
    seconds = pl.sum_horizontal(f"seconds_{name}" for name in TIME_CLASSES)
    rate = (
        trials.select((seconds / (pl.col("epochs") * pl.col("train_images"))).median()).item() if len(trials) else None
    )
    return None if rate is None else float(rate)
