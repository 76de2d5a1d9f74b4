"""Searches of architectures as their records tell them: what each tried, and the best so far in seconds and epochs."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import polars as pl

from layersweep.records.questions import COMPARISON
from layersweep.records.read import read
from layersweep.records.spans import Span, length_before, union, worked
from layersweep.records.tables import REFUSED
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import (
    BAD_ENDS,
    EPOCH_COLUMNS,
    EPOCH_SECONDS,
    SECONDS,
    configuration,
    latest_attempts,
)

ENDS: Final = ("completed", "stopped", "refused", *BAD_ENDS, "unfinished")
"""What may become of a candidate: the outcomes of trials, and "refused", which is recorded as failed."""
NOTHING: Final = "No search is recorded: this sweep has no candidates."

_TRIALS: Final = (
    "trial_id", "attempt", "continuation", "outcome", "epochs", "epochs_asked", "rung", "started_at", "ended_at",
    *SECONDS,
)  # fmt: skip
_EPOCHS: Final = (*EPOCH_COLUMNS, "sequence", "at")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One candidate of a search.

    Attributes:
        search: the arm that searched.
        number: its ordinal, from 0.
        trial_id: its trial.
        end: one of `ENDS`.
        out_of_time: whether it was stopped since the search's time was spent, and not by the scheduler.
        epochs: how many epochs it has.
        accuracy: its last finite validation accuracy.
        parameters: of its network; None where that was not built, or is not recorded yet.
        config: its configuration.
        problem: the error's type, if there was one.
        reason: why it ended as it did, in the words of the records.
    """

    search: str
    number: int
    trial_id: str
    end: str
    out_of_time: bool
    epochs: int
    accuracy: float | None
    parameters: int | None
    config: Mapping[str, Any]
    problem: str
    reason: str

    @property
    def choices(self) -> dict[str, Any]:
        """The hyperparameters that the search chose, by their whole names."""
        text = self.config.get("choices")
        return json.loads(text) if text else {}


class Step(NamedTuple):
    """After so many seconds and epochs, the best validation accuracy so far."""

    seconds: float
    epochs: float
    best: float


@dataclass(frozen=True, kw_only=True)
class Course:
    """How a search, or a fixed network, came to its best.

    Attributes:
        name: the arm.
        tried: a search's candidates, in their order; empty for a fixed network.
        seeds: over how many seeds a fixed network's steps are means; 0 for a search.
        steps: one an epoch; empty if there is none.
        seconds: of work: the union of the times in which any of the candidates ran.
        epochs: of all candidates; of a fixed network those that all seeds have.
    """

    name: str
    tried: tuple[Tried, ...]
    seeds: int
    steps: tuple[Step, ...]
    seconds: float
    epochs: float

    @property
    def best(self) -> Step | None:
        """The step that reached the best; None without an epoch."""
        return max(self.steps, key=lambda step: step.best, default=None)

    def after(self, seconds: float) -> float | None:
        """The best after so many seconds; None where there was no epoch by then."""
        return max((step.best for step in self.steps if step.seconds <= seconds), default=None)

    @property
    def outcomes(self) -> str:
        """`12: 4 completed, 6 stopped (1 out of time), 2 refused`."""
        counts = Counter(candidate.end for candidate in self.tried)
        late = sum(candidate.out_of_time for candidate in self.tried)
        said = {name: f"{counts[name]} {name}" for name in ENDS if counts[name]}
        if late:
            said["stopped"] += f" ({late} out of time)"
        return f"{len(self.tried)}: {', '.join(said.values())}"

    @property
    def running(self) -> int:
        """How many candidates have not ended."""
        return sum(candidate.end == "unfinished" for candidate in self.tried)


def courses(found: Comparison, results: Path) -> tuple[Course, ...]:
    """The searches of a sweep, by name, then its fixed networks: the arms that are compared and were not searched.

    A candidate that two searches asked for was trained once: it is in both, with the seconds that it took.
    """
    asked = found.replicates.tuning.unique(["arm", "trial_id"], keep="last").sort("arm", "candidate", "planned")
    fixed = found.replicates.rows.filter(
        (pl.col("question") == COMPARISON) & ~pl.col("arm").is_in(asked["arm"].to_list())
    )
    records = _Records.of(results, [*asked["trial_id"], *fixed["trial_id"]])
    searched = [_search(str(arm), part, records) for (arm,), part in asked.group_by("arm", maintain_order=True)]
    beside = [_fixed(str(arm), part, records) for (arm,), part in fixed.group_by("arm", maintain_order=True)]
    return (*searched, *(course for course in beside if course.steps))


