"""The best value so far of each search and of fixed networks, against search time and against epochs."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.formatting import count, duration
from layersweep.records.metrics import ACCURACY, METRICS, Metric
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import (
    LineStyle,
    accuracy_ticks,
    label_inches,
    line_styles,
    margin_labels,
    window,
)
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.searches import NO_SEARCH, Trajectory, trajectories
from layersweep.studies.statistics.short_names import short_labels
from layersweep.studies.wording.number_formats import NONE, join_words, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MARKS: Final[Mapping[str, float]] = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}
"""The parts of the longest search's time at which searches are compared."""

_PANEL: Final = 3.5
_MINUTE, _HOUR = 60, 3600
_CAPTION: Final = (
    "The best {metric} so far: solid lines are searches (all epochs of all candidates), dashed lines are "
    "fixed networks (means over their seeds). The time of a search is the time during which at least one of its "
    "candidates ran, on all slots. It does not include the time between two commands, nor an epoch that a killed "
    "command did not record. A dot marks the first point with the best value."
)


@dataclass(frozen=True, kw_only=True)
class FigureData:
    """The data of the figure: the trajectories, the line style of each arm in all figures, and the metric."""

    trajectories: Sequence[Trajectory]
    styles: Mapping[str, LineStyle]
    metric: Metric = METRICS[ACCURACY]


def section(comparison: Comparison, results: Path) -> Section:
    """The section about the best accuracy so far; a sentence if no search is recorded, or no search has an epoch."""
    all_trajectories = trajectories(comparison, results)
    searches = [trajectory for trajectory in all_trajectories if trajectory.candidates]
    costs = Table(
        columns=_COLUMNS, rows=list(map(_row, all_trajectories)), text_columns=2, title=_COSTS, caption=_COSTS
    )
    if not searches:
        return make_section("The search", [NO_SEARCH])
    if not any(search.steps for search in searches):
        return make_section("The search", ["No candidate has finished an epoch yet."], tables=[costs])
    metric = comparison.criteria.described_metric
    answer = compare_searches(searches, [row["arm"] for row in comparison.compared_arms], metric.name)
    columns, rows = best_by_time(all_trajectories)
    by_time = Table(
        columns=columns, rows=rows, title=f"best {metric.name} by time", caption=_BY_TIME.format(metric=metric.name)
    )
    data = FigureData(
        trajectories=[trajectory for trajectory in all_trajectories if trajectory.steps],
        styles=line_styles(comparison.arms["arm"].to_list()),
        metric=metric,
    )
    title = f"The best {metric.noun} so far of each search, by time and by epochs"
    drawing = Drawing(draw=draw, data=data, height=2 * _PANEL, title=title)
    return make_section(
        f"The best {metric.noun} so far of each search",
        [answer, *_notes(searches)],
        tables=[replace(costs, caption=_COSTS_OF_NETWORKS), by_time],
        figure=("search", drawing, _CAPTION.format(metric=metric.name)),
        answer=answer,
    )


_COSTS: Final = "candidates and cost of each search"
_COSTS_OF_NETWORKS: Final = "Candidates and cost of each search; for a fixed network, means over its seeds."
_COLUMNS: Final = ("search", "candidates", "epochs", "seconds", "best", "after seconds", "after epochs")
_BY_TIME: Final = (
    "The best {metric} after parts of the longest search's time. * This search had already ended at that time."
)


def _row(trajectory: Trajectory) -> list[str]:
    best = trajectory.best
    candidates = trajectory.outcomes if trajectory.candidates else f"fixed network, {count(trajectory.seeds, 'seed')}"
    best_cells = [share(best.best), _number(best.seconds), _number(best.epochs)] if best else [NONE] * 3
    return [trajectory.name, candidates, _number(trajectory.epochs), _number(trajectory.seconds), *best_cells]


