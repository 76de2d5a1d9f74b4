"""Turns what slots report into rows of the tables. Knows nothing of Ray, so that it can be read and tested alone."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from layersweep.records.tables import REFUSED, TIME_CLASSES
from layersweep.records.values import Built, Epoch, Export
from layersweep.records.write import Row, Writer
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.driver.futility import Verdict, judge
from layersweep.tuning.experiment.admission import epoch_flops
from layersweep.tuning.experiment.halving import GO_ON, Decision
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage.trial_history import (
    ALONGSIDE,
    EPOCH_SECONDS,
    Metrics,
    RecordedAttempt,
    broken_off,
    metrics,
    results,
    same,
)
from layersweep.words import first_line


@dataclass
class Progress:
    """What is known so far of a trial that runs.

    `curve` holds the metrics of each epoch of this attempt so far, those before the checkpoint that it started from
    included; `rerun` the rows of epochs that were trained again, while a later recorded one may turn out to differ.
    `first` are the metrics of epoch 1, `verdicts` the judgements of epochs that are not written yet.
    """

    trial: Trial
    past: RecordedAttempt
    started_at: datetime
    start: int = 0
    built: Built | None = None
    curve: dict[int, Metrics] = field(default_factory=dict)
    rerun: list[tuple[str, Row]] = field(default_factory=list)
    last: Epoch | None = None
    report: Report | None = None
    first: Metrics | None = None
    verdicts: dict[int, Verdict | None] = field(default_factory=dict)
    warning: str | None = None
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIME_CLASSES, 0.0))

    @property
    def last_epoch(self) -> int:
        """The number of the last epoch that ended; 0 before the first."""
        return max(self.curve, default=0)


RowsUntil = Callable[[str, str, int, int], Iterable[Row]]
"""The recorded rows of a table, of a trial's attempt, to an epoch."""


