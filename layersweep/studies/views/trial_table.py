"""The trials of a sweep as they are now, one row each, and the epochs of their latest attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import polars as pl

from layersweep.records.overview import UNFINISHED
from layersweep.records.questions import FIRST_PHASE
from layersweep.studies.statistics.replicates import EPOCH_SECONDS, SECONDS, latest_attempts

WAITING: Final = "waiting"
RUNNING: Final = "running"

PLAN_COLUMNS: Final = (
    "trial_id", "arm", "question", "seed", "fold", "epochs", "candidate", "run", "config_json",
)  # fmt: skip
_END_COLUMNS: Final = (
    "trial_id", "outcome", "epochs", "rung", "cutoff", "host", "reason", "error_message", "warning", *SECONDS,
)  # fmt: skip


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
    run_sequence: int | None

    @classmethod
    def of(cls, tables: Mapping[str, pl.DataFrame], sweep: str, *, is_running: bool) -> Self:
        """The clock of a sweep; if it runs, its last command does, unless that has recorded its end."""
        runs = tables["runs"].filter(pl.col("sweep") == sweep)
        starts = runs.filter(pl.col("event") == "start")
        times = [
            starts["at"].min(),
            tables["trials"].filter(pl.col("sweep") == sweep)["started_at"].min(),
            tables["epochs"].filter(pl.col("sweep") == sweep)["at"].min(),
        ]
        start: Any = next((at for at in times if at is not None), None)
        ended_runs = runs.filter(pl.col("event") == "end")["run"].to_list()
        if not is_running or starts.is_empty() or starts["run"][-1] in ended_runs:
            return cls(start=start, run=None, run_sequence=None)
        return cls(start=start, run=starts["run"][-1], run_sequence=starts["first_sequence"][-1] or 0)

    def seconds(self, column: str) -> pl.Expr:
        """A time as seconds since the start, never negative."""
        return ((pl.col(column) - pl.lit(self.start)).dt.total_microseconds() / 1e6).clip(lower_bound=0.0)


@dataclass(frozen=True, kw_only=True)
class TrialTable:
    """The trials of a sweep.

    Attributes:
        rows: one row per trial, in the order of the plan: `PLAN_COLUMNS` (`epochs` are the planned ones), state,
            epoch (the last one), value (of the last epoch), best, seconds, start, end, host, rung, cutoff, attempts,
            reason.
        epochs: the epochs of the latest attempts, by trial and epoch: trial_id, epoch, value (the metric), t (seconds
            since the start of the sweep, which never fall; null for a trial of another sweep), s (seconds that the
            trial has spent), decision, rung, cutoff.
    """

    rows: pl.DataFrame
    epochs: pl.DataFrame


def trial_table(tables: Mapping[str, pl.DataFrame], sweep: str, clock: Clock, *, metric: str) -> TrialTable:
    """The trials that the sweep planned or trained.

    Only the latest attempt of a trial counts. A trial runs if it has an epoch of the command that runs; before its
    first epoch it waits, because no table says that it has started.
    """
    trials = tables["trials"]
    ends, latest_epochs = latest_attempts(trials, tables["epochs"])
    epochs = _epochs(latest_epochs, sweep, clock, metric)
    higher = metric != "val_loss"
    finite = pl.col("value").filter(pl.col("value").is_finite())
    progress = epochs.group_by("trial_id").agg(
        pl.col("epoch").max(),
        pl.col("value").last(),
        (finite.max() if higher else finite.min()).alias("best"),
        pl.col("sequence").max(),
        (pl.col("t") - pl.col("own")).min().alias("first_t"),
        pl.col("t").max().alias("last_t"),
        pl.col("rung").drop_nulls().last().alias("last_rung"),
        pl.col("cutoff").drop_nulls().last().alias("last_cutoff"),
        pl.col("s").last().alias("epoch_seconds"),
    )
    ended = ends.select(pl.col(_END_COLUMNS)).rename({name: f"end_{name}" for name in _END_COLUMNS[1:]})
    rows = (
        _planned(tables["plan"], trials, sweep)
        .join(ended, on="trial_id", how="left", maintain_order="left")
        .join(progress, on="trial_id", how="left", maintain_order="left")
        .join(_later_seconds(ended, epochs), on="trial_id", how="left", maintain_order="left")
        .join(_spans(trials, sweep, clock), on="trial_id", how="left", maintain_order="left")
    )
    return TrialTable(rows=_columns(rows, clock), epochs=epochs)


def _planned(plan: pl.DataFrame, trials: pl.DataFrame, sweep: str) -> pl.DataFrame:
    own = trials.filter(pl.col("sweep") == sweep).select(
        *(pl.col(name) for name in PLAN_COLUMNS if name not in ("epochs", "candidate")),
        pl.col("epochs_asked").alias("epochs"),
        pl.lit(None, pl.Int32).alias("candidate"),
    )
    rows = pl.concat([own.select(PLAN_COLUMNS), plan.select(PLAN_COLUMNS)], how="vertical_relaxed")
    last = rows.unique("trial_id", keep="last", maintain_order=True)
    first_places = rows.unique("trial_id", keep="first", maintain_order=True).select("trial_id")
    return first_places.join(last, on="trial_id", maintain_order="left")


def _epochs(epochs: pl.DataFrame, sweep: str, clock: Clock, metric: str) -> pl.DataFrame:
    """The epochs with their times: a clock that was set back stands still until it has caught up."""
    t = clock.seconds("at") if clock.start is not None else pl.lit(None, pl.Float64)
    return epochs.select(
        "trial_id",
        "attempt",
        "epoch",
        "sequence",
        pl.col(metric).cast(pl.Float64).alias("value"),
        pl.when(pl.col("sweep") == sweep).then(t).cum_max().over("trial_id").alias("t"),
        EPOCH_SECONDS.alias("own"),
        EPOCH_SECONDS.cum_sum().over("trial_id").alias("s"),
        "decision",
        "rung",
        "cutoff",
        (pl.col("sweep") == sweep).alias("is_own"),
    )


def _later_seconds(ended: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """The seconds of epochs after the last end of a trial: it is being continued."""
    later = epochs.join(ended.select("trial_id", "end_epochs"), on="trial_id", how="inner")
    return (
        later.filter(pl.col("epoch") > pl.col("end_epochs"))
        .group_by("trial_id")
        .agg(pl.col("own").sum().alias("later_seconds"))
    )


def _spans(trials: pl.DataFrame, sweep: str, clock: Clock) -> pl.DataFrame:
    """When the trial first started and last ended, over all its attempts; and how often it has ended."""
    own = trials.filter(pl.col("sweep") == sweep)
    counts = trials.group_by("trial_id").agg(pl.len().alias("ends"))
    if clock.start is None:
        return counts.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("started", "ended"))
    times = own.group_by("trial_id").agg(
        clock.seconds("started_at").min().alias("started"), clock.seconds("ended_at").max().alias("ended")
    )
    return counts.join(times, on="trial_id", how="left")


def _columns(rows: pl.DataFrame, clock: Clock) -> pl.DataFrame:
    is_continued = (pl.col("epoch") > pl.col("end_epochs")).fill_null(value=False)
    has_ended = pl.col("end_outcome").is_not_null() & ~is_continued
    is_planned_now = pl.lit(clock.run is not None) & (pl.col("run") == clock.run).fill_null(value=False)
    is_trained_now = pl.lit(clock.run is not None) & (pl.col("sequence") >= (clock.run_sequence or 0)).fill_null(
        value=False
    )
    end_seconds = pl.sum_horizontal(pl.col([f"end_{name}" for name in SECONDS]).fill_null(0))
    state = (
        pl.when(has_ended)
        .then("end_outcome")
        .when(is_trained_now)
        .then(pl.lit(RUNNING))
        .when(is_planned_now)
        .then(pl.lit(WAITING))
        .otherwise(pl.lit(UNFINISHED))
    )
    is_waiting = pl.col("state") == WAITING
    return rows.with_columns(
        state.alias("state"),
        pl.col("epoch").fill_null(0),
        pl.when(pl.col("end_outcome").is_null())
        .then(pl.col("epoch_seconds").fill_null(0.0))
        .otherwise(end_seconds + pl.col("later_seconds").fill_null(0.0))
        .alias("seconds"),
        pl.min_horizontal("started", "first_t").clip(lower_bound=0.0).alias("start"),
        pl.when(has_ended).then(pl.max_horizontal("ended", "last_t")).otherwise("last_t").alias("stop"),
        pl.coalesce("end_rung", "last_rung").alias("rung"),
        pl.coalesce("end_cutoff", "last_cutoff").alias("cutoff"),
        (pl.col("ends").fill_null(0) + (~has_ended & pl.col("epoch").is_not_null())).alias("attempts"),
        pl.coalesce("end_reason", "end_error_message", "end_warning", pl.lit("")).alias("reason"),
        pl.col("end_host").fill_null("").alias("host"),
        (pl.col("question") == FIRST_PHASE).fill_null(value=False).alias("is_first_phase"),
    ).with_columns(
        pl.when(~is_waiting & (pl.col("state") != RUNNING)).then("stop").alias("end"),
    )
