"""Architecture searches: the candidates of each, and the best accuracy so far against seconds and epochs."""

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

from layersweep.records.metrics import ACCURACY
from layersweep.records.questions import COMPARISON
from layersweep.records.read import read
from layersweep.records.spans import Span, length_before, merge_spans, training_spans
from layersweep.records.tables import REFUSAL_TYPES, STOPPED_ON_REQUEST
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import (
    EPOCH_COLUMNS,
    EPOCH_SECONDS,
    EXCLUDED_OUTCOMES,
    SECONDS,
    configuration,
    latest_attempts,
)

ENDS: Final = ("completed", "stopped", STOPPED_ON_REQUEST, "refused", *EXCLUDED_OUTCOMES, "unfinished")
"""The outcomes of a candidate: those of trials, and "refused", which is recorded as failed."""
NO_SEARCH: Final = "No search is recorded: this sweep has no candidates."

_TRIAL_COLUMNS: Final = (
    "trial_id", "attempt", "continuation", "outcome", "epochs", "epochs_asked", "reason", "rung",
    "started_at", "ended_at", *SECONDS,
)  # fmt: skip
_SEARCH_EPOCH_COLUMNS: Final = (*EPOCH_COLUMNS, "sequence", "at")


@dataclass(frozen=True, kw_only=True)
class SearchCandidate:
    """One candidate of a search.

    Attributes:
        search: the arm of the search.
        number: its number, from 0.
        trial_id: the id of its trial.
        end: one of `ENDS`.
        out_of_time: whether it was stopped because the time of the search was over, and not by the scheduler.
        epochs: the number of its epochs.
        accuracy: its last finite value of the metric.
        parameters: those of its network; None if the network was not built, or is not recorded yet.
        config: its configuration.
        error_type: the type of its error, or "".
        reason: the recorded reason of its end.
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
    error_type: str
    reason: str

    @property
    def choices(self) -> dict[str, Any]:
        """The hyperparameters that the search chose, by their full names."""
        text = self.config.get("choices")
        return json.loads(text) if text else {}


class Step(NamedTuple):
    """The best value of the metric after a number of seconds and epochs."""

    seconds: float
    epochs: float
    best: float


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The best accuracy so far of a search, or of a fixed network, over time.

    Attributes:
        name: the arm.
        candidates: those of a search, in their order; empty for a fixed network.
        seeds: the number of seeds of a fixed network, whose steps are means over them; 0 for a search.
        steps: one per epoch; empty if there is no epoch.
        seconds: the time during which at least one of the candidates ran.
        epochs: those of all candidates; for a fixed network, those that all seeds have.
    """

    name: str
    candidates: tuple[SearchCandidate, ...]
    seeds: int
    steps: tuple[Step, ...]
    seconds: float
    epochs: float

    @property
    def best(self) -> Step | None:
        """The first step with the best accuracy; None without an epoch."""
        return max(self.steps, key=lambda step: step.best, default=None)

    def after(self, seconds: float) -> float | None:
        """The best accuracy after a number of seconds; None if there was no epoch until then."""
        return max((step.best for step in self.steps if step.seconds <= seconds), default=None)

    @property
    def outcomes(self) -> str:
        """`12: 4 completed, 6 stopped (1 out of time), 2 refused`."""
        counts = Counter(candidate.end for candidate in self.candidates)
        out_of_time = sum(candidate.out_of_time for candidate in self.candidates)
        texts = {name: f"{counts[name]} {name}" for name in ENDS if counts[name]}
        if out_of_time:
            texts["stopped"] += f" ({out_of_time} out of time)"
        return f"{len(self.candidates)}: {', '.join(texts.values())}"

    @property
    def unfinished(self) -> int:
        """The number of candidates that have not ended."""
        return sum(candidate.end == "unfinished" for candidate in self.candidates)


def trajectories(comparison: Comparison, results: Path) -> tuple[Trajectory, ...]:
    """The searches of a sweep, by name, then its fixed networks: the compared arms that are not searches.

    A candidate that two searches planned was trained once; it belongs to both, with the seconds that it took.
    """
    candidates = comparison.replicates.candidates.unique(["arm", "trial_id"], keep="last")
    candidates = candidates.sort("arm", "candidate", "plan_order")
    fixed_networks = comparison.replicates.rows.filter(
        (pl.col("question") == COMPARISON) & ~pl.col("arm").is_in(candidates["arm"].to_list())
    )
    ids = [*candidates["trial_id"], *fixed_networks["trial_id"]]
    records = _Records.of(results, ids, comparison.criteria.metric)
    by_search = candidates.group_by("arm", maintain_order=True)
    by_network = fixed_networks.group_by("arm", maintain_order=True)
    networks = [_trajectory_of_network(str(arm), part, records) for (arm,), part in by_network]
    return (
        *(_trajectory_of_search(str(arm), part, records) for (arm,), part in by_search),
        *(trajectory for trajectory in networks if trajectory.steps),
    )


def searches(comparison: Comparison, results: Path) -> tuple[Trajectory, ...]:
    """The trajectories of the searches, without the fixed networks."""
    return tuple(trajectory for trajectory in trajectories(comparison, results) if trajectory.candidates)


