"""The trials of a sweep as they are now, one row each; computed anew only for trials with new rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import polars as pl

from layersweep.records.metrics import METRICS
from layersweep.records.overview import UNFINISHED
from layersweep.records.questions import FIRST_PHASE
from layersweep.records.recorded_times import epoch_times
from layersweep.studies.statistics.replicates import EPOCH_SECONDS, SECONDS, latest_attempts

WAITING: Final = "waiting"
RUNNING: Final = "running"

PLAN_COLUMNS: Final = (
    "trial_id", "arm", "question", "seed", "fold", "epochs", "candidate", "run", "config_json",
)  # fmt: skip
_END_COLUMNS: Final = ("outcome", "epochs", "rung", "cutoff", "host", "run")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The times of a sweep.

    Attributes:
        start: when its first command started; None if nothing says so.
        run: the id of the command that runs; None if none does.
        run_sequence: the number of the first epoch of that command.
    """

    start: datetime | None
    run: str | None
    run_sequence: int

    @classmethod
    def of(cls, tables: Mapping[str, pl.DataFrame], sweep: str, *, is_running: bool) -> Self:
        """The clock of a sweep; if it runs, its last command does, unless that has recorded its end."""
        starts = tables["runs"].filter(pl.col("sweep") == sweep, pl.col("event") == "start")
        ends = tables["runs"].filter(pl.col("sweep") == sweep, pl.col("event") == "end")
        start: Any = starts["at"].min()
        for table, column in (("trials", "started_at"), ("epochs", "at")):
            if start is None:
                start = tables[table].filter(pl.col("sweep") == sweep)[column].min()
        if not is_running or starts.is_empty() or starts["run"][-1] in ends["run"].to_list():
            return cls(start=start, run=None, run_sequence=0)
        return cls(start=start, run=starts["run"][-1], run_sequence=starts["first_sequence"][-1] or 0)

    def seconds(self, column: str) -> pl.Expr:
        """A time as seconds since the start, never negative; null without a start."""
        if self.start is None:
            return pl.lit(None, pl.Float64)
        return ((pl.col(column) - pl.lit(self.start)).dt.total_microseconds() / 1e6).clip(lower_bound=0.0)