def _number(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else NONE


def best_by_time(all_trajectories: Sequence[Trajectory]) -> tuple[list[str], list[list[str]]]:
    """The best accuracy after parts of the longest search's time: column names, and one row per trajectory."""
    longest = max(trajectory.seconds for trajectory in all_trajectories if trajectory.candidates)
    times = [f"{duration(longest * part)} ({name})" for name, part in MARKS.items()]
    rows = [
        [trajectory.name, *(_best_after(trajectory, longest * part) for part in MARKS.values())]
        for trajectory in all_trajectories
    ]
    return ["search", *times], rows


def _best_after(trajectory: Trajectory, seconds: float) -> str:
    return share(trajectory.after(seconds)) + "*" * (trajectory.seconds < seconds)


def compare_searches(
    searches: Sequence[Trajectory], compared_arms: Collection[str], metric: str = "validation accuracy"
) -> str:
    """The best values when the shortest search ended; the best networks of `compared_arms` ran on fresh seeds."""
    searches = [search for search in searches if search.steps]
    shortest = min(search.seconds for search in searches)
    values = sorted(((search.after(shortest) or 0.0, search.name) for search in searches), key=lambda pair: -pair[0])
    best = join_words([f"{name} {share(value)}" for value, name in values])
    if len(searches) == 1:
        return f"The best {metric} of a candidate after {duration(shortest)} of search: {best}."
    compared = [search.name for search in searches if search.name in compared_arms]
    test = (
        "the test is the comparison of their best networks on fresh seeds"
        if len(compared) > 1
        else "there is no test as long as their best networks are not compared on fresh seeds"
    )
    return (
        f"The best {metric} of a candidate after {duration(shortest)}, the time of the shortest search: "
        f"{best}. Each search ran only once: {test}."
    )


def _notes(searches: Sequence[Trajectory]) -> list[str]:
    texts = []
    if unfinished := [f"{search.name} ({search.unfinished})" for search in searches if search.unfinished]:
        texts.append(f"Some candidates have not ended, so these numbers may rise: {join_words(unfinished)}.")
    if without_epochs := [search.name for search in searches if not search.steps]:
        texts.append(f"No candidate of these searches has finished an epoch yet: {join_words(without_epochs)}.")
    return texts


def draw(figure: "Figure | SubFigure", data: FigureData) -> None:
    """Draws two panels: best accuracy against time, and below it against epochs."""
    lines = data.trajectories
    longest = max(line.seconds for line in lines)
    units = (10 * _MINUTE, 1, "seconds"), (4 * _HOUR, _MINUTE, "minutes"), (math.inf, _HOUR, "hours")
    unit, name = next((unit, name) for limit, unit, name in units if longest <= limit)
    limits, note = _limits(lines)
    labels = _labels(lines)
    right = 1 - label_inches(labels.values()) / WIDTH
    top, bottom = figure.subplots(2, 1)
    figure.subplots_adjust(left=0.065, right=right, top=0.955 if note else 0.985, bottom=0.07, hspace=0.28)
    times = [[*(step.seconds / unit for step in line.steps), line.seconds / unit] for line in lines]
    _panel(top, data, times, limits)
    top.set_xlabel(f"{name} of search or training")
    top.set_title(note)
    _panel(bottom, data, [[*(step.epochs for step in line.steps), line.epochs] for line in lines], limits)
    bottom.set_xlabel("epochs trained")


def _limits(lines: Sequence[Trajectory]) -> tuple[tuple[float, float], str]:
    """The limits of the accuracy axis, and a note about them.

    The axis shows all values. If low first values would squeeze the others together, it shows the values of the
    searches from an eighth of their epochs on, and all last values.
    """
    values = [step.best for line in lines for step in line.steps]
    low, high = min(values), max(values)
    full = low - 0.05 * (high - low) - 1e-3, high + 0.08 * (high - low) + 1e-3
    later_values = [line.steps[len(line.steps) // 8].best for line in lines if line.candidates]
    part = window([*later_values, *(line.steps[-1].best for line in lines)], full, below=0.2)
    return (part, f"Enlarged: the lines start below {share(part[0])[:3]}") if part else (full, "")


def _labels(lines: Sequence[Trajectory]) -> dict[str, str]:
    """The label of each line by its name: what it is, and its last value."""
    labels = short_labels(line.name for line in lines)
    return {line.name: f"{labels[line.name]} {share(line.steps[-1].best)}" for line in lines}


def _panel(axes: "Axes", data: FigureData, xs: Sequence[Sequence[float]], limits: tuple[float, float]) -> None:
    axes.set_ylim(*limits)
    texts = _labels(data.trajectories)
    right = max((x for row in xs for x in row if math.isfinite(x)), default=1.0)
    axes.set_xlim(-0.01 * right, 1.01 * right + 1e-9)
    labels = []
    for line, positions in zip(data.trajectories, xs, strict=True):
        style, values = data.styles[line.name], [step.best for step in line.steps]
        dashes, width = "-" if line.candidates else "--", 1.7 if style.has_label else 0.7
        axes.plot(positions, [*values, values[-1]], drawstyle="steps-post", color=style.colour, ls=dashes, lw=width)
        first = values.index(values[-1])
        axes.plot([positions[first]], [values[-1]], "o", color=style.colour, ms=5)
        if style.has_label:
            labels.append((positions[-1], max(values[-1], limits[0]), texts[line.name], style.colour))
    accuracy_ticks(axes.yaxis)
    axes.set_ylabel(f"best {data.metric.name} so far")
    margin_labels(axes, labels)
