"""What every export writes, prepared once: the trials of a sweep with their configurations, curves and verdicts.

Every text is without hidden characters, every configuration value is a bool, an int of 64 bits, a float or a text, and
every trial has an id that can be the name of a file.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import polars as pl

from layersweep.escaping import visible
from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, LOSS, MACRO_F1, METRICS
from layersweep.records.overview import UNFINISHED, check_recorded
from layersweep.records.questions import FIRST_PHASE
from layersweep.records.read import read, sweeps
from layersweep.studies.earlier_records import question_of
from layersweep.studies.recorded_comparison import comparisons_of
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.statistics.replicates import configuration, latest_attempts
from layersweep.studies.wording.answer_sentences import verdict

CURVES: Final = ("loss", "accuracy", LOSS, ACCURACY, BALANCED_ACCURACY, MACRO_F1, "learning_rate")
"""The columns of `epochs` that are exported."""

FAILED_STATES: Final = ("failed", "diverged")
"""The states of trials that other tools show as failed."""

LABELS: Final = ("trial_id", "arm", "verdict", "state", "question", "reason", "group")
"""What is exported of a trial as text, besides its configuration."""

_EPOCH_COLUMNS: Final = ("trial_id", "attempt", "epoch", *CURVES, "at")
_FILE_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_UNSAFE: Final = re.compile(r"[^\w .,=+-]|^[.~-]+")
_LONGEST_NAME: Final = 50
"""Characters, of which UTF-8 needs up to four bytes."""
_LONGEST_INTEGER: Final = 63
"""Bits."""
_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)

Value: TypeAlias = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: when it ended, and the values of `CURVES` that are recorded; NaN and infinities stay."""

    number: int
    at: datetime
    values: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial, by its latest attempt.

    Attributes:
        trial_id: its id in the records.
        arm: its arm, by the name in the study; empty for a first phase.
        question: the purpose of the trial, see `layersweep.records.questions`.
        state: the outcome, or `unfinished`.
        reason: why it ended so; empty if nothing is recorded.
        verdict: that on its arm; empty for a trial that belongs to no arm.
        group: the group of arms that it is compared with, as `key=value`; empty if the sweep has one group only.
        replicate: its seed, and its fold if it has one.
        config: its configuration.
        epochs: the epochs of its latest attempt, in order.
        started_at: when the attempt began, or its first epoch ended.
        ended_at: when the attempt ended, or its last epoch.
    """

    trial_id: str
    arm: str
    question: str
    state: str
    reason: str
    verdict: str
    group: str
    attempt: int
    replicate: Mapping[str, int]
    config: Mapping[str, Value]
    epochs: Sequence[Epoch]
    started_at: datetime
    ended_at: datetime

    @property
    def file_id(self) -> str:
        """The trial id, or a hash of an id that is no name of a file."""
        is_name = _FILE_ID.fullmatch(self.trial_id)
        return self.trial_id if is_name else hashlib.sha256(self.trial_id.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """The trial for a reader: `adam, seed 1, screening`."""
        purpose = "" if self.question in ("", "comparison") else f", {self.question}"
        replicate = " ".join(f"{name} {number}" for name, number in self.replicate.items())
        return f"{self.arm}, {replicate}{purpose}" if self.arm else f"{replicate}{purpose}"

    @property
    def labels(self) -> dict[str, str]:
        """What is said of the trial besides its configuration, without empty texts."""
        texts = {name: str(getattr(self, name)) for name in LABELS}
        return {name: text for name, text in texts.items() if text}

    @property
    def fingerprint(self) -> str:
        """A hash of all that is exported of the trial: it changes if any of it does."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class SweepValues:
    """A sweep's trials in the order of the plan, without those that have not started.

    Attributes:
        sweep: its name, without hidden characters.
        question: its question.
        metric: the column of `epochs` by which it is judged.
        trials: the trials.
        waiting_trials: how many have not started.
    """

    sweep: str
    question: str
    metric: str
    trials: Sequence[Trial]
    waiting_trials: int

    @property
    def folder(self) -> str:
        """The name of its file or folder: its own, or one with a hash if that is no name of a file."""
        name = folder_name(self.sweep)
        return name if name == self.sweep else f"{name} {hashlib.sha256(self.sweep.encode()).hexdigest()[:8]}"

    @property
    def is_loss(self) -> bool:
        """Whether less of the metric is better."""
        return not METRICS[self.metric].is_higher_better


class _Arm(NamedTuple):
    """An arm as the study names it, with its verdict and its group; see `Trial`."""

    name: str
    verdict: str = ""
    group: str = ""


@dataclass
class Changes:
    """What an export did.

    Attributes:
        place: the file or folder that it wrote.
        added: how many trials are new.
        changed: how many were written anew, since their records have changed.
        unchanged: how many were left as they were.
        removed: how many are no longer recorded.
    """

    place: Path
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


def folder_name(text: str) -> str:
    """The text as the name of one file or folder, which never leads elsewhere."""
    return _UNSAFE.sub("_", " ".join(text.split()))[:_LONGEST_NAME].strip() or "_"