class TrialTable:
    """The trials of a sweep. Only the latest attempt of a trial counts.

    Args:
        sweep: the name of the sweep.
        metric: the column of `epochs` that decides.
    """

    def __init__(self, sweep: str, *, metric: str) -> None:
        self._sweep, self._metric = sweep, metric
        self._ends = self._progress = self._rungs = self._times = pl.DataFrame()
        self._epochs = pl.DataFrame()
        self._clock: Clock | None = None

    @property
    def rungs(self) -> pl.DataFrame:
        """Each decision of the scheduler at a rung: trial_id, epoch, value, decision, rung, cutoff."""
        return self._rungs

    @property
    def times(self) -> pl.DataFrame:
        """What the epochs of the command that runs took, by trial, as `recorded_times.epoch_times` makes it."""
        return self._times

    def update(
        self, tables: Mapping[str, pl.DataFrame], clock: Clock, changed: Collection[str] | None = None
    ) -> pl.DataFrame:
        """One row per trial that the sweep planned or trained, in the order of the plan.

        The columns are `PLAN_COLUMNS` (`epochs` are the planned ones), state, epoch (the last one), value (of the last
        epoch), best, seconds, start, end, host, rung, cutoff, attempts, reason, and those that a curve depends on:
        attempt, points, first_epoch and sequence. A trial runs if it has an epoch of the command that runs; before that
        it waits, because no table says that it has started.

        Args:
            tables: plan, runs, trials and epochs.
            clock: the times of the sweep.
            changed: the trials that have other rows in trials or epochs than at the last call; None: any may have.
        """
        if self._clock != clock:
            changed = None
        self._clock, self._epochs = clock, tables["epochs"]
        if changed is None or changed:
            self._read(tables, changed)
        rows = _planned(tables["plan"], tables["trials"], self._sweep)
        for frame in (self._ends, self._progress):
            rows = rows.join(frame, on="trial_id", how="left", maintain_order="left")
        return _columns(rows, clock)

    def points(self, ids: Collection[str]) -> pl.DataFrame:
        """The epochs of the latest attempts of trials, by trial and epoch: trial_id, epoch, value (the metric), t, s.

        t are the seconds since the start of the sweep at the end of the epoch. They never fall: a clock that was set
        back stands still until it has caught up. They are null for a trial of another sweep. s are the seconds that the
        trial has spent.
        """
        rows = self._epochs.filter(pl.col("trial_id").is_in(list(ids)))
        return self._points(latest_attempts(_NO_ENDS, rows)[1])

    def _read(self, tables: Mapping[str, pl.DataFrame], changed: Collection[str] | None) -> None:
        """Computes what the tables say of the trials that have changed, and keeps the rest."""
        trials, epochs = tables["trials"], tables["epochs"]
        if changed is not None:
            is_changed = pl.col("trial_id").is_in(list(changed))
            trials, epochs = trials.filter(is_changed), epochs.filter(is_changed)
        ends, latest = latest_attempts(trials, epochs)
        points = self._points(latest)
        frames = (
            _ends(ends, trials, self._sweep, self._assured_clock),
            _progress(points, ends, higher=METRICS[self._metric].is_higher_better),
            points.filter(pl.col("rung").is_not_null()).select(
                "trial_id", "epoch", "value", "decision", "rung", "cutoff"
            ),
            epoch_times(epochs.filter(self._is_of_command)),
        )
        if changed is not None:
            unchanged = (frame.filter(~is_changed) for frame in (self._ends, self._progress, self._rungs, self._times))
            frames = tuple(pl.concat(pair) for pair in zip(unchanged, frames, strict=True))  # type: ignore[assignment]
        self._ends, self._progress, self._rungs, self._times = frames

    @property
    def _assured_clock(self) -> Clock:
        assert self._clock is not None
        return self._clock

    @property
    def _is_of_command(self) -> pl.Expr:
        """Whether an epoch is one of the command that runs."""
        clock = self._assured_clock
        return (pl.col("sweep") == self._sweep) & (pl.col("sequence") >= clock.run_sequence) & (clock.run is not None)

    def _points(self, epochs: pl.DataFrame) -> pl.DataFrame:
        is_own = pl.col("sweep") == self._sweep
        return epochs.select(
            "trial_id", "attempt", "epoch", "decision", "rung", "cutoff",
            pl.when(is_own).then("sequence").alias("sequence"),
            pl.col(self._metric).cast(pl.Float64).alias("value"),
            pl.when(is_own).then(self._assured_clock.seconds("at")).cum_max().over("trial_id").alias("t"),
            EPOCH_SECONDS.cast(pl.Float64).alias("own"),
            EPOCH_SECONDS.cast(pl.Float64).cum_sum().over("trial_id").alias("s"),
        )  # fmt: skip


_NO_ENDS: Final = pl.DataFrame(
    schema={
        "trial_id": pl.String, "attempt": pl.Int32, "continuation": pl.Int32, "outcome": pl.String, "epochs": pl.Int32,
        "epochs_asked": pl.Int32, "reason": pl.String, **dict.fromkeys(SECONDS, pl.Float64),
    }
)  # fmt: skip


def _planned(plan: pl.DataFrame, trials: pl.DataFrame, sweep: str) -> pl.DataFrame:
    own = trials.filter(pl.col("sweep") == sweep).select(
        *(pl.col(name) for name in PLAN_COLUMNS if name not in ("epochs", "candidate")),
        pl.col("epochs_asked").alias("epochs"),
        pl.lit(None, pl.Int32).alias("candidate"),
    )
    only_trained = own.join(plan.select("trial_id"), on="trial_id", how="anti", maintain_order="left")
    rows = pl.concat([plan.select(PLAN_COLUMNS), only_trained.select(PLAN_COLUMNS)])
    if rows["trial_id"].n_unique() == rows.height:
        return rows
    last = rows.unique("trial_id", keep="last", maintain_order=True)
    places = rows.select("trial_id").unique(keep="first", maintain_order=True)
    return places.join(last, on="trial_id", maintain_order="left")