class RecordBuilder:
    """Writes the rows of a running sweep.

    Args:
        writer: where the rows go.
        run: the id of this command, which `runs` explains.
        family: the name of the sweep's own model family.
        metric: the column that decides, for the endings.
        sequence: the number of the first epoch that this command will see.
        past: what is recorded of a trial, by its id.
        rows_until: recorded rows, for attempts that part from what is recorded.
        keep_hopeless: whether trials that diverged or are at chance run on.
        flops_per_second: the most that a recorded training has done.

    Attributes:
        flops_per_second: the most that any training has done that is recorded or ran in this command; None before one.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        run: str,
        family: str,
        metric: str,
        sequence: int = 0,
        past: Callable[[str], RecordedAttempt] = lambda _trial_id: RecordedAttempt(),
        rows_until: RowsUntil = lambda *_: (),
        keep_hopeless: bool = False,
        flops_per_second: float | None = None,
    ) -> None:
        self._writer, self._run, self._family, self._metric = writer, run, family, metric
        self._sequence, self._recorded, self._rows_until = sequence, past, rows_until
        self._keep_hopeless = keep_hopeless
        self._failed: dict[str, RecordedAttempt] = {}
        self.flops_per_second = flops_per_second
        self.running: dict[str, Progress] = {}
        self.seconds = dict.fromkeys(TIME_CLASSES, 0.0)

    def past(self, trial_id: str) -> RecordedAttempt:
        """What is recorded of a trial, by earlier commands or by this one if it failed in it."""
        return self._failed.get(trial_id) or self._recorded(trial_id)

    def planned(self, trials: Iterable[Trial]) -> None:
        """Writes what the sweep asks for, before it starts."""
        rows = (self._asked(t) | {"epochs": t.epochs, "candidate": t.candidate} for t in trials)
        self._writer.append("plan", rows)

    def closed(self, trial: Trial, row: Row) -> None:
        """Writes the end of a trial that the present flags end where earlier ones did not, without training it."""
        said = {"run": self._run, "question": trial.question, "arm": trial.arm.name}
        self._writer.append("trials", [{**self._trial_row(trial), **trial.arm.values, **row, **said}])

    def broken_off(self, trial: Trial, reason: str) -> Ending:
        """Writes the end of a trial that waited to go on and is not run; one that has no epoch gets no row."""
        past = self.past(trial.trial_id)
        row = broken_off(past, trial.epochs, reason)
        if row["epochs"]:
            self.closed(trial, row)
        return Ending(outcome="stopped", epoch=row["epochs"], value=row.get(f"last_{self._metric}"))

    def started(self, trial: Trial, *, start: int = 0) -> None:
        """A slot has taken the trial; it goes on after epoch `start`."""
        past = self.past(trial.trial_id)
        curve = past.curve(start)
        self.running[trial.trial_id] = Progress(
            trial=trial, past=past, started_at=_now(), start=start, curve=curve, first=curve.get(1)
        )

    def hopeless(self, trial: Trial, epoch: Epoch) -> str | None:
        """Why a trial is hopeless after an epoch that is to be reported, if it is and such trials are ended."""
        progress = self.running[trial.trial_id]
        verdict = progress.verdicts[epoch.epoch] = self._verdict(progress, epoch)
        return verdict.reason if verdict is not None and verdict.ended and not self._keep_hopeless else None

    def reported(
        self, trial: Trial, report: Report, decisions: Sequence[Decision] = (GO_ON,), *, busy: int
    ) -> Ending | None:
        """Writes what a step brought; returns the trial's ending if it ended.

        Args:
            trial: the trial.
            report: the step.
            decisions: what was decided of its epochs, one by one; those behind the last decision are dropped.
            busy: the other slots at work.
        """
        progress = self.running[trial.trial_id]
        self._account(progress, report)
        for epoch, decision in zip(report.epochs, decisions, strict=False):
            self._epoch(progress, epoch, decision)
            outcome = self._outcome(trial, epoch, decision)
            if outcome is not None:
                return self._end(progress, outcome, error=None, decision=decision, busy=busy)
        if report.epochs:
            return None
        seen = f"the training ended after epoch {progress.last_epoch} of {trial.epochs}"
        error = report.error or Error(type="EndedEarly", message=seen)
        return self._end(progress, "failed", error=error, decision=GO_ON, busy=busy)

    def lost(self, trial: Trial, error: Error) -> Ending:
        """Writes the end of a trial whose slot died."""
        if trial.trial_id not in self.running:
            self.started(trial)
        return self._end(self.running[trial.trial_id], "failed", error=error, decision=GO_ON, busy=0)

    def _outcome(self, trial: Trial, epoch: Epoch, decision: Decision) -> str | None:
        last = epoch.epoch >= trial.epochs
        if epoch.diverged and (last or not self._keep_hopeless):
            return "diverged"
        if last:
            return "completed"
        return {"stop": "stopped", "hopeless": "hopeless"}.get(decision.action)

    def _verdict(self, progress: Progress, epoch: Epoch) -> Verdict | None:
        trial, last = progress.trial, metrics(epoch)
        if epoch.epoch == 1 or progress.first is None:
            progress.first = last
        steps = math.ceil(trial.data.train_images / trial.arm.batch_size)
        return judge(progress.first, last, trial.data, epoch=epoch.epoch, steps_an_epoch=steps)

    def _account(self, progress: Progress, report: Report) -> None:
        progress.report = report
        if report.built is not None:
            progress.built = report.built
        spent = {name: getattr(report, f"seconds_{name}") for name in ("start", "import", "close", "checkpoint")}
        spent["build"] = report.built.seconds_build if report.built else 0.0
        self._spend(progress, spent)

    def _spend(self, progress: Progress, spent: Mapping[str, float]) -> None:
        for name, seconds in spent.items():
            progress.seconds[name] += seconds
            self.seconds[name] += seconds

    def _asked(self, trial: Trial) -> dict[str, Any]:
        """The columns that `plan` and `trials` share."""
        return {
            "run": self._run,
            "trial_id": trial.trial_id,
            "arm": trial.arm.name,
            "question": trial.question,
            "seed": trial.seed,
            "fold": trial.data.fold,
            "parent": trial.parent.trial_id if trial.parent else None,
            "config_json": json.dumps(trial.arm.stated, sort_keys=True),
        }

    def _epoch(self, progress: Progress, epoch: Epoch, decision: Decision) -> None:
        """Writes an epoch's rows, unless they are recorded and equal."""
        self._spend(progress, {name: getattr(epoch, f"seconds_{name}") for name in EPOCH_SECONDS})
        self._note_rate(progress, epoch)
        judged = epoch.epoch in progress.verdicts
        verdict = progress.verdicts.pop(epoch.epoch) if judged else self._verdict(progress, epoch)
        progress.warning = verdict.reason if verdict is not None else None
        seen = metrics(epoch)
        recorded = progress.past.epochs.get(epoch.epoch)
        rows = list(self._rows(progress, epoch, decision))
        if recorded is not None and not same(recorded, seen):
            self._part(progress)
            recorded = None
        there = {table for table, epochs in progress.past.alongside.items() if epoch.epoch in epochs}
        if epoch.epoch <= max(progress.past.epochs, default=0):
            progress.rerun += rows
        if recorded is not None:
            there.add("epochs")
        self._write(progress, (row for row in rows if row[0] not in there))
        progress.curve[epoch.epoch] = seen
        progress.last = epoch

    def _note_rate(self, progress: Progress, epoch: Epoch) -> None:
        """Remembers the fastest training, by whole epochs: not one that a NaN cut, or whose first step was traced."""
        if progress.built is None or epoch.diverged or epoch.seconds_build or not epoch.seconds_train > 0:
            return
        rate = epoch_flops(progress.built.flops, progress.trial.data.train_images) / epoch.seconds_train
        self.flops_per_second = max(rate, self.flops_per_second or 0.0)

    def _part(self, progress: Progress) -> None:
        """Makes what runs a new attempt, whole: other hardware or versions gave another result than is recorded."""
        past, trial_id = progress.past, progress.trial.trial_id
        self._writer.flush()
        before = {t: list(self._rows_until(t, trial_id, past.attempt, progress.start)) for t in ("epochs", *ALONGSIDE)}
        progress.past = RecordedAttempt(attempt=past.fresh, fresh=past.fresh + 1)
        self._write(progress, ((table, row) for table, rows in before.items() for row in rows))
        self._write(progress, progress.rerun)
        progress.rerun.clear()

    def _write(self, progress: Progress, rows: Iterable[tuple[str, Row]]) -> None:
        """Appends rows under the present attempt; an epoch's row gets its place in the sequence."""
        for table, row in rows:
            more: dict[str, Any] = {"attempt": progress.past.attempt}
            if table == "epochs":
                more["sequence"] = self._sequence
                self._sequence += 1
            self._writer.append(table, [{**row, **more}])

    def _rows(self, progress: Progress, epoch: Epoch, decision: Decision) -> Iterator[tuple[str, Row]]:
        trial = progress.trial
        ids = {"trial_id": trial.trial_id, "epoch": epoch.epoch}
        now = _now()
        last = epoch.epoch >= trial.epochs
        action = "diverged" if epoch.diverged else "last" if last and decision.action != "stop" else decision.action
        row = (
            ids
            | metrics(epoch)
            | {f"seconds_{name}": rounded(getattr(epoch, f"seconds_{name}")) for name in EPOCH_SECONDS}
        )
        yield "epochs", row | {"at": now, "decision": action, "rung": decision.rung, "cutoff": decision.cutoff}
        layers = progress.built.layers if progress.built else ()
        for statistics in epoch.statistics:
            yield "layers", ids | asdict(layers[statistics.index]) | asdict(statistics)
        for report in epoch.classes:
            yield "classes", ids | asdict(report)
        for export in epoch.exports:
            yield "exports", ids | _export_row(export)
        if epoch.test is not None:
            yield "tests", ids | asdict(epoch.test) | {"at": now}

    def _end(self, progress: Progress, outcome: str, *, error: Error | None, decision: Decision, busy: int) -> Ending:
        trial, past = progress.trial, progress.past
        self.running.pop(trial.trial_id, None)
        if outcome == "stopped" and decision.rung is None:  # what it was about to train again counts
            progress.curve |= past.curve(min(past.last, trial.epochs))
        if outcome == "failed":
            self._failed[trial.trial_id] = _gone_on(progress)
        row = self._trial_row(trial) | trial.arm.values | _model_row(progress, busy) | results(progress.curve)
        row |= {"attempt": past.attempt, "continuation": past.continuation, "warning": progress.warning}
        row |= {f"seconds_{name}": rounded(seconds) for name, seconds in progress.seconds.items()}
        row |= {"outcome": outcome, "started_at": progress.started_at, "ended_at": _now()}
        if outcome == "diverged":
            row["reason"] = f"the loss was NaN or infinite in epoch {progress.last_epoch}"
        if outcome == "hopeless":
            row |= {"reason": decision.reason, "warning": None}
        if outcome == "stopped":
            row |= {"rung": decision.rung, "cutoff": decision.cutoff, "reason": decision.behind(self._metric)}
        if error is not None:
            row |= {"error_type": error.type, "error_message": error.message, "traceback": error.traceback}
            row |= {"reason": f"{error.type}: {first_line(error.message)}"}
        self._writer.append("trials", [row])
        value = progress.curve[progress.last_epoch][self._metric] if progress.curve else None
        refused = error is not None and error.type in REFUSED
        return Ending(outcome=outcome, epoch=progress.last_epoch, value=value, refused=refused)

    def _trial_row(self, trial: Trial) -> dict[str, Any]:
        return self._asked(trial) | {
            "family": trial.arm.family or self._family,
            "dataset": trial.data.name,
            "data_fingerprint": trial.data.fingerprint,
            "train_images": trial.data.train_images,
            "validation_images": trial.data.validation_images,
            "test_images": trial.data.test_images,
            "precision": trial.precision,
            "epochs_asked": trial.epochs,
        }


