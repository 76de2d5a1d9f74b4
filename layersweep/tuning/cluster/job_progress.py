"""The progress of a sweep's job, read from its records: what runs, what has ended, the best value, the time left."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeAlias

import polars as pl

from layersweep.formatting import count, first_line
from layersweep.records.overview import current_outcomes
from layersweep.records.read import read
from layersweep.records.recorded_times import SLOT_SECONDS, CommandTimes, options_of
from layersweep.tuning.cluster.job_epochs import JobEpochs
from layersweep.tuning.common.job import later_runs
from layersweep.tuning.driver.progress import RunningRow, SweepProgress, rung_text
from layersweep.tuning.experiment.trials import sign

Row: TypeAlias = Mapping[str, Any]

_END_KEY: Final = ("trial_id", "attempt", "continuation")
"""What identifies a row of `trials`."""

_PLAN_COLUMNS: Final = ("run", "trial_id", "arm", "question", "seed", "fold", "epochs", "candidate")
_RUN_COLUMNS: Final = ("run", "event", "at", "outcome", "options_json", "hosts_json", "slots", "first_sequence")
_END_COLUMNS: Final = (
    "sweep", *_END_KEY, "run", "arm", "seed", "fold", "outcome", "reason", "error_type", "error_message", "epochs",
    "host", "started_at", "ended_at", *SLOT_SECONDS,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TrialEnd:
    """How an attempt at a trial ended: a row of `trials`.

    Attributes:
        label: the trial, for people.
        outcome: how it ended.
        epochs: how many epochs it had trained.
        value: the metric after its last epoch.
        host: the machine that it ran on.
        reason: why it failed or was hopeless; empty for other outcomes.
        final: whether the trial has ended; False if it is tried again.
        number: how many trials had ended by then.
    """

    label: str
    outcome: str
    epochs: int
    value: float | None
    host: str | None
    reason: str
    final: bool
    number: int


@dataclass(frozen=True, kw_only=True)
class JobProgress(SweepProgress):
    """The progress of one command on the cluster.

    A trial counts as running once its first epoch is recorded.

    Attributes:
        recorded_trials: how many of the planned trials had ended before the command; it does not run them.
        ends: the ends of attempts, oldest first: rows of `trials` with `value`, `final` and `number` as in `TrialEnd`.
        ends_by_host: how many attempts ended on each machine.
        slots: how many trials run at once.
        times: what the records tell of its time.
    """

    recorded_trials: int
    ends: pl.DataFrame
    ends_by_host: Mapping[str, int]
    slots: int
    times: CommandTimes

    def at(self, now: float) -> Self:
        """The same progress at another time, in Unix time by the head's clock."""
        left = self.times.seconds_left(datetime.fromtimestamp(now, UTC)) if self.outcome is None else None
        return replace(self, seconds_left=left)

    def ends_after(self, earlier: "JobProgress | None") -> tuple[TrialEnd, ...]:
        """The ends of attempts that an earlier progress did not have, oldest first."""
        ends = self.ends
        if earlier is not None:
            ends = ends.join(earlier.ends, on=_END_KEY, how="anti", maintain_order="left")
        return tuple(map(_trial_end, ends.iter_rows(named=True)))

    def parts(self, metric: str) -> list[str]:
        """The parts of the summary: how many trials ended how, the best so far, and the time left."""
        if self.outcome is not None and self.recorded_trials and not self.trials:
            return [f"there was nothing to run; trials recorded before: {self.recorded_trials:,}"]
        return super().parts(metric)

    def machines(self) -> str:
        """One line: the machines, and how many trials ended on each."""
        each = ", ".join(f"{host} {ends}" for host, ends in sorted(self.ends_by_host.items()))
        where = f"{count(self.slots, 'slot')} on {count(len(self.ends_by_host), 'machine')}"
        return f"{where}, trials ended on each: {each}"

    def footer(self, metric: str) -> list[list[str]]:
        """The lines below the live table: the machines, and the summary."""
        return [[self.machines()], *super().footer(metric)]


@dataclass(frozen=True, kw_only=True)
class _CommandRecords:
    """The recorded rows of one command.

    Attributes:
        start: its row of `runs` at the start.
        outcome: how the command ended; None if it has not.
        plan: its rows of `plan`, one for each trial.
        due_trials: those of `plan` whose trials had not ended before, so that the command runs them.
        epochs: a row for each of them that has trained an epoch, as `JobEpochs.by_trial` makes them.
        ends: its rows of `trials`, one for each attempt that has ended, as in `JobProgress`.
    """

    start: Row
    outcome: str | None
    plan: pl.DataFrame
    due_trials: pl.DataFrame
    epochs: pl.DataFrame
    ends: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class CommandOfJob:
    """What tells the command of a job from earlier ones: its run has the job's id, or is a later one of the job.

    A head with an earlier version gives it an id of its own; then it is the last command that began after `since`, a
    Unix time by the head's clock.
    """

    job: str
    since: float


def read_progress(job_epochs: JobEpochs, command: CommandOfJob, *, now: float) -> JobProgress | None:
    """The progress of a job's command; None if it has not begun. `now` is a Unix time.

    Raises:
        ResultsError: if the records cannot be read.
    """
    records = _read_command(job_epochs, command)
    if records is None:
        return None
    unfinished = records.due_trials.join(records.ends.filter("final"), on="trial_id", how="anti")
    epochs_done = int(records.epochs["recorded"].sum())
    return JobProgress(
        trials=records.due_trials.height,
        recorded_trials=records.plan.height - records.due_trials.height,
        running=_running_trials(unfinished, records.epochs),
        ends=records.ends,
        outcomes=_counts(records.ends.filter("final")["outcome"]),
        best=_best(records.epochs, records.due_trials, job_epochs.mode),
        ends_by_host=dict.fromkeys(_hosts(records.start), 0) | _counts(records.ends["host"].drop_nulls()),
        slots=records.start["slots"] or 0,
        epochs_done=epochs_done,
        epochs_planned=epochs_done + _epochs_to_come(unfinished, records.epochs),
        outcome=records.outcome,
        times=CommandTimes(
            options=options_of(records.start),
            due=records.due_trials,
            epochs=records.epochs,
            ends=records.ends.filter("final"),
            slots=records.start["slots"] or 1,
        ),
    ).at(now)


