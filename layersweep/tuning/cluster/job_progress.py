"""The progress of a sweep's job, read from its records: what runs, what has ended, the best value, the time left."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from layersweep.formatting import count, first_line
from layersweep.records.overview import current_outcomes
from layersweep.records.read import read
from layersweep.tuning.driver.progress import RunningRow, SweepProgress, rung_text
from layersweep.tuning.experiment.trials import sign

Row: TypeAlias = Mapping[str, Any]

_END_KEY: Final = ("trial_id", "attempt", "continuation")
"""What identifies a row of `trials`."""


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How an attempt at a trial ended: a row of `trials`.

    Attributes:
        key: the trial's id, the attempt and the continuation.
        label: the trial, for people.
        outcome: how it ended.
        epochs: how many epochs it had trained.
        value: the metric after its last epoch.
        host: the machine that it ran on.
        reason: why it failed or was hopeless; empty for other outcomes.
        final: whether the trial has ended; False if it is tried again.
    """

    key: tuple[str, int, int]
    label: str
    outcome: str
    epochs: int
    value: float | None
    host: str | None
    reason: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class JobProgress(SweepProgress):
    """The progress of one command on the cluster. Times are Unix times of the head's clock.

    A trial counts as running once its first epoch is recorded.

    Attributes:
        recorded_trials: how many of the planned trials had ended before the command; it does not run them.
        ends: the ends of attempts, oldest first.
        ends_by_host: how many attempts ended on each machine.
        slots: how many trials run at once.
    """

    recorded_trials: int
    ends: tuple[TrialEnd, ...]
    ends_by_host: Mapping[str, int]
    slots: int

    def summary(self, metric: str) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        if self.outcome is not None and self.recorded_trials and not self.trials:
            return f"there was nothing to run; trials recorded before: {self.recorded_trials:,}"
        return super().summary(metric)

    def machines(self) -> str:
        """One line: the machines, and how many trials ended on each."""
        each = ", ".join(f"{host} {ends}" for host, ends in sorted(self.ends_by_host.items()))
        where = f"{count(self.slots, 'slot')} on {count(len(self.ends_by_host), 'machine')}"
        return f"{where}, trials ended on each: {each}"

    def footer(self, metric: str) -> str:
        """The text below the live table: the machines, and the summary."""
        return f"{self.machines()}\n{self.summary(metric)}"


@dataclass(frozen=True, kw_only=True)
class _CommandRecords:
    """The recorded rows of one command.

    Attributes:
        start: its row of `runs` at the start.
        outcome: how the command ended; None if it has not.
        plan: its rows of `plan`, one for each trial.
        due_trials: those of `plan` whose trials had not ended before, so that the command runs them.
        epochs: the rows of `epochs` that it has trained, in the order in which they were recorded.
        ends: its rows of `trials`, one for each attempt that has ended, oldest first; `final` is true where the trial
            is not tried again.
    """

    start: Row
    outcome: str | None
    plan: pl.DataFrame
    due_trials: pl.DataFrame
    epochs: pl.DataFrame
    ends: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class CommandOfJob:
    """What tells the command of a job from earlier ones: its run has the job's id.

    A head with an earlier version gives it an id of its own; then it is the last command that began after `since`, a
    Unix time by the head's clock.
    """

    job: str
    since: float