def sweep_values(results: Path, sweep: str) -> SweepValues:
    """What is recorded of a sweep, for an export.

    Raises:
        ResultsError: if the sweep is not recorded, or cannot be read; the message lists the recorded sweeps.
    """
    check_recorded(results, sweep)
    question = question_of(results, sweep)
    plan = read(results, "plan", sweep)
    ends, epochs = latest_attempts(*(_rows(results, sweep, plan, table) for table in ("trials", "epochs")))
    arms: dict[str, _Arm] = {}
    for group, comparison, _ in comparisons_of(results, sweep, Criteria(metric=question.metric)):
        arms |= _arms(comparison, visible(f"{group.key}={group.value}") if group else "")
    curves = _curves(epochs)
    ends_by_id = {row["trial_id"]: row for row in ends.to_dicts()}
    planned = {row["trial_id"]: row for row in plan.to_dicts()}
    trials = [
        _trial(trial_id, planned.get(trial_id, {}), ends_by_id.get(trial_id, {}), curves.get(trial_id, []), arms)
        for trial_id in dict.fromkeys([*planned, *ends_by_id, *curves])
    ]
    started_trials = [trial for trial in trials if trial.epochs or trial.state != UNFINISHED]
    return SweepValues(
        sweep=visible(sweep),
        question=visible(question.text),
        metric=question.metric,
        trials=started_trials,
        waiting_trials=len(trials) - len(started_trials),
    )


def _rows(results: Path, sweep: str, plan: pl.DataFrame, table: str) -> pl.DataFrame:
    """The rows of the sweep's trials in a table; a trial that several sweeps plan is recorded by any one of them."""
    columns = _EPOCH_COLUMNS if table == "epochs" else None
    if not plan.height or not {*sweeps(results, "trials"), *sweeps(results, "epochs")} - {sweep}:
        return read(results, table, sweep, columns=columns)
    ids = plan["trial_id"].unique().to_list()
    return read(results, table, columns=columns).filter(pl.col("trial_id").is_in(ids))


def _arms(comparison: Comparison, group: str) -> dict[str, _Arm]:
    """The arm of each trial of a comparison."""
    verdicts = {row["arm"]: visible(verdict(row)) for row in comparison.arms.to_dicts()}
    tables = (comparison.replicates.rows, comparison.replicates.candidates)
    pairs = [pair for rows in tables for pair in rows.select("trial_id", "arm").rows()]
    return {trial_id: _Arm(visible(arm), verdicts.get(arm, ""), group) for trial_id, arm in pairs}


def _curves(epochs: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for row in epochs.to_dicts():
        curves.setdefault(row["trial_id"], []).append(row)
    return curves


def _trial(
    trial_id: str,
    planned: Mapping[str, Any],
    end: Mapping[str, Any],
    epochs: Sequence[Mapping[str, Any]],
    arms: Mapping[str, _Arm],
) -> Trial:
    times = [row["at"] for row in epochs if row["at"] is not None]
    started_at = end.get("started_at") or min(times, default=end.get("ended_at") or _NO_TIME)
    ended_at = end.get("ended_at") or max(times, default=started_at)
    is_continued = bool(epochs) and epochs[-1]["epoch"] > (end.get("epochs") or 0)
    question = planned.get("question") or end.get("question") or ""
    is_of_arm = question != FIRST_PHASE
    arm = arms.get(trial_id) or _Arm(visible(planned.get("arm") or end.get("arm") or "") if is_of_arm else "")
    numbers = {name: planned.get(name, end.get(name)) for name in ("seed", "fold")}
    return Trial(
        trial_id=visible(trial_id),
        arm=arm.name,
        question=visible(question),
        state=UNFINISHED if is_continued or not end else visible(end["outcome"] or UNFINISHED),
        reason="" if is_continued else visible(end.get("reason") or end.get("error_message") or ""),
        verdict=arm.verdict,
        group=arm.group,
        attempt=epochs[0]["attempt"] if epochs else end.get("attempt", 0),
        replicate={name: number for name, number in numbers.items() if number is not None},
        config=_config(end.get("config_json") or planned.get("config_json")),
        epochs=[_epoch(row, ended_at) for row in epochs],
        started_at=started_at,
        ended_at=ended_at,
    )


def _epoch(row: Mapping[str, Any], ended_at: datetime) -> Epoch:
    values = {name: row[name] for name in CURVES if row[name] is not None}
    return Epoch(number=row["epoch"], at=row["at"] or ended_at, values=values)


def _config(text: str | None) -> dict[str, Value]:
    """A recorded configuration without its empty values; a key that is also the name of a label gets a prefix."""
    config = {visible(key): _value(value) for key, value in configuration(text).items() if value is not None}
    return {f"config {key}" if key in (*LABELS, "seed", "fold") else key: value for key, value in config.items()}


def _value(value: object) -> Value:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= _LONGEST_INTEGER):
        return value
    return visible(json.dumps(value))
