"""The metric of each arm against its cost: size, FLOPs, latency, seconds per epoch, Pareto front."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersweep.formatting import capitalized, first_names
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import GRID, INK, MUTED, label_lines, spread_apart
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import NEVER_LEARNED, Row
from layersweep.studies.statistics.pareto import pareto_front
from layersweep.studies.statistics.replicates import TIMES
from layersweep.studies.statistics.short_names import short_labels
from layersweep.studies.wording.number_formats import join_words, with_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

AXES: Final[Mapping[str, str]] = {
    "parameters": "parameters",
    "flops": "FLOPs per image, forward",
    "latency": "latency of one image",
    "seconds_per_epoch": "seconds per epoch",
}
"""The labels of the axes, by column."""

_TIME_COLUMNS: Final = ("latency", "seconds_per_epoch")
_PANEL_HEIGHT: Final = 3.6
_PANELS_PER_ROW: Final = 2
_EQUAL_RATIO: Final = 1.05
"""Costs count as equal up to this ratio: repeated latencies of one network differ that much."""

_NARROW_RATIO: Final = 5.0
"""Up to this ratio between the largest and the smallest cost, ticks at 1, 2, 5, 10 may be too few."""

_FRONT_NOTE: Final = " Dark dots are on the Pareto front."
_NO_ARM_LEARNED: Final = "No arm beats chance, so there is no Pareto front."
_WRITTEN_OUT: Final = 3
"""Up to this number, all arms of a list are named."""
_NAME_SIZE: Final = 7
_MAX_DISTANCE: Final = 9
"""How many points a name can be away from its dot without a line between them."""


def costs(comparison: Comparison) -> list[Row]:
    """One row per compared arm, the most accurate first, with `seconds_per_epoch`, `front` and `undecided`.

    `front` says whether the arm is on the Pareto front of accuracy and FLOPs; `undecided`, whether it costs more than
    an arm there and is shown neither to gain nor to be worse. Arms that never beat chance have no mean, and no row.
    """
    rows = [
        {**row, "seconds_per_epoch": row["seconds_training"] / row["epochs"] if row["epochs"] else None}
        for row in comparison.arms.to_dicts()
        if row["mean"] is not None
    ]
    rows.sort(key=lambda row: -row["mean"])
    flops = {row["arm"]: row["flops"] for row in rows if row["flops"] is not None}
    pareto = pareto_front(flops, flops.__getitem__, comparison.is_better)
    return [{**row, "front": row["arm"] in pareto.front, "undecided": row["arm"] in pareto.undecided} for row in rows]


def section(comparison: Comparison, _results: Path) -> Section:
    """The section about costs; a sentence if no arm beats chance, and empty if no arm ran to the end."""
    rows = costs(comparison)
    metric = comparison.criteria.described_metric
    heading = f"{capitalized(metric.noun)} against cost"
    if not rows:
        is_at_chance = NEVER_LEARNED in comparison.arms["status"]
        return make_section(heading, [_NO_ARM_LEARNED], answer=_NO_ARM_LEARNED) if is_at_chance else Section()
    if not _differs(rows, "flops"):
        rows = [{**row, "front": False, "undecided": False} for row in rows]  # no front if all costs are equal
    sentence = _front_sentence(rows, metric.noun)
    drawing = Drawing(draw=partial(draw, y_label=metric.name), data=rows, height=_height(rows), title=heading)
    caption = f"Mean {metric.name} against cost.{_FRONT_NOTE if sentence else ''}"
    figure = "costs", drawing, caption
    sentences = [sentence] if sentence else []
    return make_section(heading, sentences, tables=[_table(rows, metric.noun)], figure=figure, answer=sentence)


def _front_sentence(rows: Sequence[Row], noun: str) -> str:
    """The arms on the front, and those that cost more and are not shown to gain, the cheapest first."""
    cheapest_first = sorted(rows, key=lambda row: row["flops"] or 0)
    front, undecided = ([row["arm"] for row in cheapest_first if row[name]] for name in ("front", "undecided"))
    if not front:
        return ""
    sentence = f"On the Pareto front of {noun} against FLOPs: {', '.join(front)}."
    if not undecided:
        return sentence
    names = first_names(undecided) if len(undecided) > _WRITTEN_OUT else join_words(undecided)
    verb, pronoun, gain = ("costs", "it", "gains") if len(undecided) == 1 else ("cost", "they", "gain")
    return f"{sentence} {names} {verb} more, and no test shows that {pronoun} {gain}."


def _table(rows: Sequence[Row], noun: str) -> Table:
    unit = rows[0]["latency_unit"]
    cells = [
        [
            f"{row['arm']}{' *' if row['front'] else ''}",
            with_spread(row["mean"], row["sd"], row["n"]),
            _number(row["parameters"]),
            _number(row["size_bytes"], 1, 1e6),
            _number(row["flops"], 1, 1e6),
            _number(row["latency"], 1),
            _number(row["seconds_per_epoch"], 2),
        ]
        for row in rows
    ]
    notes = [f"* on the Pareto front of {noun} against FLOPs"] if any(row["front"] for row in rows) else []
    if unit == TIMES and any(row["latency"] for row in rows):
        notes.append(f"latency, {TIMES}: one image, as a multiple of the time of a fixed computation")
    columns = ("arm", noun, "parameters", "MB", "MFLOPs", f"latency, {unit}", "s per epoch")
    return Table(columns=columns, rows=cells, note="; ".join(notes))


def _number(value: float | None, digits: int = 0, unit: float = 1) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"


def _height(rows: Sequence[Row]) -> float:
    return _PANEL_HEIGHT * math.ceil(len(_varied_costs(rows)) / _PANELS_PER_ROW)


def _varied_costs(rows: Sequence[Row]) -> list[str]:
    """The costs in which arms differ; all costs if they differ in none."""
    return [column for column in AXES if _differs(rows, column)] or [*AXES]


def _differs(rows: Sequence[Row], column: str) -> bool:
    values = [row[column] for row in rows if row[column]]
    return bool(values) and max(values) > _EQUAL_RATIO * min(values)


def draw(figure: "Figure | SubFigure", rows: Sequence[Row], y_label: str = "validation accuracy") -> None:
    """Draws the mean metric of the arms against each cost in which they differ, on a logarithmic scale."""
    from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    columns = _varied_costs(rows)
    panel_rows = math.ceil(len(columns) / _PANELS_PER_ROW)
    panels: Any = figure.subplots(panel_rows, min(len(columns), _PANELS_PER_ROW), sharey=True, squeeze=False)
    low = 0.58 / (panel_rows * _PANEL_HEIGHT)
    figure.subplots_adjust(left=0.08, right=0.97, top=1 - low / 2, bottom=low, hspace=0.28, wspace=0.08)
    for axes, column in zip(panels.flat, columns, strict=False):
        dots = [row for row in rows if row[column]]
        axes.set_xscale("log")
        is_narrow = (
            max(row[column] for row in dots) < _NARROW_RATIO * min(row[column] for row in dots) if dots else False
        )
        axes.xaxis.set_major_locator(MaxNLocator(5) if is_narrow else LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}") if column in _TIME_COLUMNS else EngFormatter(sep=""))
        axes.set_xlabel(AXES[column] + (f", {rows[0]['latency_unit']}" if column == "latency" else ""))
        axes.grid(color=GRID, lw=0.6)
        for row in dots:
            axes.plot([row[column]], [row["mean"]], "o", color=INK if row["front"] else MUTED, ms=5)
        steps = sorted((row[column], row["mean"]) for row in dots if row["front"])
        if column == "flops" and steps:
            axes.plot(*zip(*steps, strict=True), color=INK, lw=1, alpha=0.5)
    for axes in panels[:, 0]:
        axes.set_ylabel(y_label)
    for axes in panels.flat[len(columns) :]:
        axes.remove()
    for axes, column in zip(panels.flat, columns, strict=False):  # after the scales are fixed
        _add_names(axes, [row for row in rows if row[column]], column)


def _add_names(axes: "Axes", dots: Sequence[Row], column: str) -> None:
    """Adds the name of each dot, on the side of the middle; names are moved apart, with lines to dots far away."""
    if not dots:
        return
    middle = math.sqrt(min(row[column] for row in dots) * max(row[column] for row in dots))
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    low, high = axes.get_ylim()
    heights = [(row["mean"] - low) / (high - low) * height for row in dots]
    labels = short_labels(row["arm"] for row in dots)
    distance = 1.25 * _NAME_SIZE * label_lines(labels.values())
    name_heights = spread_apart([y + 6 for y in heights], distance, 0.0, height)
    for row, y, name_y in zip(dots, heights, name_heights, strict=True):
        right = row[column] <= middle
        far = abs(name_y - y) > _MAX_DISTANCE
        line = {"arrowstyle": "-", "lw": 0.5, "color": MUTED, "shrinkA": 0, "shrinkB": 3, "relpos": (not right, 0.5)}
        axes.annotate(
            labels[row["arm"]],
            (row[column], row["mean"]),
            ((12 if far else 4) * (1 if right else -1), name_y - y),
            textcoords="offset points",
            fontsize=_NAME_SIZE,
            ha="left" if right else "right",
            va="center",
            arrowprops=line if far else None,
        )