def _ends(ends: pl.DataFrame, trials: pl.DataFrame, sweep: str, clock: Clock) -> pl.DataFrame:
    """One row per trial that has ended: its last end, when it first started and last ended, how often it has ended."""
    own = pl.col("sweep") == sweep
    spans = trials.group_by("trial_id").agg(
        pl.len().cast(pl.Int32).alias("ends"),
        pl.when(own).then(clock.seconds("started_at")).min().alias("started"),
        pl.when(own).then(clock.seconds("ended_at")).max().alias("ended"),
    )
    last = ends.select(
        "trial_id",
        *(pl.col(name).alias(f"end_{name}") for name in _END_COLUMNS),
        pl.coalesce("reason", "error_message", "warning").alias("end_reason"),
        pl.sum_horizontal(pl.col(SECONDS).fill_null(0)).cast(pl.Float64).alias("end_seconds"),
    )
    return spans.join(last, on="trial_id", how="left", maintain_order="left")


def _progress(points: pl.DataFrame, ends: pl.DataFrame, *, higher: bool) -> pl.DataFrame:
    """One row per trial with an epoch: what it has reached in its latest attempt."""
    finite = pl.col("value").filter(pl.col("value").is_finite())
    is_later = pl.col("epoch") > pl.col("end_epochs")
    last_ends = ends.select("trial_id", pl.col("epochs").alias("end_epochs"))
    return (
        points.join(last_ends, on="trial_id", how="left", maintain_order="left")
        .group_by("trial_id")
        .agg(
            pl.col("attempt").last(),
            pl.len().alias("points"),
            pl.col("epoch").first().alias("first_epoch"),
            pl.col("epoch").last(),
            pl.col("sequence").max(),
            pl.col("value").last(),
            (finite.max() if higher else finite.min()).alias("best"),
            (pl.col("t") - pl.col("own")).min().alias("first_t"),
            pl.col("t").max().alias("last_t"),
            pl.col("rung").drop_nulls().last().alias("last_rung"),
            pl.col("cutoff").drop_nulls().last().alias("last_cutoff"),
            pl.col("s").last().alias("epoch_seconds"),
            pl.col("own").filter(is_later).sum().alias("later_seconds"),
        )
    )


def _columns(rows: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    is_continued = (pl.col("epoch") > pl.col("end_epochs")).fill_null(value=False)
    has_ended = pl.col("end_outcome").is_not_null() & ~is_continued
    runs = clock.run is not None
    is_trained_now = (pl.col("sequence") >= clock.run_sequence).fill_null(value=False) & runs
    is_planned_now = (pl.col("run") == (clock.run or "")).fill_null(value=False) & runs
    state = (
        pl.when(has_ended)
        .then("end_outcome")
        .when(is_trained_now)
        .then(pl.lit(RUNNING))
        .when(is_planned_now)
        .then(pl.lit(WAITING))
        .otherwise(pl.lit(UNFINISHED))
    )
    seconds = pl.coalesce("end_seconds", "epoch_seconds", pl.lit(0.0)) + pl.when(
        pl.col("end_seconds").is_not_null()
    ).then(pl.col("later_seconds").fill_null(0.0)).otherwise(0.0)
    return rows.with_columns(
        state.alias("state"),
        pl.col("epoch").fill_null(0),
        seconds.alias("seconds"),
        pl.min_horizontal("started", "first_t").clip(lower_bound=0.0).alias("start"),
        pl.when(has_ended)
        .then(pl.max_horizontal("ended", "last_t"))
        .when(~is_trained_now & ~is_planned_now)
        .then("last_t")
        .alias("end"),
        pl.coalesce("end_rung", "last_rung").alias("rung"),
        pl.coalesce("end_cutoff", "last_cutoff").alias("cutoff"),
        (pl.col("ends").fill_null(0) + (~has_ended & pl.col("epoch").is_not_null())).alias("attempts"),
        pl.col("end_reason").fill_null("").alias("reason"),
        pl.col("end_host").fill_null("").alias("host"),
        (pl.col("question") == FIRST_PHASE).fill_null(value=False).alias("is_first_phase"),
    )
