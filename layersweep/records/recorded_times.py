"""The time left of a command, read from its records: what `layersweep.records.time_left` takes, made of rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from layersweep.records.questions import COMPARISON, SCREENING, TUNING
from layersweep.records.spans import merge_spans, total_seconds
from layersweep.records.tables import TIME_CLASSES
from layersweep.records.time_left import TrialTime, seconds_left

_EPOCH_SECONDS: Final = ("seconds_train", "seconds_validate")
"""What every epoch takes."""
SLOT_SECONDS: Final = tuple(f"seconds_{name}" for name in TIME_CLASSES if name not in ("start", "import"))
"""What a trial takes, without the start of its slot's process: columns of `trials`."""
_OTHER_SECONDS: Final = ("seconds_build", "seconds_features", "seconds_test", "seconds_measure")
"""What a row of `epochs` has besides."""

EPOCH_TIMES: Final = {
    "seconds": pl.sum_horizontal(pl.col(_EPOCH_SECONDS).fill_null(0)),
    "other_seconds": pl.sum_horizontal(pl.col(_OTHER_SECONDS).fill_null(0)),
}
"""What training and validating an epoch took, and what else it took."""

_LARGEST: Final = 1_000_000

TIME_COLUMNS: Final = ("trial_id", "attempt", "epoch", "sequence", "at", *_EPOCH_SECONDS, *_OTHER_SECONDS)
"""The columns of `epochs` that are needed."""


@dataclass(frozen=True, kw_only=True)
class CommandTimes:
    """What the records of one command tell of its time.

    Attributes:
        options: its settings (`options_of` its row in `runs`); empty if they are not recorded.
        due: its rows of `plan`, of those trials that it runs: trial_id, arm, question, epochs.
        epochs: a row for each of them that has trained an epoch since it began, as `epoch_times` makes them.
        ends: their final ends, of this command: trial_id, epochs, started_at, ended_at and the seconds.
        slots: how many trials run at once.
        priors: the seconds of an epoch of an arm, by earlier commands.
    """

    options: Mapping[str, Any]
    due: pl.DataFrame
    epochs: pl.DataFrame
    ends: pl.DataFrame
    slots: int
    priors: Mapping[str, float] = field(default_factory=dict)

    def seconds_left(self, now: datetime) -> float | None:
        """About how long the command still takes, at a time; None as long as that cannot be told."""
        trials = trial_times(self.due, self.epochs, self.ends, now=now, priors=self.priors)
        return seconds_left(
            trials,
            slots=self.slots,
            follower_epochs=self._follower_epochs,
            other_epochs=self._other_epochs,
            search_seconds=self._search_seconds(now),
            expected_stops=expected_stops(self.options),
        )

    @property
    def _replicate_epochs(self) -> int:
        """The epochs that compare one arm."""
        seeds, folds, epochs = (_number(self.options, name) for name in ("seeds", "folds", "epochs"))
        return int(max(1, seeds) * max(1, folds) * epochs)

    @property
    def _follower_epochs(self) -> int:
        """The most epochs of the comparison that follows a screening; 0 once it is planned."""
        questions = self.due["question"].to_list()
        return 0 if COMPARISON in questions else questions.count(SCREENING) * self._replicate_epochs

    @property
    def _other_epochs(self) -> int:
        """The epochs that searches may still draw, and those of the comparisons of their arms."""
        candidates = self.due.filter(pl.col("question") == TUNING)
        if candidates.is_empty():
            return 0
        ended = self.ends.select("trial_id", reached="epochs")
        spent = pl.coalesce("reached", "epochs").sum()
        by_arm = candidates.join(ended, on="trial_id", how="left").group_by("arm").agg(spent=spent)
        compared = self.due.filter(pl.col("question") == COMPARISON)["arm"]
        open_arms = by_arm.filter(~pl.col("arm").is_in(compared.to_list()))
        budget = int(_number(self.options, "candidates") * _number(self.options, "epochs"))
        to_draw = 0 if self._search_time else sum(max(0, budget - spent) for spent in open_arms["spent"])
        return to_draw + open_arms.height * self._replicate_epochs

    @property
    def _search_time(self) -> float | None:
        return _number(self.options, "search_time") or None

    def _search_seconds(self, now: datetime) -> float | None:
        """How long searches that time limits may still take; None without such a search."""
        if self._search_time is None:
            return None
        candidates = self.due.filter(pl.col("question") == TUNING).select("trial_id", "arm")
        ended = candidates.join(self.ends.select("trial_id", "started_at", "ended_at"), on="trial_id")
        running = candidates.join(self.epochs.select("trial_id", "first_at", "seconds"), on="trial_id").join(
            self.ends, on="trial_id", how="anti"
        )
        spans: dict[str, list[tuple[float, float]]] = {arm: [] for arm in candidates["arm"].to_list()}
        for arm, start, end in ended.drop_nulls().select("arm", "started_at", "ended_at").iter_rows():
            spans[arm].append((start.timestamp(), end.timestamp()))
        for arm, first, seconds in running.select("arm", "first_at", "seconds").iter_rows():
            spans[arm].append((first.timestamp() - seconds, now.timestamp()))
        left = [max(0.0, self._search_time - total_seconds(merge_spans(each))) for each in spans.values()]
        return max([*left, sum(left) / max(1, self.slots)], default=self._search_time)


