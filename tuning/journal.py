"""Turns what slots report into rows of the tables. Knows nothing of Ray, so that it can be read and tested alone."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from records.tables import TIME_CLASSES
from records.values import Built, Epoch, Layer, LayerStatistics
from records.write import Row, Writer
from tuning.plan import Ending
from tuning.report import Error, Report
from tuning.sweep import Trial


@dataclass
class Progress:
    """What is known so far of a trial that runs."""

    trial: Trial
    started_at: datetime
    built: Built | None = None
    epochs: list[Epoch] = field(default_factory=list)
    report: Report | None = None
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIME_CLASSES, 0.0))

    @property
    def last_epoch(self) -> int:
        """The number of the last epoch that ended; 0 before the first."""
        return self.epochs[-1].epoch if self.epochs else 0


class Journal:
    """Writes the rows of a running sweep.

    Args:
        writer: where the rows go.
        run: the id of this command, which `runs` explains.
        family: the model family's name.
        metric: the column that decides, for the endings.
        sequence: the number of the first epoch that this command will see.
    """

    def __init__(self, writer: Writer, *, run: str, family: str, metric: str, sequence: int = 0) -> None:
        self._writer, self._run, self._family, self._metric = writer, run, family, metric
        self._sequence = sequence
        self.running: dict[str, Progress] = {}
        self.seconds = dict.fromkeys(TIME_CLASSES, 0.0)

    def planned(self, trials: Iterable[Trial]) -> None:
        """Writes what the sweep asks for, before it starts."""
        self._writer.append("plan", (self._plan_row(t) for t in trials))

    def started(self, trial: Trial) -> None:
        """A slot has taken the trial."""
        self.running[trial.trial_id] = Progress(trial=trial, started_at=_now())

    def reported(
        self, trial: Trial, report: Report, *, action: str, rung: int | None, cutoff: float | None, busy: int
    ) -> Ending | None:
        """Writes what a step brought; `busy` counts the other slots at work. Returns the trial's ending if it ended."""
        progress = self.running[trial.trial_id]
        self._account(progress, report)
        epoch = report.epoch
        if epoch is not None:
            progress.epochs.append(epoch)
            last = epoch.epoch >= trial.epochs
            decision = "diverged" if epoch.diverged else "last" if last and action != "stop" else action
            self._epoch(progress, epoch, action=decision, rung=rung, cutoff=cutoff)
        outcome = self._outcome(trial, report, action)
        if outcome is None:
            return None
        stopped_at = (rung, cutoff) if outcome == "stopped" else (None, None)
        error = report.error
        if epoch is None and error is None:
            seen = f"the training ended after epoch {progress.last_epoch} of {trial.epochs}"
            error = Error(type="EndedEarly", message=seen)
        return self._end(progress, outcome, error=error, stopped_at=stopped_at, busy=busy)

    def lost(self, trial: Trial, error: Error) -> Ending:
        """Writes the end of a trial whose slot died."""
        progress = self.running.setdefault(trial.trial_id, Progress(trial=trial, started_at=_now()))
        return self._end(progress, "failed", error=error, stopped_at=(None, None), busy=0)

    def _outcome(self, trial: Trial, report: Report, action: str) -> str | None:
        if report.error is not None or report.epoch is None:
            return "failed"
        if report.epoch.diverged:
            return "diverged"
        if report.epoch.epoch >= trial.epochs:
            return "completed"
        return "stopped" if action == "stop" else None

    def _account(self, progress: Progress, report: Report) -> None:
        progress.report = report
        if report.built is not None:
            progress.built = report.built
        spent = {"start": report.seconds_start, "import": report.seconds_import, "close": report.seconds_close}
        spent["build"] = report.built.seconds_build if report.built else 0.0
        if (epoch := report.epoch) is not None:
            spent["build"] += epoch.seconds_build
            spent |= {name: getattr(epoch, f"seconds_{name}") for name in ("train", "validate", "test", "measure")}
        for name, seconds in spent.items():
            progress.seconds[name] += seconds
            self.seconds[name] += seconds

    def _plan_row(self, trial: Trial) -> Row:
        return {
            "run": self._run,
            "trial_id": trial.trial_id,
            "arm": trial.arm.name,
            "question": trial.question,
            "seed": trial.seed,
            "epochs": trial.epochs,
        }

    def _epoch(self, progress: Progress, epoch: Epoch, *, action: str, rung: int | None, cutoff: float | None) -> None:
        ids = {"trial_id": progress.trial.trial_id, "attempt": progress.trial.attempt, "epoch": epoch.epoch}
        now = _now()
        copied = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", *_EPOCH_SECONDS)
        row = ids | {name: getattr(epoch, name) for name in copied} | {"sequence": self._sequence, "at": now}
        self._sequence += 1
        self._writer.append("epochs", [row | {"decision": action, "rung": rung, "cutoff": cutoff}])
        layers = progress.built.layers if progress.built else ()
        self._writer.append("layers", (ids | _layer_row(layers[s.index], s) for s in epoch.statistics))
        self._writer.append("classes", (ids | _class_row(asdict(c)) for c in epoch.classes))
        if epoch.test is not None:
            self._writer.append("tests", [ids | asdict(epoch.test) | {"at": now}])

    def _end(
        self,
        progress: Progress,
        outcome: str,
        *,
        error: Error | None,
        stopped_at: tuple[int | None, float | None],
        busy: int,
    ) -> Ending:
        trial = progress.trial
        self.running.pop(trial.trial_id, None)
        row = self._trial_row(trial) | trial.arm.values | _model_row(progress, busy) | _result_row(progress.epochs)
        row |= {f"seconds_{name}": seconds for name, seconds in progress.seconds.items()}
        row |= {"outcome": outcome, "rung": stopped_at[0], "cutoff": stopped_at[1]}
        row |= {"started_at": progress.started_at, "ended_at": _now()}
        if outcome == "diverged":
            row["reason"] = f"the loss was NaN or infinite in epoch {progress.epochs[-1].epoch}"
        if outcome == "stopped":
            row["reason"] = f"its {self._metric} was behind the cutoff {stopped_at[1]:.4f} at epoch {stopped_at[0]}"
        if error is not None:
            row |= {"error_type": error.type, "error_message": error.message, "traceback": error.traceback}
            row |= {"reason": f"{error.type}: {error.message.splitlines()[0] if error.message else ''}"}
        self._writer.append("trials", [row])
        value = getattr(progress.epochs[-1], self._metric) if progress.epochs else None
        return Ending(outcome=outcome, epoch=progress.last_epoch, value=value)

    def _trial_row(self, trial: Trial) -> dict[str, Any]:
        return {
            "trial_id": trial.trial_id,
            "attempt": trial.attempt,
            "run": self._run,
            "arm": trial.arm.name,
            "question": trial.question,
            "family": self._family,
            "dataset": trial.data.name,
            "data_fingerprint": trial.data.fingerprint,
            "train_images": trial.data.train_images,
            "validation_images": trial.data.validation_images,
            "test_images": trial.data.test_images,
            "seed": trial.seed,
            "precision": trial.precision,
            "epochs_asked": trial.epochs,
            "config_json": json.dumps(trial.arm.values, sort_keys=True),
        }


