"""What each arm of a comparison costs beside what it reaches: size, FLOPs, latency, seconds an epoch, Pareto front."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import GRID, INK, MUTED, apart, shortened
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison, Row
from layersweep.studies.statistics.pareto import front
from layersweep.studies.statistics.replicates import TIMES
from layersweep.studies.wording.words import with_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

AXES: Final[Mapping[str, str]] = {
    "parameters": "parameters",
    "flops": "FLOPs an image, forward",
    "latency": "latency of one image",
    "seconds_an_epoch": "seconds an epoch",
}
"""What a picture has on its axes, by column."""

_TIMES: Final = ("latency", "seconds_an_epoch")
_PANEL_HEIGHT: Final = 3.6
_IN_A_ROW: Final = 2
_ALIKE: Final = 1.05
"""Costs of up to this ratio are the same: so far do latencies of one network lie apart."""

_DECADE_PART: Final = 5.0
"""Up to this ratio, fewer than two of 1, 2, 5, 10 may lie between two costs."""

_DARK: Final = "; dark: on the Pareto front."
_NAME_SIZE: Final = 7
_FAR: Final = 9
"""Points that a name may stand from its dot without a line to it."""


def costs(found: Comparison) -> list[Row]:
    """One row an arm that was compared, the most accurate first, with `seconds_an_epoch` and `front`.

    On the front is an arm if no other is as accurate or more for fewer FLOPs, or more accurate for as many.
    """
    rows = [
        {**row, "seconds_an_epoch": row["seconds_training"] / row["epochs"] if row["epochs"] else None}
        for row in found.arms.to_dicts()
        if row["mean"] is not None
    ]
    rows.sort(key=lambda row: -row["mean"])
    known = [row for row in rows if row["flops"] is not None]
    best = front(known, lambda row: (row["flops"], row["mean"]))
    return [{**row, "front": row in best} for row in rows]


def shown(found: Comparison, _results: Path) -> Extra:
    """The costs as a part of a study; empty where no arm was compared."""
    rows = costs(found)
    if not rows:
        return Extra()
    if not _differs(rows, "flops"):
        rows = [{**row, "front": False} for row in rows]  # there is no front against what all cost alike
    best = [row["arm"] for row in rows if row["front"]]
    said = f"On the Pareto front of accuracy against FLOPs: {', '.join(reversed(best))}." if best else ""
    drawing = Drawing(draw=draw, found=rows, height=_height(rows), title="Accuracy against cost")
    caption = f"Mean validation accuracy against what it costs{_DARK if best else '.'}"
    figure = "costs", drawing, caption
    return section("Accuracy against cost", [said] if said else [], tables=[_table(rows)], figure=figure, answer=said)


def _table(rows: Sequence[Row]) -> Table:
    unit = rows[0]["latency_unit"]
    cells = [
        [
            f"{row['arm']}{' *' if row['front'] else ''}",
            with_spread(row["mean"], row["sd"], row["n"]),
            _number(row["parameters"]),
            _number(row["size_bytes"], 1, 1e6),
            _number(row["flops"], 1, 1e6),
            _number(row["latency"], 1),
            _number(row["seconds_an_epoch"], 2),
        ]
        for row in rows
    ]
    notes = ["* on the Pareto front of accuracy against FLOPs"] if any(row["front"] for row in rows) else []
    if unit == TIMES and any(row["latency"] for row in rows):
        notes.append(f"latency, {TIMES}: one image, in times of a fixed computation beside it")
    head = ("arm", "accuracy", "parameters", "MB", "MFLOPs", f"latency, {unit}", "s an epoch")
    return Table(head=head, rows=cells, note="; ".join(notes))


def _number(value: float | None, digits: int = 0, unit: float = 1) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"


def _height(rows: Sequence[Row]) -> float:
    return _PANEL_HEIGHT * math.ceil(len(_telling(rows)) / _IN_A_ROW)


def _telling(rows: Sequence[Row]) -> list[str]:
    """The costs in which arms differ; all where they differ in none."""
    return [column for column in AXES if _differs(rows, column)] or [*AXES]


def _differs(rows: Sequence[Row], column: str) -> bool:
    values = [row[column] for row in rows if row[column]]
    return bool(values) and max(values) > _ALIKE * min(values)


def draw(figure: "Figure | SubFigure", rows: Sequence[Row]) -> None:
    """Mean validation accuracy of each arm against each cost in which they differ, on a logarithmic scale."""
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    columns = _telling(rows)
    down = math.ceil(len(columns) / _IN_A_ROW)
    places: Any = figure.subplots(down, min(len(columns), _IN_A_ROW), sharey=True, squeeze=False)
    low = 0.58 / (down * _PANEL_HEIGHT)
    figure.subplots_adjust(left=0.08, right=0.97, top=1 - low / 2, bottom=low, hspace=0.28, wspace=0.08)
    for axes, column in zip(places.flat, columns, strict=False):
        dots = [row for row in rows if row[column]]
        axes.set_xscale("log")
        few = max(row[column] for row in dots) < _DECADE_PART * min(row[column] for row in dots) if dots else False
        axes.xaxis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}") if column in _TIMES else EngFormatter(sep=""))
        axes.set_xlabel(AXES[column] + (f", {rows[0]['latency_unit']}" if column == "latency" else ""))
        axes.grid(color=GRID, lw=0.6)
        for row in dots:
            axes.plot([row[column]], [row["mean"]], "o", color=INK if row["front"] else MUTED, ms=5)
        steps = sorted((row[column], row["mean"]) for row in dots if row["front"])
        if column == "flops" and steps:
            axes.plot(*zip(*steps, strict=True), color=INK, lw=1, alpha=0.5)
    for axes in places[:, 0]:
        axes.set_ylabel("validation accuracy")
    for axes in places.flat[len(columns) :]:
        axes.remove()
    for axes, column in zip(places.flat, columns, strict=False):  # now that the scales stand
        _name(axes, [row for row in rows if row[column]], column)


def _name(axes: "Axes", dots: Sequence[Row], column: str) -> None:
    """Names each dot, towards the middle, so that none leaves the figure; names are moved apart, with lines if far."""
    if not dots:
        return
    middle = math.sqrt(min(row[column] for row in dots) * max(row[column] for row in dots))
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    low, high = axes.get_ylim()
    at = [(row["mean"] - low) / (high - low) * height for row in dots]
    for row, y, place in zip(dots, at, apart([y + 6 for y in at], 1.25 * _NAME_SIZE, 0.0, height), strict=True):
        right = row[column] <= middle
        far = abs(place - y) > _FAR
        line = {"arrowstyle": "-", "lw": 0.5, "color": MUTED, "shrinkA": 0, "shrinkB": 3, "relpos": (not right, 0.5)}
        axes.annotate(
            shortened(row["arm"]),
            (row[column], row["mean"]),
            ((12 if far else 4) * (1 if right else -1), place - y),
            textcoords="offset points",
            fontsize=_NAME_SIZE,
            ha="left" if right else "right",
            va="center",
            arrowprops=line if far else None,
        )
