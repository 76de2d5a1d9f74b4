"""The columns of each interactive figure, from the prepared values of a sweep's views.

A row of a figure is a trial or an arm; the page in the browser hides the rows that its filter excludes.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from layersweep.records.questions import COMPARISON, FIRST_PHASE
from layersweep.studies.figures.style import COLOURS
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES
from layersweep.studies.statistics.short_names import LABEL_WIDTH, short_labels

Payload: TypeAlias = Mapping[str, Any]
Columns: TypeAlias = dict[str, list[Any]]
"""The columns of one source of a figure. A row is known by its `key`: the id of a trial, or the name of an arm."""

DASHES: Final = ("solid", "dashed", "dotted", "dashdot")
"""The dashes of lines: different ones for equal colours, and for neighbours, whose colours some readers see alike."""
WAITING: Final = "waiting"
OTHER_WORK: Final = "other work"
_ARM: Final = 3
"""The column of the arm among the points of time."""
_SMALL_SHARE: Final = 0.04
_MAX_AXES: Final = 9
_MAX_LINES: Final = 2000
_MAX_ARMS: Final = 60
"""The arms with an interval of differences, with a band of curves, or with a line of their own of the best so far."""
_MAX_LABELS: Final = 10
_LABEL_GAP: Final = 0.045
"""Between the names at the ends of curves, as a share of the height."""


def figure_columns(payload: Payload) -> dict[str, Columns]:
    """The columns of the sources of all figures, by name."""
    arms = Arms(payload)
    return {
        **_curves(payload, arms),
        "rungs": _rungs(payload, arms),
        "cutoffs": _cutoffs(payload),
        **_parallel(payload, arms),
        "best": _best_so_far(payload, arms),
        "slots": _slot_areas(payload),
        "lanes": _lanes(payload, arms),
        "differences": _differences(payload, arms),
        "effects": _effects(payload),
        "importance": _importance(payload),
        "pareto": _pareto(payload, arms),
        "confusion": _confusion(payload),
    }


class Arms:
    """The arms of a payload: their names, and their styles, which stay the same while their order changes."""

    def __init__(self, payload: Payload) -> None:
        self.names: Sequence[str] = payload["arm_names"]
        self.labels = short_labels(self.names)
        places = {name: i for i, name in enumerate(sorted(self.names))}
        self.styles = [places[name] for name in self.names]
        trials = payload["trials"]
        self.trials: dict[int, list[int]] = {arm: [] for arm in range(len(self.names))}
        for i, arm in enumerate(trials["arm"]):
            self.trials[arm].append(i)
        sign = 1 if payload["higher"] else -1
        best = {
            arm: max((sign * trials["best"][i] for i in rows if trials["best"][i] is not None), default=-math.inf)
            for arm, rows in self.trials.items()
        }
        self.ranks = {arm: rank for rank, arm in enumerate(sorted(best, key=lambda arm: -best[arm]))}

    def columns(self, arms: Iterable[int]) -> Columns:
        """The columns of a source with arms: name, label, and style (a factor of the colours)."""
        rows = list(arms)
        return {
            "arm": [self.names[arm] for arm in rows],
            "label": [self.labels[self.names[arm]] for arm in rows],
            "style": [str(self.styles[arm]) for arm in rows],
        }

    def line_columns(self, arms: Iterable[int]) -> Columns:
        """Those of a source with lines: besides, the dash of an arm, and its rank by its best value."""
        rows = list(arms)
        return {
            **self.columns(rows),
            "dash": [_dash(self.styles[arm]) for arm in rows],
            "rank": [self.ranks[arm] for arm in rows],
        }


def _dash(style: int) -> str:
    return DASHES[(style + style // len(COLOURS)) % len(DASHES)]


def _curves(payload: Payload, arms: Arms) -> dict[str, Columns]:
    """The lines of trials; of arms, the mean and the range over the epochs that all their trials have reached.

    Trials that the study counts, but leaves out of its means, are left out here too, unless an arm has no others.
    """
    curves, trials = payload["curves"], payload["trials"]
    seeds: Columns = {"key": [], "epochs": [], "seconds": [], "ys": [], "seed": []}
    means: Columns = {"key": [], "epochs": [], "seconds": [], "ys": [], "n": []}
    bands: Columns = {"key": [], "epochs": [], "seconds": [], "ys": []}
    seed_arms, mean_arms, band_arms = [], [], []
    for arm, rows in arms.trials.items():
        with_curve = [i for i in rows if trials["id"][i] in curves]
        for i in with_curve:
            curve = curves[trials["id"][i]]
            epochs = list(range(curve["first"], curve["first"] + len(curve["v"])))
            _append(seeds, (trials["id"][i], epochs, curve["s"], curve["v"], trials["seed"][i]))
        seed_arms += [arm] * len(with_curve)
        compared = [i for i in with_curve if trials["question"][i] == COMPARISON]
        learned = [i for i in compared or with_curve if trials["state"][i] not in EXCLUDED_OUTCOMES]
        lines = [curves[trials["id"][i]] for i in learned or compared or with_curve]
        if not lines:
            continue
        epochs, seconds, values = _common_part(lines)
        mean = [round(sum(column) / len(column), 5) for column in values]
        _append(means, (arms.names[arm], epochs, seconds, mean, len(lines)))
        mean_arms.append(arm)
        if len(lines) > 1 and arms.ranks[arm] < _MAX_ARMS:
            low, high = [min(column) for column in values], [max(column) for column in values]
            there_and_back = (epochs + epochs[::-1], seconds + seconds[::-1], high + low[::-1])
            _append(bands, (arms.names[arm], *there_and_back))
            band_arms.append(arm)
    return {
        "labels": _labels(means, arms),
        "seeds": {**seeds, **arms.line_columns(seed_arms)},
        "means": {**means, **arms.line_columns(mean_arms)},
        "bands": {**bands, **arms.line_columns(band_arms)},
    }


def _labels(means: Columns, arms: Arms) -> Columns:
    """The names of the best arms, each at the end of its line, or where there is room above the one below."""
    ranks = {arms.names[arm]: rank for arm, rank in arms.ranks.items()}
    rows = [
        (name, epochs[-1], seconds[-1], ys[-1])
        for name, epochs, seconds, ys in zip(
            *(means[column] for column in ("key", "epochs", "seconds", "ys")), strict=True
        )
        if ys and ranks[name] < _MAX_LABELS
    ]
    columns: Columns = {"key": [], "epochs": [], "seconds": [], "y": []}
    lines = [ys for name, ys in zip(means["key"], means["ys"], strict=True) if ys and ranks[name] < _MAX_LABELS]
    gap = (max(map(max, lines), default=0.0) - min(map(min, lines), default=0.0)) * _LABEL_GAP
    lowest = -math.inf
    for name, epoch, second, y in sorted(rows, key=lambda row: row[3]):
        lowest = max(y, lowest + gap)
        _append(columns, (name, epoch, second, lowest))
    return {**columns, **arms.line_columns(arms.names.index(name) for name in columns["key"])}


def _common_part(lines: Sequence[Mapping[str, Any]]) -> tuple[list[int], list[float], list[tuple[float, ...]]]:
    """The epochs that all curves have, the mean seconds up to each, and the values at each."""
    first = max(line["first"] for line in lines)
    last = min(line["first"] + len(line["v"]) - 1 for line in lines)
    epochs: list[int] = []
    seconds: list[float] = []
    values: list[tuple[float, ...]] = []
    for epoch in range(first, last + 1):
        column = tuple(line["v"][epoch - line["first"]] for line in lines)
        if None in column:
            break
        epochs.append(epoch)
        seconds.append(round(sum(line["s"][epoch - line["first"]] or 0.0 for line in lines) / len(lines), 1))
        values.append(column)
    return epochs, seconds, values


def _append(columns: Columns, row: Sequence[Any]) -> None:
    for column, value in zip(columns.values(), row, strict=True):
        column.append(value)


def _rungs(payload: Payload, arms: Arms) -> Columns:
    rungs = payload["rungs"]
    return {
        "key": list(rungs["id"]),
        "x": list(rungs["rung"]),
        "y": list(rungs["value"]),
        "cutoff": list(rungs["cutoff"]),
        "what": ["stopped" if stopped else "went on" for stopped in rungs["stopped"]],
        **arms.columns(rungs["arm"]),
    }


def _cutoffs(payload: Payload) -> Columns:
    """The cutoffs that each rung had; they change while trials come."""
    rungs = payload["rungs"]
    pairs = sorted({(x, y) for x, y in zip(rungs["rung"], rungs["cutoff"], strict=True) if y is not None})
    return {"x": [x for x, _ in pairs], "y": [y for _, y in pairs]}


def _parallel(payload: Payload, arms: Arms) -> dict[str, Columns]:
    """A line for each trial over the axes of the varied keys and the metric, each from 0 to 1; and the axes' ticks."""
    trials, keys = payload["trials"], payload["keys"][:_MAX_AXES]
    columns = [trials["config"][key["name"]] for key in keys] + [trials["value"]]
    axes = [*keys, {"name": payload["metric"], "log": False, "levels": None}]
    placed = [_axis(axis, column) for axis, column in zip(axes, columns, strict=True)]
    rows = range(min(len(trials["id"]), _MAX_LINES))
    lines: Columns = {
        "key": [trials["id"][i] for i in rows],
        "xs": [list(range(len(axes)))] * len(rows),
        "ys": [[places[i] for places, _ in placed] for i in rows],
        "value": [trials["value"][i] for i in rows],
        **arms.columns(trials["arm"][i] for i in rows),
    }
    ticks: Columns = {"x": [], "y": [], "text": []}
    names: Columns = {"x": [], "text": []}
    for x, (axis, (_, marks)) in enumerate(zip(axes, placed, strict=True)):
        _append(names, (x, axis["name"].replace("_", " ") + (" (log)" if axis["log"] else "")))
        for y, text in marks:
            _append(ticks, (x, y, text))
    return {"parallel": lines, "ticks": ticks, "axes": names}