_EPOCH_SECONDS = ("seconds_build", "seconds_train", "seconds_validate", "seconds_test", "seconds_measure")


def _layer_row(layer: Layer, statistics: LayerStatistics) -> dict[str, Any]:
    return asdict(layer) | asdict(statistics)


def _class_row(report: dict[str, Any]) -> dict[str, Any]:
    return report | {"predicted": list(report["predicted"])}


def _model_row(progress: Progress, busy: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if (built := progress.built) is not None:
        names = ("parameters", "trainable_parameters", "flops", "size_bytes")
        row |= {name: getattr(built, name) for name in names}
    if (report := progress.report) is not None:
        row |= {"host": report.host, "device": report.device, "memory_peak_bytes": report.memory_peak_bytes}
        if report.error is not None:
            row["log"] = report.log
    latency = progress.epochs[-1].latency if progress.epochs else None
    if latency is not None:
        row |= {"latency_ms_median": latency.median_ms, "latency_ms_p95": latency.p95_ms, "latency_n": latency.n}
        row["latency_busy_slots"] = busy
    return row


def _result_row(epochs: list[Epoch]) -> dict[str, Any]:
    if not epochs:
        return {"epochs": 0}
    last = epochs[-1]
    row: dict[str, Any] = {"epochs": last.epoch}
    row |= {f"last_{name}": getattr(last, name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    sound = [e for e in epochs if math.isfinite(e.val_accuracy)]
    if sound:
        best = max(sound, key=lambda e: e.val_accuracy)
        row |= {"best_val_accuracy": best.val_accuracy, "best_epoch": best.epoch}
    return row


def _now() -> datetime:
    return datetime.now(UTC)