def _read_command(job_epochs: JobEpochs, command: CommandOfJob) -> _CommandRecords | None:
    """The records of a job's command; None if it has not begun."""
    results, sweep = job_epochs.results, job_epochs.sweep
    plan = read(results, "plan", sweep, columns=_PLAN_COLUMNS)
    runs = read(results, "runs", sweep, columns=_RUN_COLUMNS)
    # of all sweeps: a trial that another one has trained is not due
    value = f"last_{job_epochs.metric}"
    trials = read(results, "trials", columns=(*_END_COLUMNS, value)).rename({value: "value"})
    start = _last_start(runs, command)
    if start is None:
        return None
    run = pl.col("run") == start["run"]
    last = _last_ends(trials, sweep)
    plan = plan.filter(run).unique("trial_id", keep="last")
    due_trials = _due_trials(plan, last.filter(pl.col("run").ne_missing(start["run"])))
    epochs = _of_trials(job_epochs.by_trial(start["at"], start["first_sequence"]), due_trials)
    final_ends = _without_later_epoch(last.filter(run), epochs)
    return _CommandRecords(
        start=start,
        outcome=_outcome(runs.filter(run)),
        plan=plan,
        due_trials=due_trials,
        epochs=epochs,
        ends=_with_final(_of_trials(trials.filter(run), due_trials), final_ends),
    )


def _counts(values: pl.Series) -> dict[str, int]:
    return dict(values.value_counts().iter_rows())


def _hosts(start: Row) -> list[str]:
    """The machines of a command; none if another program wrote the row, which may hold any text."""
    try:
        hosts = json.loads(start["hosts_json"] or "[]")
    except (ValueError, RecursionError):
        return []
    return [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []


def _last_start(runs: pl.DataFrame, command: CommandOfJob) -> Row | None:
    starts = runs.filter(pl.col("event") == "start")
    run = pl.col("run").cast(pl.String)
    of_job = starts.filter((run == command.job) | run.str.starts_with(later_runs(command.job)))
    if of_job.is_empty():
        of_job = starts.filter(pl.col("at") >= datetime.fromtimestamp(command.since, UTC))
    return None if of_job.is_empty() else of_job.row(-1, named=True)


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
    latest = epochs.select("trial_id", latest_epoch="epoch", latest_attempt="attempt")
    is_same_attempt = pl.col("latest_attempt") == pl.col("attempt")
    later = (pl.col("latest_attempt") > pl.col("attempt")) | (
        is_same_attempt & (pl.col("latest_epoch") > pl.col("epochs").fill_null(0))
    )
    return ends.join(latest, on="trial_id", how="left").filter(~later.fill_null(value=False))


def _with_final(ends: pl.DataFrame, final_ends: pl.DataFrame) -> pl.DataFrame:
    """Ends, in the order of the records, with the columns `final`, true for those among `final_ends`, and `number`."""
    flags = final_ends.select(*_END_KEY, final=True)
    ends = ends.join(flags, on=_END_KEY, how="left", maintain_order="left")
    ends = ends.with_columns(pl.col("final").fill_null(value=False))
    return ends.with_columns(number=pl.col("final").cum_sum())


def _epochs_to_come(unfinished: pl.DataFrame, epochs: pl.DataFrame) -> int:
    trials = unfinished.join(epochs.select("trial_id", "epoch"), on="trial_id", how="left")
    return int(trials.select((pl.col("epochs") - pl.col("epoch").fill_null(0)).sum()).item())


def _running_trials(unfinished: pl.DataFrame, epochs: pl.DataFrame) -> tuple[RunningRow, ...]:
    rows = epochs.join(unfinished, on="trial_id", maintain_order="left")
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


def _trial_end(row: Row) -> TrialEnd:
    error = f"{row['error_type']}: {first_line(row['error_message'] or '')}" if row["error_type"] else None
    return TrialEnd(
        label=_label(row),
        outcome=row["outcome"],
        epochs=row["epochs"] or 0,
        value=row["value"],
        host=row["host"],
        reason=error or row["reason"] or "",
        final=row["final"],
        number=row["number"],
    )


def _best(epochs: pl.DataFrame, due_trials: pl.DataFrame, mode: str) -> tuple[float, str] | None:
    """The best value of the metric and where it was reached."""
    candidates = epochs.drop_nulls("best")
    if candidates.is_empty():
        return None
    best = candidates.sort(pl.col("best") * -sign(mode), "best_order").row(0, named=True)
    trial = due_trials.row(by_predicate=pl.col("trial_id") == best["trial_id"], named=True)
    return best["best"], f"{_label(trial)}, epoch {best['best_epoch']}"


def _label(row: Row) -> str:
    """A trial's label, for people: `adam, seed 1, fold 2`."""
    fold = "" if row["fold"] is None else f", fold {row['fold'] + 1}"
    return f"{_name(row)}, seed {row['seed']}{fold}"


def _name(row: Row) -> str:
    """The arm, and which candidate of it: `adam`, `adam candidate 3`."""
    candidate = row.get("candidate")
    return str(row["arm"]) if candidate is None else f"{row['arm']} candidate {candidate}"