def rounded(seconds: float) -> float:
    """Measured seconds as they are recorded, to the microsecond: the digits behind it are noise and would take space.

    Metrics are never rounded.
    """
    return round(float(seconds), 6)


def _export_row(export: Export) -> dict[str, Any]:
    row = asdict(export)
    return row | {f"latency_{new}": row.pop(old) for old, new in _LATENCIES.items()}


_LATENCIES: Final = {
    "min_ms": "ms_min",
    "median_ms": "ms_median",
    "p95_ms": "ms_p95",
    "n": "n",
    "ratio": "ratio",
    "reference_ms": "ms_reference",
}


def _model_row(progress: Progress, busy: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if (built := progress.built) is not None:
        names = ("parameters", "trainable_parameters", "flops", "size_bytes")
        row |= {name: getattr(built, name) for name in names}
    if (report := progress.report) is not None:
        row |= {"host": report.host, "device": report.device, "memory_peak_bytes": report.memory_peak_bytes}
        if report.error is not None:
            row["log"] = report.log
    latency = progress.last.latency if progress.last else None
    if latency is not None:
        row |= {f"latency_{name}": getattr(latency, field) for field, name in _LATENCIES.items()}
        row["latency_busy_slots"] = busy
    return row


def _gone_on(progress: Progress) -> RecordedAttempt:
    """What a retry of a trial goes on from."""
    past = progress.past
    written = frozenset(progress.curve)  # an epoch's rows are written together
    return RecordedAttempt(
        attempt=past.attempt,
        continuation=past.continuation + 1,
        fresh=past.fresh,
        epochs={**past.epochs, **progress.curve},
        alongside={table: past.alongside.get(table, frozenset()) | written for table in ALONGSIDE},
    )


def _now() -> datetime:
    return datetime.now(UTC)
