"""The rows of the tables, built from a trial and what its slot reported. Pure functions."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from layersweep.escaping import to_json
from layersweep.formatting import first_line
from layersweep.records.tables import TIME_CLASSES
from layersweep.records.values import Epoch, Export, NetworkSummary
from layersweep.records.write import Row
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.storage.recorded_attempt import (
    EPOCH_SECONDS,
    Metrics,
    RecordedAttempt,
    metrics,
    result_columns,
)

TableRow = tuple[str, Row]
"""A table's name, and a row for it."""

_LATENCY_COLUMNS: Final = {
    "min_ms": "ms_min",
    "median_ms": "ms_median",
    "p95_ms": "ms_p95",
    "n": "n",
    "ratio": "ratio",
    "reference_ms": "ms_reference",
}
"""The fields of a latency, and the ends of their columns' names."""


@dataclass(kw_only=True)
class RunningTrial:
    """What is known so far of a trial that runs.

    Attributes:
        trial: the trial.
        attempt: what is recorded of the attempt that it continues.
        started_at: when its slot started it.
        start: the epoch after which it continues; 0 if it begins.
        network: its network; None before it is built.
        curve: the metrics of each epoch of this attempt so far, those before its checkpoint included.
        repeated_rows: the rows of epochs that were trained again: a later epoch may differ from its record.
        last_epoch: the last epoch that ended; None before the first.
        report: the last report.
        warning: what a person should know of its last epoch.
        seconds: its time by class.
    """

    trial: Trial
    attempt: RecordedAttempt
    started_at: datetime
    start: int = 0
    network: NetworkSummary | None = None
    curve: dict[int, Metrics] = field(default_factory=dict)
    repeated_rows: list[TableRow] = field(default_factory=list)
    last_epoch: Epoch | None = None
    report: Report | None = None
    warning: str | None = None
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIME_CLASSES, 0.0))

    @property
    def epochs(self) -> int:
        """The number of epochs that have ended; 0 before the first."""
        return max(self.curve, default=0)


@dataclass(frozen=True, kw_only=True)
class TrialColumns:
    """Makes the columns that say which trial a row is about.

    Attributes:
        run: the id of the command.
        family: the sweep's own model family.
        source_of: the fingerprint of a family's source code; None if it is unknown.
    """

    run: str
    family: str
    source_of: Callable[[str], str | None]

    def plan(self, trial: Trial) -> dict[str, Any]:
        """The columns of `plan`."""
        return self._common(trial) | {"epochs": trial.epochs, "candidate": trial.candidate}

    def trial(self, trial: Trial) -> dict[str, Any]:
        """The columns of `trials` that do not depend on the training."""
        return (
            self._common(trial)
            | {
                "family": trial.arm.family or self.family,
                "dataset": trial.data.name,
                "data_fingerprint": trial.data.fingerprint,
                "train_images": trial.data.train_images,
                "validation_images": trial.data.validation_images,
                "test_images": trial.data.test_images,
                "majority_share": trial.data.majority_share or None,  # 0 stands for unknown
                "precision": trial.precision,
                "network_revision": trial.network_revision,
                "source_fingerprint": self.source_of(trial.arm.family or self.family),
                "epochs_asked": trial.epochs,
            }
            | trial.arm.values
        )

    def _common(self, trial: Trial) -> dict[str, Any]:
        return {
            "run": self.run,
            "trial_id": trial.trial_id,
            "arm": trial.arm.name,
            "question": trial.question,
            "seed": trial.seed,
            "fold": trial.data.fold,
            "parent": trial.parent.trial_id if trial.parent else None,
            "config_json": to_json(trial.arm.stated, sort_keys=True),
        }


def epoch_rows(running_trial: RunningTrial, epoch: Epoch, decision: Decision) -> Iterator[TableRow]:
    """The rows of an epoch: one of `epochs`, and those of the tables alongside."""
    ids = {"trial_id": running_trial.trial.trial_id, "epoch": epoch.epoch}
    now = utc_now()
    last = epoch.epoch >= running_trial.trial.epochs
    action = "diverged" if epoch.diverged else "last" if last and decision.action != "stop" else decision.action
    seconds = {f"seconds_{name}": rounded(getattr(epoch, f"seconds_{name}")) for name in EPOCH_SECONDS}
    decision_columns = {"at": now, "decision": action, "rung": decision.rung, "cutoff": decision.cutoff}
    yield "epochs", ids | metrics(epoch) | seconds | decision_columns
    layers = running_trial.network.layers if running_trial.network else ()
    for statistics in epoch.statistics:
        yield "layers", ids | asdict(layers[statistics.index]) | asdict(statistics)
    for report in epoch.classes:
        yield "classes", ids | asdict(report)
    for export in epoch.exports:
        yield "exports", ids | _export_columns(export)
    if epoch.test is not None:
        yield "tests", ids | asdict(epoch.test) | {"at": now}


def end_row(running_trial: RunningTrial, outcome: str, *, reason: Mapping[str, Any], busy_slots: int) -> dict[str, Any]:
    """The columns of `trials` that come from the training.

    Args:
        running_trial: the trial.
        outcome: how it ended.
        reason: the columns that say why (`reason_columns`).
        busy_slots: the other slots at work on its machine.
    """
    attempt = running_trial.attempt
    row = _model_columns(running_trial, busy_slots) | result_columns(running_trial.curve)
    row |= {"attempt": attempt.attempt, "continuation": attempt.continuation, "warning": running_trial.warning}
    row |= {f"seconds_{name}": rounded(seconds) for name, seconds in running_trial.seconds.items()}
    return row | {"outcome": outcome, "started_at": running_trial.started_at, "ended_at": utc_now(), **reason}


def reason_columns(outcome: str, decision: Decision, error: Error | None, *, epoch: int, metric: str) -> dict[str, Any]:
    """The columns of `trials` that say why a trial ended."""
    if error is not None:
        reason = f"{error.type}: {first_line(error.message)}"
        message = {"error_type": error.type, "error_message": error.message, "traceback": error.traceback}
        return message | {"reason": reason}
    match outcome:
        case "diverged":
            return {"reason": f"the loss was NaN or infinite in epoch {epoch}"}
        case "hopeless":
            return {"reason": decision.reason, "warning": None}
        case "stopped":
            return {"rung": decision.rung, "cutoff": decision.cutoff, "reason": decision.stop_reason(metric)}
        case _:
            return {}


def rounded(seconds: float) -> float:
    """Measured seconds, rounded to the microsecond: more digits are noise and take space. Metrics are never rounded."""
    return round(float(seconds), 6)


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


def _export_columns(export: Export) -> dict[str, Any]:
    row = asdict(export)
    return row | {f"latency_{column}": row.pop(name) for name, column in _LATENCY_COLUMNS.items()}


def _model_columns(running_trial: RunningTrial, busy_slots: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if (network := running_trial.network) is not None:
        names = ("parameters", "trainable_parameters", "flops", "size_bytes")
        row |= {name: getattr(network, name) for name in names}
        row["network_fingerprint"] = network.fingerprint
    if (report := running_trial.report) is not None:
        row |= {"host": report.host, "device": report.device, "memory_peak_bytes": report.memory_peak_bytes}
        if report.error is not None:
            row["log"] = report.log
    latency = running_trial.last_epoch.latency if running_trial.last_epoch else None
    if latency is not None:
        row |= {f"latency_{column}": getattr(latency, name) for name, column in _LATENCY_COLUMNS.items()}
        row["latency_busy_slots"] = busy_slots
    return row
