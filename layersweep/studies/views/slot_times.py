"""What the slots did over time: how many of them trained, validated, waited and so on."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
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
_NOTHING: Final[Mapping[str, Any]] = {"edges": [], "classes": {}}
_STALE: Final = 0.25
"""The share of a bin's width that must pass before everything is summed again."""


@dataclass(frozen=True, kw_only=True)
class _Spans:
    """Spans of time: their starts and ends in seconds, and how many slots each of them takes."""

    starts: Array
    ends: Array
    weights: Array

    @classmethod
    def of(cls, starts: Array, ends: Array, weights: Array | None = None) -> "_Spans":
        """Spans; one that ends before it starts is empty."""
        starts = np.maximum(0.0, starts)
        return cls(
            starts=starts, ends=np.maximum(starts, ends), weights=np.ones(len(starts)) if weights is None else weights
        )

    @property
    def total(self) -> float:
        """The slot-seconds of all spans."""
        return float(((self.ends - self.starts) * self.weights).sum())

    def seconds_per_bin(self, bins: int, width: float) -> Array:
        """The slot-seconds of these spans in each bin of this width, from 0 on."""
        result: Array = np.diff(self._passed(self.starts, bins, width) - self._passed(self.ends, bins, width))
        return result

    def _passed(self, points: Array, bins: int, width: float) -> Array:
        """At each edge, the seconds since each point that lies before it, summed over the points."""
        places = np.clip(np.floor(points / width).astype(np.int64) + 1, 0, bins + 1)
        numbers = np.cumsum(np.bincount(places, self.weights, bins + 2))[: bins + 1]
        sums = np.cumsum(np.bincount(places, self.weights * points, bins + 2))[: bins + 1]
        result: Array = np.asarray(numbers * np.arange(bins + 1) * width - sums, dtype=np.float64)
        return result