def _axis(axis: Mapping[str, Any], values: Sequence[Any]) -> tuple[list[float | None], list[tuple[float, str]]]:
    """Where each value is on the axis, from 0 to 1 (None if it has none), and the ticks with their texts."""
    if axis["levels"] is not None:
        places = {level: (i + 0.5) / len(axis["levels"]) for i, level in enumerate(axis["levels"])}
        names = [(place, _tick(level)) for level, place in places.items()]
        return [places.get(str(value)) for value in values], names[:: max(1, len(names) // 12)]

    def scaled(value: Any) -> float | None:
        if not isinstance(value, int | float) or not math.isfinite(value) or (axis["log"] and value <= 0):
            return None
        return math.log(value) if axis["log"] else float(value)

    numbers = [scaled(value) for value in values]
    known = [number for number in numbers if number is not None]
    if not known:
        return numbers, []
    low, high = min(known), max(known)
    if low == high:
        return [None if number is None else 0.5 for number in numbers], [
            (0.5, f"{math.exp(low) if axis['log'] else low:.3g}")
        ]
    ticks = [(share, low + share * (high - low)) for share in (0.0, 0.5, 1.0)]
    return (
        [None if number is None else (number - low) / (high - low) for number in numbers],
        [(share, f"{math.exp(value) if axis['log'] else value:.3g}") for share, value in ticks],
    )


def _tick(level: str) -> str:
    return level if len(level) <= LABEL_WIDTH else f"{level[: LABEL_WIDTH - 1]}…"


def _best_so_far(payload: Payload, arms: Arms) -> Columns:
    """The best value so far of each arm and of all together, as steps, against three clocks."""
    points = _points(payload)
    columns: Columns = {"key": [], "epochs": [], "seconds": [], "slot_seconds": [], "ys": []}
    line_arms: list[int] = []
    if len(points):
        _append(columns, ("", *_steps(points, higher=payload["higher"])))
    for arm in range(len(arms.names) if len(arms.names) > 1 else 0):
        own = points[points[:, _ARM] == arm]
        if len(own) and arms.ranks[arm] < _MAX_ARMS:
            _append(columns, (arms.names[arm], *_steps(own, higher=payload["higher"])))
            line_arms.append(arm)
    known = arms.line_columns(line_arms)
    everything = {"arm": "all arms", "label": "all arms", "style": "all", "dash": "solid", "rank": -1}
    return {**columns, **{name: [*([everything[name]] if len(points) else []), *known[name]] for name in known}}


def _points(payload: Payload) -> NDArray[np.float64]:
    """A row for each epoch with a value, in the order of time: when it ended, its value, its seconds, its arm."""
    trials, curves = payload["trials"], payload["curves"]
    columns = zip(trials["id"], trials["arm"], trials["question"], strict=True)
    lines = [
        (curves[trial_id], arm) for trial_id, arm, question in columns if trial_id in curves and question != FIRST_PHASE
    ]
    times, values, sums = (
        np.array([number for curve, _ in lines for number in curve[name]], dtype=float) for name in ("t", "v", "s")
    )
    lengths = np.array([len(curve["v"]) for curve, _ in lines], dtype=int)
    spent = np.diff(sums, prepend=0.0)
    firsts = (np.cumsum(lengths) - lengths)[lengths > 0]
    spent[firsts] = sums[firsts]
    arms = np.repeat([float(arm) for _, arm in lines], lengths)
    points = np.column_stack([np.nan_to_num(times), values, spent, arms])  # NaN: another sweep has trained it, before
    points = points[np.isfinite(values)]
    order = np.argsort(points[:, 0], kind="stable")
    return np.asarray(points[order], dtype=float)


def _steps(points: NDArray[np.float64], *, higher: bool) -> tuple[list[Any], ...]:
    """The corners of the steps of the best value so far: epochs, seconds, slot-seconds, values."""
    times, values, seconds, _ = points.T
    best = (np.maximum if higher else np.minimum).accumulate(values)
    rises = [*np.flatnonzero(np.diff(best)) + 1, len(best) - 1]  # the last point ends the line
    places = [0, *(place for rise in rises for place in (rise, rise))]
    heights = [best[0], *(height for rise in rises for height in (best[max(rise - 1, 0)], best[rise]))]
    spent = np.cumsum(seconds)
    return (
        [int(place) + 1 for place in places],
        [round(float(times[place]), 1) for place in places],
        [round(float(spent[place]), 1) for place in places],
        [round(float(height), 5) for height in heights],
    )


def _slot_areas(payload: Payload) -> Columns:
    """What the slots did over time: one area for each class of work, on top of each other."""
    edges, classes = payload["slots"]["edges"], payload["slots"]["classes"]
    columns: Columns = {"xs": [], "ys": [], "what": []}
    below = [0.0] * max(len(edges) - 1, 0)
    xs = [x for pair in pairwise(edges) for x in pair]
    for what, values in _large_classes(classes).items():
        above = [low + value for low, value in zip(below, values, strict=True)]
        upper, lower = ([y for y in ys for _ in range(2)] for ys in (above, below))
        _append(columns, ([*xs, *xs[::-1]], [*upper, *lower[::-1]], what))
        below = above
    return columns


def _large_classes(classes: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    """The classes of work, with the small ones as one; waiting stays by itself."""
    total = sum(map(sum, classes.values()))
    is_small = {what: sum(values) < _SMALL_SHARE * total and what != WAITING for what, values in classes.items()}
    small = [values for what, values in classes.items() if is_small[what]]
    others = {OTHER_WORK: [sum(column) for column in zip(*small, strict=True)]} if small else {}
    large = {what: values for what, values in classes.items() if not is_small[what]}
    waiting = {WAITING: large.pop(WAITING)} if WAITING in large else {}
    return {**large, **others, **waiting}


def _lanes(payload: Payload, arms: Arms) -> Columns:
    """A bar for each trial from its start to its end; trials at the same time are in different lanes."""
    trials = payload["trials"]
    now = payload["slots"]["edges"][-1] if payload["slots"]["edges"] else 0.0
    spans = [
        (start, now if end is None else end, i)
        for i, (start, end) in enumerate(zip(trials["start"], trials["end"], strict=True))
        if start is not None
    ]
    columns: Columns = {"key": [], "left": [], "right": [], "lane": []}
    ends: list[float] = []
    bars = []
    for start, end, i in sorted(spans):
        lane = next((n for n, free in enumerate(ends) if free <= start + 0.5), len(ends))
        ends[lane : lane + 1] = [end]
        _append(columns, (trials["id"][i], start, end, lane))
        bars.append(trials["arm"][i])
    return {**columns, **arms.columns(bars)}


def _differences(payload: Payload, arms: Arms) -> Columns:
    """The difference of each arm to the leader, with its interval."""
    columns: Columns = {"key": [], "x": [], "low": [], "high": [], "verdict": []}
    rows: list[int] = []
    for row in payload["arms"]["rows"]:
        x, low, high = row.get("difference") or (None, None, None)
        if x is not None and row["arm"] in arms.names and len(rows) < _MAX_ARMS:
            _append(columns, (row["arm"], x, low, high, row["verdict"]))
            rows.append(arms.names.index(row["arm"]))
    return {**columns, **arms.columns(rows)}


def _effects(payload: Payload) -> Columns:
    columns: Columns = {"choice": [], "x": [], "low": [], "high": []}
    for effect in payload["effects"]:
        text = f"{effect['key'].replace('_', ' ')} = {effect['choice']}"
        _append(columns, (text, effect["effect"], effect["low"], effect["high"]))
    return columns


def _importance(payload: Payload) -> Columns:
    rows = sorted(payload["importance"], key=lambda row: row["share"])
    return {"name": [row["key"].replace("_", " ") for row in rows], "share": [row["share"] for row in rows]}


def _pareto(payload: Payload, arms: Arms) -> Columns:
    """The arms by cost and metric, for each kind of cost; `arm_or_no` is empty for arms that are not on the front."""
    columns: Columns = {"key": [], "cost": [], "x": [], "y": [], "front": []}
    rows = []
    for front in payload["pareto"]:
        for arm, x, y, is_front in zip(front["arm"], front["x"], front["y"], front["front"], strict=True):
            _append(
                columns, (arms.names[arm], front["heading"], x, y, arms.labels[arms.names[arm]] if is_front else "")
            )
            rows.append(arm)
    return {**columns, **arms.columns(rows)}


def _confusion(payload: Payload) -> Columns:
    """A cell for each pair of classes of each arm: how many images of the row's class were taken for the column's."""
    columns: Columns = {"which": [], "actual": [], "predicted": [], "images": [], "share": [], "shade": []}
    for matrix in payload["confusion"]:
        which = f"{payload['arm_names'][matrix['arm']]} ({matrix['set']})"
        for actual, counts, all_images in zip(matrix["classes"], matrix["counts"], matrix["images"], strict=True):
            total = all_images or 1  # also those that were taken for a class that is not shown
            for predicted, images in zip(matrix["classes"], counts, strict=True):
                _append(
                    columns,
                    (which, actual, predicted, images, round(images / total, 4), round(0.6 * images / total, 4)),
                )
    return columns