@dataclass(frozen=True, kw_only=True)
class _Records:
    """The records of trials: the rows of the last ends, the epochs of the latest attempts, the spans of time.

    The epochs have the metric in place of the validation accuracy.
    """

    rows: Mapping[str, Mapping[str, Any]]
    epochs: pl.DataFrame
    spans: Mapping[str, tuple[Span, ...]]

    @classmethod
    def of(cls, results: Path, trial_ids: Sequence[str], metric: str) -> "_Records":
        is_selected = pl.col("trial_id").is_in(list(dict.fromkeys(trial_ids)))
        trials, epochs = (
            read(results, name, columns=columns).filter(is_selected)
            for name, columns in (("trials", _TRIAL_COLUMNS), ("epochs", _SEARCH_EPOCH_COLUMNS))
        )
        starts = read(results, "runs", columns=("event", "at")).filter(pl.col("event") == "start")
        last_rows, latest_epochs = latest_attempts(trials, epochs.with_columns(pl.col(metric).alias(ACCURACY)))
        epoch_times = epochs.select("trial_id", _unix_time("at"), EPOCH_SECONDS.alias("seconds")).drop_nulls()
        end_times = trials.select("trial_id", _unix_time("started_at"), _unix_time("ended_at")).drop_nulls()
        epochs_by_trial, ends_by_trial = epoch_times.rows_by_key("trial_id"), end_times.rows_by_key("trial_id")
        start_times = sorted(starts.select(_unix_time("at")).to_series().drop_nulls())
        return cls(
            rows={row["trial_id"]: row for row in last_rows.to_dicts()},
            epochs=latest_epochs.with_columns(_unix_time("at")).sort("at", "sequence", "epoch", nulls_last=True),
            spans={
                trial_id: training_spans(
                    ends_by_trial.get(trial_id, ()), epochs_by_trial.get(trial_id, ()), start_times
                )
                for trial_id in {*ends_by_trial, *epochs_by_trial}
            },
        )

    def steps(self, trial_ids: Sequence[str]) -> tuple[tuple[Step, ...], float, int]:
        """The best accuracy so far after each epoch of these trials, by time; their total seconds and epochs."""
        spans = merge_spans(span for trial_id in dict.fromkeys(trial_ids) for span in self.spans.get(trial_id, ()))
        rows = self.epochs.filter(pl.col("trial_id").is_in(list(trial_ids))).select("at", ACCURACY).rows()
        values = (value if value is not None and math.isfinite(value) else -math.inf for _, value in rows)
        steps = [
            Step(seconds=length_before(spans, at) if at is not None else math.nan, epochs=count, best=best)
            for count, ((at, _), best) in enumerate(zip(rows, accumulate(values, max), strict=True), 1)
        ]
        return tuple(step for step in steps if math.isfinite(step.best)), length_before(spans, math.inf), len(rows)

    def last(self, trial_id: str) -> tuple[int, float | None]:
        """The number of epochs of a trial, and its last finite value of the metric."""
        epochs = self.epochs.filter(pl.col("trial_id") == trial_id).sort("epoch")
        finite = epochs.filter(pl.col(ACCURACY).is_finite())[ACCURACY]
        return epochs.height, finite[-1] if finite.len() else None


def _unix_time(name: str) -> pl.Expr:
    """A time in Unix seconds."""
    return (pl.col(name).dt.epoch("us") / 1e6).alias(name)


def _trajectory_of_search(name: str, part: pl.DataFrame, records: _Records) -> Trajectory:
    steps, seconds, epochs = records.steps(part["trial_id"].to_list())
    candidates = tuple(_candidate(number, row, records) for number, row in enumerate(part.to_dicts()))
    return Trajectory(name=name, candidates=candidates, seeds=0, steps=steps, seconds=seconds, epochs=epochs)


def _candidate(index: int, row: Mapping[str, Any], records: _Records) -> SearchCandidate:
    epochs, accuracy = records.last(row["trial_id"])
    is_refused = row["outcome"] == "failed" and row["error_type"] in REFUSAL_TYPES
    rung = records.rows.get(row["trial_id"], {}).get("rung")
    return SearchCandidate(
        search=row["arm"],
        number=index if row["candidate"] is None else row["candidate"],
        trial_id=row["trial_id"],
        end="refused" if is_refused else row["outcome"],
        out_of_time=row["outcome"] == "stopped" and rung is None,
        epochs=epochs,
        accuracy=accuracy,
        parameters=row["parameters"],
        config=configuration(row["config_json"]),
        error_type=row["error_type"] or "",
        reason=row["error_message"] or row["reason"] or "",
    )


def _trajectory_of_network(name: str, part: pl.DataFrame, records: _Records) -> Trajectory:
    """The mean over seeds of the best accuracy so far, up to the last epoch that all seeds reached."""
    steps_and_sums = [records.steps([trial_id]) for trial_id in part["trial_id"].unique(maintain_order=True)]
    seeds = [steps for steps, _, _ in steps_and_sums if steps]
    steps = tuple(Step(*map(fmean, zip(*epoch, strict=True))) for epoch in zip(*seeds, strict=False))
    seconds, epochs = (steps[-1].seconds, steps[-1].epochs) if steps else (0.0, 0)
    return Trajectory(name=name, candidates=(), seeds=len(seeds), steps=steps, seconds=seconds, epochs=epochs)
