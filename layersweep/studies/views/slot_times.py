"""What the slots did over time: how many of them trained, validated, waited and so on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from layersweep.records.tables import TIME_CLASSES
from layersweep.studies.statistics.inference.arrays import Array
from layersweep.studies.views.trial_table import Clock

_MOST_BINS: Final = 120
_WIDTHS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds: the edges stay where they are while the sweep grows within the same width."""

_EPOCH_CLASSES: Final = ("build", "features", "train", "validate", "test", "measure")


@dataclass(frozen=True, kw_only=True)
class _Spans:
    """Spans of time: their starts and ends in seconds, and how many slots each of them takes."""

    starts: Array
    ends: Array
    weights: Array

    def seconds_per_bin(self, bins: int, width: float) -> Array:
        """The slot-seconds of these spans in each bin of this width, from 0 on."""
        result: Array = np.diff(self._until(self.starts, bins, width) - self._until(self.ends, bins, width))
        return result

    def _until(self, points: Array, bins: int, width: float) -> Array:
        """At each edge, the seconds since these points, as far as they have passed, summed."""
        places = np.clip(np.floor(points / width).astype(np.int64) + 1, 0, bins + 1)
        numbers = np.cumsum(np.bincount(places, self.weights, bins + 2))[: bins + 1]
        sums = np.cumsum(np.bincount(places, self.weights * points, bins + 2))[: bins + 1]
        result: Array = np.asarray(numbers * np.arange(bins + 1) * width - sums, dtype=np.float64)
        return result


def slot_times(tables: Mapping[str, pl.DataFrame], sweep: str, clock: Clock, now: float | None) -> dict[str, Any]:
    """The edges of bins in seconds since the start, and the mean number of slots of each class in each bin.

    Args:
        tables: those of the sweep.
        sweep: its name.
        clock: its times.
        now: the seconds until now if a command runs; None otherwise.
    """
    epochs, trials = (tables[name].filter(pl.col("sweep") == sweep) for name in ("epochs", "trials"))
    if clock.start is None:
        return {"edges": [], "classes": {}}
    runs = run_spans(tables, sweep, clock, now)
    spans = {**_epoch_spans(epochs, clock)}
    for name, more in _end_spans(trials, clock).items():
        spans.setdefault(name, []).append(more)
    until = max((float(run.ends.max()) for run in (runs,) if len(run.ends)), default=0.0)
    if until <= 0:
        return {"edges": [], "classes": {}}
    width = next((width for width in _WIDTHS if until / width <= _MOST_BINS), until / _MOST_BINS)
    bins = max(1, int(np.ceil(until / width)))
    busy: dict[str, Array] = {
        name: sum((part.seconds_per_bin(bins, width) for part in spans[name]), np.zeros(bins))
        for name in TIME_CLASSES
        if name in spans
    }
    total = runs.seconds_per_bin(bins, width)
    busy["waiting"] = np.maximum(0.0, total - sum(busy.values(), np.zeros(bins)))
    classes = {name: [round(float(value), 3) for value in column / width] for name, column in busy.items()}
    return {
        "edges": [round(float(edge), 1) for edge in np.arange(bins + 1) * width],
        "classes": {name: column for name, column in classes.items() if any(column)},
    }


def run_spans(tables: Mapping[str, pl.DataFrame], sweep: str, clock: Clock, now: float | None) -> _Spans:
    """When commands ran, with their slots. A killed command ended with its last epoch, before the next command."""
    runs = tables["runs"].filter(pl.col("sweep") == sweep).select(
        "run", "event", "slots", clock.seconds("at").alias("at")
    )  # fmt: skip
    starts = runs.filter(pl.col("event") == "start").to_dicts()
    ends = {row["run"]: row for row in runs.filter(pl.col("event") == "end").to_dicts()}
    last_epochs = tables["epochs"].filter(pl.col("sweep") == sweep).select(clock.seconds("at")).to_series().sort()
    rows = []
    for number, row in enumerate(starts):
        following = starts[number + 1]["at"] if number + 1 < len(starts) else float("inf")
        if row["run"] in ends:
            end = ends[row["run"]]["at"]
        elif row["run"] == clock.run and now is not None:
            end = now
        else:
            place = int(last_epochs.search_sorted(following, side="left"))
            end = last_epochs[place - 1] if place else row["at"]
        slots = row["slots"] or ends.get(row["run"], {}).get("slots") or 1
        rows.append((row["at"], max(row["at"], end), float(slots)))
    return _spans_of(rows)


def _spans_of(rows: Sequence[tuple[float, float, float]]) -> _Spans:
    columns = np.asarray(rows, dtype=np.float64).reshape(-1, 3)
    return _Spans(starts=columns[:, 0], ends=columns[:, 1], weights=columns[:, 2])


def _epoch_spans(epochs: pl.DataFrame, clock: Clock) -> dict[str, list[_Spans]]:
    """The spans of each epoch, one class after the other, until its end. A new attempt repeats rows of the last one."""
    if epochs["attempt"].max():
        epochs = epochs.unique(["trial_id", "epoch", "at"], keep="first")
    columns = [f"seconds_{name}" for name in _EPOCH_CLASSES]
    values = epochs.select(clock.seconds("at").alias("at"), pl.col(columns).fill_null(0.0)).drop_nulls("at")
    end = values["at"].to_numpy()
    result = {}
    for name, column in reversed([*zip(_EPOCH_CLASSES, columns, strict=True)]):
        seconds = values[column].to_numpy()
        start = np.maximum(0.0, end - seconds)
        if seconds.any():
            result[name] = [_of(start, end)]
        end = start
    return result


def _end_spans(trials: pl.DataFrame, clock: Clock) -> dict[str, _Spans]:
    """The spans before the first epoch of a trial and after its last one."""
    names = ("start", "import", "checkpoint", "close")
    columns = pl.col([f"seconds_{name}" for name in names]).fill_null(0.0)
    values = trials.select(
        clock.seconds("started_at").alias("started"), clock.seconds("ended_at").alias("ended"), columns
    ).drop_nulls(["started", "ended"])
    started, ended = values["started"].to_numpy(), values["ended"].to_numpy()
    seconds = {name: values[f"seconds_{name}"].to_numpy() for name in names}
    closing = ended - seconds["close"]
    spans = {
        "start": _of(started, started + seconds["start"]),
        "import": _of(started + seconds["start"], started + seconds["start"] + seconds["import"]),
        "checkpoint": _of(np.maximum(0.0, closing - seconds["checkpoint"]), np.maximum(0.0, closing)),
        "close": _of(np.maximum(0.0, closing), ended),
    }
    return {name: part for name, part in spans.items() if (part.ends > part.starts).any()}


def _of(starts: Array, ends: Array) -> _Spans:
    return _Spans(starts=starts, ends=np.maximum(starts, ends), weights=np.ones(len(starts)))
