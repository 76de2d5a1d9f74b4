"""Turns what slots report into rows of the tables. Knows nothing of Ray, so that it can be read and tested alone."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from layersweep.records.tables import REFUSAL_TYPES, STOPPED_ON_REQUEST, TIME_CLASSES
from layersweep.records.values import Epoch
from layersweep.records.write import Row, Writer
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.driver.learning_check import TrainingFacts, hopeless_reason, lag_warning
from layersweep.tuning.driver.record_rows import (
    RunningTrial,
    TableRow,
    TrialColumns,
    end_row,
    epoch_rows,
    reason_columns,
    utc_now,
)
from layersweep.tuning.experiment.asha_settings import GO_ON, Decision
from layersweep.tuning.experiment.candidate_limits import epoch_flops
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage.recorded_attempt import (
    ALONGSIDE,
    EPOCH_SECONDS,
    Metrics,
    RecordedAttempt,
    metrics,
    stop_columns,
)


def _nothing_recorded(_trial_id: str) -> RecordedAttempt:
    return RecordedAttempt()


def _no_rows(_table: str, _trial_id: str, _attempt: int, _epoch: int) -> Iterable[Row]:
    return ()


def _no_source(_family: str) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class RecordContext:
    """What a record builder knows of the command and of the records.

    Attributes:
        run: the id of this command, which the table `runs` explains.
        family: the name of the sweep's own model family.
        metric: the column that decides, for the endings.
        next_sequence: the number of the first epoch that this command will see.
        recorded_attempt: what is recorded of a trial, by its id.
        recorded_rows: the rows of a table, of a trial's attempt, up to an epoch: for a new attempt that begins with
            them.
        keep_hopeless: whether trials that diverged or are at chance continue.
        flops_per_second: the highest rate of any recorded training; None before one, or if nobody asks.
        source_of: the fingerprint of a family's source code; None if it is unknown.
    """

    run: str
    family: str
    metric: str
    next_sequence: int = 0
    recorded_attempt: Callable[[str], RecordedAttempt] = _nothing_recorded
    recorded_rows: Callable[[str, str, int, int], Iterable[Row]] = _no_rows
    keep_hopeless: bool = False
    flops_per_second: float | None = None
    source_of: Callable[[str], str | None] = _no_source


class RecordBuilder:
    """Writes the rows of a running sweep.

    Args:
        writer: where the rows go.
        context: what is known of the command and of the records.

    Attributes:
        running_trials: the trials that run, by id.
        seconds: the time of all slots by class.
        flops_per_second: the highest rate of any training that is recorded or ran in this command; None before one.
    """

    def __init__(self, writer: Writer, context: RecordContext) -> None:
        self._writer, self._context = writer, context
        self._columns = TrialColumns(run=context.run, family=context.family, source_of=context.source_of)
        self._next_sequence = context.next_sequence
        self._attempts_to_retry: dict[str, RecordedAttempt] = {}
        self._first_metrics: dict[str, Metrics] = {}
        self.running_trials: dict[str, RunningTrial] = {}
        self.seconds = dict.fromkeys(TIME_CLASSES, 0.0)
        self.flops_per_second = context.flops_per_second

    def recorded_attempt(self, trial_id: str) -> RecordedAttempt:
        """What is recorded of a trial by earlier commands, or by this one if the trial failed in it."""
        return self._attempts_to_retry.get(trial_id) or self._context.recorded_attempt(trial_id)

    def plan(self, trials: Iterable[Trial]) -> None:
        """Writes which trials the sweep asks for, before they start."""
        self._writer.append("plan", (self._columns.plan(trial) for trial in trials))

    def close(self, trial: Trial, row: Row) -> None:
        """Writes the end of a trial that is not trained any further, from columns that its records give."""
        ids = {"run": self._context.run, "question": trial.question, "arm": trial.arm.name}
        self._writer.append("trials", [{**self._columns.trial(trial), **row, **ids}])

    def drop(self, trial: Trial, reason: str) -> Ending:
        """Writes the end of a trial that waited and is not run.

        A trial without an epoch gets a row only if a person stopped it: nothing else says that it is not to run.
        """
        row = stop_columns(self.recorded_attempt(trial.trial_id), trial.epochs, reason)
        requested, value = reason == STOPPED_ON_REQUEST, row.get(f"last_{self._context.metric}")
        if row["epochs"] or requested:
            self.close(trial, row)
        return Ending(outcome="stopped", epoch=row["epochs"], value=value, requested=requested)

    def start(self, trial: Trial, *, start_epoch: int = 0) -> None:
        """A slot has started the trial, which continues after epoch `start_epoch`."""
        attempt = self.recorded_attempt(trial.trial_id)
        curve = attempt.curve(start_epoch)
        self.running_trials[trial.trial_id] = RunningTrial(
            trial=trial, attempt=attempt, started_at=utc_now(), start=start_epoch, curve=curve
        )
        if 1 in curve:
            self._first_metrics[trial.trial_id] = curve[1]

    def hopeless_reason(self, trial: Trial, epoch: Epoch) -> str | None:
        """Why a trial is hopeless after an epoch that is about to be reported; None if it is not, or may continue."""
        return None if self._context.keep_hopeless else self._hopeless_reason(trial, epoch)

    def report(
        self, trial: Trial, report: Report, decisions: Sequence[Decision] = (GO_ON,), *, busy_slots: int
    ) -> Ending | None:
        """Writes what a step brought; returns the trial's ending if it ended.

        Args:
            trial: the trial.
            report: the step.
            decisions: the decisions on its epochs, one by one; epochs behind the last decision are dropped.
            busy_slots: the other slots at work.
        """
        running_trial = self.running_trials[trial.trial_id]
        running_trial.report = report
        running_trial.network = report.network or running_trial.network
        self._add_seconds(running_trial, _seconds_besides_epochs(report))
        for epoch, decision in zip(report.epochs, decisions, strict=False):
            self._record_epoch(running_trial, epoch, decision)
            outcome = self._outcome(trial, epoch, decision)
            if outcome is not None:
                return self._end(running_trial, outcome, decision=decision, busy_slots=busy_slots)
        if report.epochs:
            return None
        message = f"the training ended after epoch {running_trial.epochs} of {trial.epochs}"
        error = report.error or Error(type="EndedEarly", message=message)
        return self._end(running_trial, "failed", error=error, busy_slots=busy_slots)

    def fail(self, trial: Trial, error: Error) -> Ending:
        """Writes the end of a trial whose slot died, or that cannot start."""
        if trial.trial_id not in self.running_trials:
            self.start(trial)
        return self._end(self.running_trials[trial.trial_id], "failed", error=error)

    def _outcome(self, trial: Trial, epoch: Epoch, decision: Decision) -> str | None:
        is_last = epoch.epoch >= trial.epochs
        if epoch.diverged and (is_last or not self._context.keep_hopeless):
            return "diverged"
        if is_last:
            return "completed"
        return {"stop": "stopped", "hopeless": "hopeless"}.get(decision.action)

    def _hopeless_reason(self, trial: Trial, epoch: Epoch) -> str | None:
        if epoch.epoch == 1 or trial.trial_id not in self._first_metrics:
            self._first_metrics[trial.trial_id] = metrics(epoch)
        return hopeless_reason(self._first_metrics[trial.trial_id], epoch, steps=epoch.epoch * _steps_an_epoch(trial))

    def _warning(self, running_trial: RunningTrial, epoch: Epoch) -> str | None:
        """What a person should know of a trial after an epoch."""
        trial, steps = running_trial.trial, _steps_an_epoch(running_trial.trial)
        facts = TrainingFacts(
            steps=epoch.epoch * steps,
            all_steps=trial.epochs * steps,
            network=running_trial.network,
            input_range=trial.arm.values.get("input_range"),
        )
        return self._hopeless_reason(trial, epoch) or lag_warning(epoch, facts)

    def _add_seconds(self, running_trial: RunningTrial, seconds_by_class: Mapping[str, float]) -> None:
        for name, seconds in seconds_by_class.items():
            running_trial.seconds[name] += seconds
            self.seconds[name] += seconds

    def _record_epoch(self, running_trial: RunningTrial, epoch: Epoch, decision: Decision) -> None:
        """Writes an epoch's rows, except those that are recorded and equal."""
        self._add_seconds(running_trial, {name: getattr(epoch, f"seconds_{name}") for name in EPOCH_SECONDS})
        self._note_rate(running_trial, epoch)
        running_trial.warning = self._warning(running_trial, epoch)
        rows = list(epoch_rows(running_trial, epoch, decision))
        if running_trial.attempt.contradicts(epoch):
            self._begin_attempt(running_trial)
        attempt = running_trial.attempt
        if epoch.epoch <= max(attempt.epochs, default=0):
            running_trial.repeated_rows += rows
        self._write(attempt, ((table, row) for table, row in rows if not attempt.has_rows(table, epoch.epoch)))
        running_trial.curve[epoch.epoch] = metrics(epoch)
        running_trial.last_epoch = epoch

    def _note_rate(self, running_trial: RunningTrial, epoch: Epoch) -> None:
        """Remembers the fastest training by whole epochs: none that a NaN cut, or whose first step was traced."""
        if running_trial.network is None or epoch.diverged or epoch.seconds_build or not epoch.seconds_train > 0:
            return
        rate = epoch_flops(running_trial.network.flops, running_trial.trial.data.train_images) / epoch.seconds_train
        self.flops_per_second = max(rate, self.flops_per_second or 0.0)

    def _begin_attempt(self, running_trial: RunningTrial) -> None:
        """Makes this training a new attempt: other hardware or versions gave other results than are recorded.

        An attempt is whole: it begins with copies of the recorded rows before the checkpoint, and with the rows that
        this training has repeated since.
        """
        earlier, trial_id = running_trial.attempt, running_trial.trial.trial_id
        self._writer.flush()
        running_trial.attempt = RecordedAttempt(attempt=earlier.fresh, fresh=earlier.fresh + 1)
        for table in ("epochs", *ALONGSIDE):
            rows = self._context.recorded_rows(table, trial_id, earlier.attempt, running_trial.start)
            self._write(running_trial.attempt, ((table, row) for row in list(rows)))
        self._write(running_trial.attempt, running_trial.repeated_rows)
        running_trial.repeated_rows.clear()

    def _write(self, attempt: RecordedAttempt, rows: Iterable[TableRow]) -> None:
        """Appends rows of an attempt; an epoch's row gets its place in the sequence."""
        for table, row in rows:
            columns: dict[str, Any] = {"attempt": attempt.attempt}
            if table == "epochs":
                columns["sequence"] = self._next_sequence
                self._next_sequence += 1
            self._writer.append(table, [{**row, **columns}])

    def _end(
        self,
        running_trial: RunningTrial,
        outcome: str,
        *,
        decision: Decision = GO_ON,
        error: Error | None = None,
        busy_slots: int = 0,
    ) -> Ending:
        trial, attempt, metric = running_trial.trial, running_trial.attempt, self._context.metric
        self.running_trials.pop(trial.trial_id, None)
        self._first_metrics.pop(trial.trial_id, None)
        if outcome == "stopped" and decision.rung is None:  # the epochs that it had yet to repeat count as well
            running_trial.curve |= attempt.curve(min(attempt.last, trial.epochs))
        if outcome == "failed":
            self._attempts_to_retry[trial.trial_id] = _after_failure(running_trial)
        reason = reason_columns(outcome, decision, error, epoch=running_trial.epochs, metric=metric)
        row = self._columns.trial(trial) | end_row(running_trial, outcome, reason=reason, busy_slots=busy_slots)
        self._writer.append("trials", [row])
        value = running_trial.curve[running_trial.epochs].get(metric) if running_trial.curve else None
        refused = error is not None and error.type in REFUSAL_TYPES
        requested = outcome == "stopped" and decision.reason == STOPPED_ON_REQUEST
        return Ending(outcome=outcome, epoch=running_trial.epochs, value=value, refused=refused, requested=requested)


def _steps_an_epoch(trial: Trial) -> int:
    return math.ceil(trial.data.train_images / trial.arm.batch_size)


def _seconds_besides_epochs(report: Report) -> dict[str, float]:
    """The time of a step that is no epoch's, by class."""
    seconds = {name: getattr(report, f"seconds_{name}") for name in ("start", "import", "close", "checkpoint")}
    return seconds | {"build": report.network.seconds_build if report.network else 0.0}


def _after_failure(running_trial: RunningTrial) -> RecordedAttempt:
    """What a retry of a failed trial continues."""
    attempt = running_trial.attempt
    new_epochs = frozenset(running_trial.curve)  # an epoch's rows are written together
    return replace(
        attempt,
        continuation=attempt.continuation + 1,
        epochs={**attempt.epochs, **running_trial.curve},
        alongside={table: attempt.alongside.get(table, frozenset()) | new_epochs for table in ALONGSIDE},
    )