def read_progress(
    results: Path, sweep: str, command: CommandOfJob, *, metric: str, mode: str, now: float
) -> JobProgress | None:
    """The progress of a job's command; None if it has not begun. `now` is a Unix time.

    Raises:
        ResultsError: if the records cannot be read.
    """
    records = _read_command(results, sweep, command)
    if records is None:
        return None
    latest = _last_of_each_trial(records.epochs)
    unfinished = records.due_trials.join(records.ends.filter("final"), on="trial_id", how="anti")
    ends = tuple(_trial_end(row, metric) for row in records.ends.iter_rows(named=True))
    ends_by_host = Counter(end.host for end in ends if end.host is not None)
    return JobProgress(
        trials=records.due_trials.height,
        recorded_trials=records.plan.height - records.due_trials.height,
        running=_running_trials(unfinished, latest, records.epochs, metric),
        ends=ends,
        outcomes=Counter(end.outcome for end in ends if end.final),
        best=_best(records.epochs, records.due_trials, metric, mode),
        ends_by_host=dict.fromkeys(json.loads(records.start["hosts_json"] or "[]"), 0) | dict(ends_by_host),
        slots=records.start["slots"] or 0,
        epochs_done=records.epochs.height,
        epochs_planned=records.epochs.height + _epochs_to_come(unfinished, latest),
        start_time=records.start["at"].timestamp(),
        now=now,
        outcome=records.outcome,
    )


def _read_command(results: Path, sweep: str, command: CommandOfJob) -> _CommandRecords | None:
    """The records of a job's command; None if it has not begun."""
    plan, runs, epochs = (read(results, table, sweep, set_aside=False) for table in ("plan", "runs", "epochs"))
    trials = read(results, "trials", set_aside=False)  # of all sweeps: a trial that another one has trained is not due
    start = _last_start(runs, command)
    if start is None:
        return None
    run = pl.col("run") == start["run"]
    last = _last_ends(trials, sweep)
    plan = plan.filter(run).unique("trial_id", keep="last")
    due_trials = _due_trials(plan, last.filter(pl.col("run").ne_missing(start["run"])))
    epochs = _of_trials(_epochs_since(epochs, start["at"]), due_trials)
    final_ends = _without_later_epoch(last.filter(run), epochs)
    return _CommandRecords(
        start=start,
        outcome=_outcome(runs.filter(run)),
        plan=plan,
        due_trials=due_trials,
        epochs=epochs,
        ends=_with_final(_of_trials(trials.filter(run), due_trials), final_ends),
    )


def _last_start(runs: pl.DataFrame, command: CommandOfJob) -> Row | None:
    starts = runs.filter(pl.col("event") == "start")
    of_job = starts.filter(pl.col("run") == command.job)
    if of_job.is_empty():
        of_job = starts.filter(pl.col("at") >= datetime.fromtimestamp(command.since, UTC))
    return None if of_job.is_empty() else of_job.row(-1, named=True)