def searches(found: Comparison, results: Path) -> tuple[Course, ...]:
    """The searches alone."""
    return tuple(course for course in courses(found, results) if course.tried)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """What is recorded of trials, by trial: the row of the last end, epochs of the latest attempt, spans of work."""

    rows: Mapping[str, Mapping[str, Any]]
    epochs: pl.DataFrame
    spans: Mapping[str, tuple[Span, ...]]

    @classmethod
    def of(cls, results: Path, trial_ids: Sequence[str]) -> "_Records":
        mine = pl.col("trial_id").is_in(list(dict.fromkeys(trial_ids)))
        trials, epochs = (
            read(results, name, columns=columns).filter(mine)
            for name, columns in (("trials", _TRIALS), ("epochs", _EPOCHS))
        )
        starts = read(results, "runs", columns=("event", "at")).filter(pl.col("event") == "start")
        last, latest = latest_attempts(trials, epochs)
        seen = epochs.select("trial_id", _clock("at"), EPOCH_SECONDS.alias("seconds")).drop_nulls()
        ended = trials.select("trial_id", _clock("started_at"), _clock("ended_at")).drop_nulls()
        ends, begun = ended.rows_by_key("trial_id"), seen.rows_by_key("trial_id")
        times = sorted(starts.select(_clock("at")).to_series().drop_nulls())
        return cls(
            rows={row["trial_id"]: row for row in last.to_dicts()},
            epochs=latest.with_columns(_clock("at")).sort("at", "sequence", "epoch", nulls_last=True),
            spans={name: worked(ends.get(name, ()), begun.get(name, ()), times) for name in {*ends, *begun}},
        )

    def steps(self, trial_ids: Sequence[str]) -> tuple[tuple[Step, ...], float, int]:
        """The best so far after each epoch of these trials, as they came; the seconds and epochs of all."""
        spans = union(span for trial_id in dict.fromkeys(trial_ids) for span in self.spans.get(trial_id, ()))
        rows = self.epochs.filter(pl.col("trial_id").is_in(list(trial_ids))).select("at", "val_accuracy").rows()
        values = (value if value is not None and math.isfinite(value) else -math.inf for _, value in rows)
        steps = [
            Step(seconds=length_before(spans, at) if at is not None else math.nan, epochs=count, best=best)
            for count, ((at, _), best) in enumerate(zip(rows, accumulate(values, max), strict=True), 1)
        ]
        return tuple(step for step in steps if math.isfinite(step.best)), length_before(spans, math.inf), len(rows)

    def last(self, trial_id: str) -> tuple[int, float | None]:
        """How many epochs a trial has, and its last finite validation accuracy."""
        mine = self.epochs.filter(pl.col("trial_id") == trial_id).sort("epoch")
        finite = mine.filter(pl.col("val_accuracy").is_finite())["val_accuracy"]
        return mine.height, finite[-1] if finite.len() else None


def _clock(name: str) -> pl.Expr:
    """A time as seconds."""
    return (pl.col(name).dt.epoch("us") / 1e6).alias(name)


def _search(name: str, part: pl.DataFrame, records: _Records) -> Course:
    steps, seconds, epochs = records.steps(part["trial_id"].to_list())
    tried = tuple(_tried(number, row, records) for number, row in enumerate(part.to_dicts()))
    return Course(name=name, tried=tried, seeds=0, steps=steps, seconds=seconds, epochs=epochs)


def _tried(place: int, row: Mapping[str, Any], records: _Records) -> Tried:
    epochs, accuracy = records.last(row["trial_id"])
    refused = row["outcome"] == "failed" and row["error_type"] in REFUSED
    rung = records.rows.get(row["trial_id"], {}).get("rung")
    return Tried(
        search=row["arm"],
        number=place if row["candidate"] is None else row["candidate"],
        trial_id=row["trial_id"],
        end="refused" if refused else row["outcome"],
        out_of_time=row["outcome"] == "stopped" and rung is None,
        epochs=epochs,
        accuracy=accuracy,
        parameters=row["parameters"],
        config=configuration(row["config_json"]),
        problem=row["error_type"] or "",
        reason=row["error_message"] or row["reason"] or "",
    )


def _fixed(name: str, part: pl.DataFrame, records: _Records) -> Course:
    """The mean over seeds of the best so far, as far as all seeds came."""
    each = [records.steps([trial_id]) for trial_id in part["trial_id"].unique(maintain_order=True)]
    seeds = [steps for steps, _, _ in each if steps]
    steps = tuple(Step(*map(fmean, zip(*epoch, strict=True))) for epoch in zip(*seeds, strict=False))
    seconds, epochs = (steps[-1].seconds, steps[-1].epochs) if steps else (0.0, 0)
    return Course(name=name, tried=(), seeds=len(seeds), steps=steps, seconds=seconds, epochs=epochs)