def epoch_times(epochs: pl.DataFrame) -> pl.DataFrame:
    """A row for each trial: what its recorded epochs of one command took.

    Args:
        epochs: rows of `epochs` with `TIME_COLUMNS`, in the order of the records.

    Returns:
        trial_id; `epoch` and `at` of its last epoch, `first_at` of its first one; `recorded`, their number; `seconds`,
        what training and validating took in all of them; `other_seconds`, what else they took.
    """
    return (
        epochs.sort("attempt", "epoch", maintain_order=True)
        .group_by("trial_id", maintain_order=True)
        .agg(
            pl.col("epoch", "at").last(),
            pl.col("at").first().alias("first_at"),
            pl.len().cast(pl.Int64).alias("recorded"),
            **{name: seconds.sum() for name, seconds in EPOCH_TIMES.items()},
        )
    )


def trial_times(
    due: pl.DataFrame, epochs: pl.DataFrame, ends: pl.DataFrame, *, now: datetime, priors: Mapping[str, float]
) -> list[TrialTime]:
    """The times of a command's trials; the arguments are those of `CommandTimes`."""
    slot_seconds = pl.sum_horizontal(pl.col(SLOT_SECONDS).fill_null(0))
    ended = ends.select("trial_id", slot_seconds=slot_seconds, reached="epochs", has_ended=True)
    rows = due.select("trial_id", "arm", "question", planned="epochs")
    for frame in (epochs, ended.unique("trial_id", keep="last")):
        rows = rows.join(frame, on="trial_id", how="left", maintain_order="left")
    return [_trial_time(row, now, priors) for row in rows.iter_rows(named=True)]


def _trial_time(row: Mapping[str, Any], now: datetime, priors: Mapping[str, float]) -> TrialTime:
    arm = str(row["arm"])
    trained = row["recorded"] or 0
    seconds = row["seconds"] or 0.0
    since = (now - row["at"]).total_seconds() if row["at"] is not None else 0.0
    other = row["slot_seconds"] - seconds if row["has_ended"] else row["other_seconds"] or 0.0
    return TrialTime(
        arm=arm,
        question=row["question"],
        epochs=row["planned"] or 0,
        epoch=row["epoch"] or row["reached"] or 0,
        state="ended" if row["has_ended"] else "running" if trained else "waiting",
        epochs_here=trained,
        epoch_seconds=seconds,
        once_seconds=max(0.0, other),
        since_epoch=max(0.0, since),
        prior_seconds=priors.get(arm),
    )


def options_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a row of `runs`; empty if they are not recorded."""
    try:
        options = json.loads(run.get("options_json") or "{}")
    except json.JSONDecodeError:
        return {}
    return options if isinstance(options, dict) else {}


def expected_stops(options: Mapping[str, Any]) -> dict[int, float]:
    """By epoch, the share of trials that ASHA is expected to stop there: all but one of `reduction` at each rung."""
    reduction, rungs = _number(options, "reduction"), options.get("rungs")
    if reduction <= 1 or not isinstance(rungs, list):
        return {}
    return {rung: 1.0 - 1.0 / reduction for rung in rungs if isinstance(rung, int)}


def _number(options: Mapping[str, Any], name: str) -> float:
    """A number among the settings, which another machine may have recorded: from 0 to a million; else 0."""
    value = options.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value <= _LARGEST else 0.0