class SlotTimes:
    """The slots of a sweep over time; summed again only when a part of a bin has passed, or a command has ended."""

    def __init__(self, sweep: str) -> None:
        self._sweep = sweep
        self._killed: dict[str, float] = {}
        self._last: tuple[Any, float, dict[str, Any]] = (None, 0.0, dict(_NOTHING))

    def of(self, tables: Mapping[str, pl.DataFrame], clock: Clock, now: float | None) -> tuple[dict[str, Any], float]:
        """The edges of bins in seconds since the start, the mean number of slots of each class in each bin; and the
        slot-seconds so far.

        Args:
            tables: plan, runs, trials and epochs.
            clock: the times of the sweep.
            now: the seconds until now if a command runs; None otherwise.
        """
        if clock.start is None:
            return dict(_NOTHING), 0.0
        runs = self._runs(tables, clock, now)
        until = float(runs.ends.max()) if len(runs.ends) else 0.0
        width = next((width for width in _WIDTHS if until / width <= _MOST_BINS), until / _MOST_BINS)
        mark = clock, width, None if now is not None else (until, tables["epochs"].height, tables["trials"].height)
        if mark != self._last[0] or until - self._last[1] >= _STALE * width:
            view = self._view(tables, clock, runs, (until, width)) if until > 0 else dict(_NOTHING)
            self._last = mark, until, view
        return self._last[2], runs.total

    def _view(
        self, tables: Mapping[str, pl.DataFrame], clock: Clock, runs: _Spans, until_and_width: tuple[float, float]
    ) -> dict[str, Any]:
        until, width = until_and_width
        bins = max(1, int(np.ceil(until / width)))
        epochs, trials = (tables[name].filter(pl.col("sweep") == self._sweep) for name in ("epochs", "trials"))
        busy: dict[str, Array] = {name: np.zeros(bins) for name in TIME_CLASSES}
        for name, spans in (*_epoch_spans(epochs, clock), *_end_spans(trials, clock)):
            busy[name] += spans.seconds_per_bin(bins, width)
        total = sum(busy.values(), np.zeros(bins))
        busy["waiting"] = np.maximum(0.0, runs.seconds_per_bin(bins, width) - total)
        return {
            "edges": [round(float(edge), 1) for edge in np.arange(bins + 1) * width],
            "classes": {
                name: [round(float(value), 3) for value in column / width]
                for name, column in busy.items()
                if column.any()
            },
        }

    def _runs(self, tables: Mapping[str, pl.DataFrame], clock: Clock, now: float | None) -> _Spans:
        """When commands ran, with their slots."""
        runs = tables["runs"].filter(pl.col("sweep") == self._sweep)
        rows = runs.select("run", "event", "slots", "first_sequence", clock.seconds("at").alias("at")).to_dicts()
        ends = {row["run"]: row for row in rows if row["event"] == "end"}
        starts = [row for row in rows if row["event"] == "start" and row["at"] is not None]
        spans = []
        for row, following in zip_longest(starts, starts[1:]):
            end = ends.get(row["run"], {}).get("at")
            if end is None and row["run"] == clock.run:
                end = now
            if end is None:
                end = self._killed_at(tables, clock, row, following)
            slots = row["slots"] or ends.get(row["run"], {}).get("slots") or 1
            spans.append((row["at"], end, float(slots)))
        columns = np.asarray(spans, dtype=np.float64).reshape(-1, 3)
        return _Spans.of(columns[:, 0], columns[:, 1], columns[:, 2])

    def _killed_at(
        self,
        tables: Mapping[str, pl.DataFrame],
        clock: Clock,
        row: Mapping[str, Any],
        following: Mapping[str, Any] | None,
    ) -> float:
        """The end of a command that recorded none: its last epoch."""
        if row["run"] not in self._killed:
            until = following["first_sequence"] if following else None
            is_own = (pl.col("sweep") == self._sweep) & (pl.col("sequence") >= (row["first_sequence"] or 0))
            is_before = pl.lit(value=True) if until is None else pl.col("sequence") < until
            last: Any = tables["epochs"].filter(is_own & is_before).select(clock.seconds("at").max()).item()
            self._killed[row["run"]] = row["at"] if last is None else float(last)
        return self._killed[row["run"]]


def _epoch_spans(epochs: pl.DataFrame, clock: Clock) -> list[tuple[str, _Spans]]:
    """The spans of each epoch, one class after the other, until its end. A new attempt repeats rows of the last one."""
    if epochs["attempt"].max():
        epochs = epochs.unique(["trial_id", "epoch", "at"], keep="first")
    columns = [f"seconds_{name}" for name in _EPOCH_CLASSES]
    values = epochs.select(clock.seconds("at").alias("at"), pl.col(columns).fill_null(0.0)).drop_nulls("at")
    end = values["at"].to_numpy()
    result = []
    for name, column in reversed([*zip(_EPOCH_CLASSES, columns, strict=True)]):
        seconds = values[column].to_numpy()
        if seconds.any():
            result.append((name, _Spans.of(end - seconds, end)))
            end = end - seconds
    return result


def _end_spans(trials: pl.DataFrame, clock: Clock) -> list[tuple[str, _Spans]]:
    """The spans before the first epoch of a trial and after its last one."""
    names = ("start", "import", "checkpoint", "close")
    columns = pl.col([f"seconds_{name}" for name in names]).fill_null(0.0)
    values = trials.select(
        clock.seconds("started_at").alias("started"), clock.seconds("ended_at").alias("ended"), columns
    ).drop_nulls(["started", "ended"])
    started, ended = values["started"].to_numpy(), values["ended"].to_numpy()
    start, imports, checkpoint, close = (values[f"seconds_{name}"].to_numpy() for name in names)
    return [
        ("start", _Spans.of(started, started + start)),
        ("import", _Spans.of(started + start, started + start + imports)),
        ("checkpoint", _Spans.of(ended - close - checkpoint, ended - close)),
        ("close", _Spans.of(ended - close, ended)),
    ]