def _epochs_since(epochs: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """The epochs from the first one on that ended after a time: those behind it are later, whatever the clock says."""
    first = (epochs["at"] >= start).arg_max() if epochs.height else None
    return epochs.slice(first) if first is not None and epochs["at"][first] >= start else epochs.clear()


def _outcome(runs: pl.DataFrame) -> str | None:
    outcomes = runs.filter(pl.col("event") == "end")["outcome"]
    return outcomes[-1] if len(outcomes) else None


def _last_ends(trials: pl.DataFrame, sweep: str) -> pl.DataFrame:
    """The last end of each trial; where several sweeps have trained a trial, the end that this sweep recorded."""
    own_last = current_outcomes(trials).sort(pl.col("sweep") == sweep, maintain_order=True)
    return own_last.unique("trial_id", keep="last")


def _due_trials(plan: pl.DataFrame, earlier_ends: pl.DataFrame) -> pl.DataFrame:
    """The planned trials that the command runs: all except those that had ended before in another way than a failure.

    A trial that had completed fewer epochs than are planned now is due as well.
    """
    ends = earlier_ends.select("trial_id", "outcome", epochs_trained="epochs").filter(pl.col("outcome") != "failed")
    enough = (pl.col("outcome") != "completed") | (pl.col("epochs_trained") >= pl.col("epochs"))
    return plan.join(plan.join(ends, on="trial_id").filter(enough), on="trial_id", how="anti")


def _of_trials(rows: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The rows of these trials, in their order."""
    return rows.join(trials, on="trial_id", how="semi", maintain_order="left")


def _without_later_epoch(ends: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """The ends of trials that have trained no epoch since: a later one shows that the trial is tried again."""
    latest = _last_of_each_trial(epochs).select("trial_id", latest_epoch="epoch", latest_attempt="attempt")
    is_same_attempt = pl.col("latest_attempt") == pl.col("attempt")
    later = (pl.col("latest_attempt") > pl.col("attempt")) | (
        is_same_attempt & (pl.col("latest_epoch") > pl.col("epochs").fill_null(0))
    )
    return ends.join(latest, on="trial_id", how="left").filter(~later.fill_null(value=False))


def _with_final(ends: pl.DataFrame, final_ends: pl.DataFrame) -> pl.DataFrame:
    """Ends with the column `final`, which is true for those that are among `final_ends`."""
    flags = final_ends.select(*_END_KEY, final=True)
    ends = ends.join(flags, on=_END_KEY, how="left", maintain_order="left")
    return ends.with_columns(pl.col("final").fill_null(value=False))


def _last_of_each_trial(epochs: pl.DataFrame) -> pl.DataFrame:
    """The last row of each trial; the order of trials is that of their first rows."""
    return epochs.sort("attempt", "epoch", maintain_order=True).group_by("trial_id", maintain_order=True).last()


def _epochs_to_come(unfinished: pl.DataFrame, latest: pl.DataFrame) -> int:
    trials = unfinished.join(latest.select("trial_id", "epoch"), on="trial_id", how="left")
    return int(trials.select((pl.col("epochs") - pl.col("epoch").fill_null(0)).sum()).item())


def _running_trials(
    unfinished: pl.DataFrame, latest: pl.DataFrame, epochs: pl.DataFrame, metric: str
) -> tuple[RunningRow, ...]:
    rungs = _last_of_each_trial(epochs.filter(pl.col("rung").is_not_null())).select("trial_id", "rung", "cutoff")
    rows = latest.select("trial_id", "epoch", value=metric)
    rows = rows.join(unfinished, on="trial_id", maintain_order="left")
    rows = rows.join(rungs, on="trial_id", how="left", maintain_order="left")
    return tuple(
        RunningRow(
            name=_name(row),
            seed=row["seed"],
            epoch=row["epoch"],
            epochs=row["epochs"],
            value=row["value"],
            rung="" if row["rung"] is None else rung_text(row["rung"], row["cutoff"]),
        )
        for row in rows.iter_rows(named=True)
    )


def _trial_end(row: Row, metric: str) -> TrialEnd:
    error = f"{row['error_type']}: {first_line(row['error_message'] or '')}" if row["error_type"] else None
    return TrialEnd(
        key=(row["trial_id"], row["attempt"], row["continuation"]),
        label=_label(row),
        outcome=row["outcome"],
        epochs=row["epochs"] or 0,
        value=row[f"last_{metric}"],
        host=row["host"],
        reason=error or row["reason"] or "",
        final=row["final"],
    )


def _best(epochs: pl.DataFrame, due_trials: pl.DataFrame, metric: str, mode: str) -> tuple[float, str] | None:
    """The best value of the metric and where it was reached; epochs whose loss or metric is not finite do not count."""
    finite = epochs.filter(pl.all_horizontal(pl.col(metric, "loss", "val_loss").is_finite().fill_null(value=True)))
    finite = finite.drop_nulls(metric)
    if finite.is_empty():
        return None
    best = finite.sort(pl.col(metric) * -sign(mode), maintain_order=True).row(0, named=True)
    trial = due_trials.row(by_predicate=pl.col("trial_id") == best["trial_id"], named=True)
    return best[metric], f"{_label(trial)}, epoch {best['epoch']}"


def _label(row: Row) -> str:
    """A trial's label, for people: `adam, seed 1, fold 2`."""
    fold = "" if row["fold"] is None else f", fold {row['fold'] + 1}"
    return f"{_name(row)}, seed {row['seed']}{fold}"


def _name(row: Row) -> str:
    """The arm, and which candidate of it: `adam`, `adam candidate 3`."""
    candidate = row.get("candidate")
    return str(row["arm"]) if candidate is None else f"{row['arm']} candidate {candidate}"
