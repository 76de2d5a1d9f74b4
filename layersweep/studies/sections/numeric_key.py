"""The metric against the share of images that arms are trained on, with one line per kind of initial weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.formatting import capitalized, count
from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, label_accuracy_axes, legend_name
from layersweep.studies.sections.section import Section, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.short_names import wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_KEY: Final = "train_share"
_NAMES: Final = {"source": "frozen network, new head", "scratch": "the network from new weights"}
"""The names of the lines by the value of `begin`; the first value is its default."""
_HEIGHT: Final = 4.2


@dataclass(frozen=True, kw_only=True)
class Point:
    """An arm: the value of its key, its mean accuracy, and the limits of its 95 % interval if it has one."""

    x: float
    mean: float
    low: float | None
    high: float | None


def lines(
    comparison: Comparison, key: str, by: str, *, default: float, names: Mapping[str, str]
) -> dict[str, list[Point]]:
    """The points of each line, by its name: the compared arms by the value of a numeric key.

    `names` are the names of the lines by the value of the key `by`; the first value is its default.
    """
    points_by_line: dict[str, list[Point]] = {}
    first = next(iter(names))
    for row in comparison.arms.to_dicts():
        if row["mean"] is None:
            continue
        config = comparison.configurations.get(row["arm"], {})
        value = str(config.get(by, first))
        point = Point(x=float(config.get(key, default)), mean=row["mean"], low=row["low"], high=row["high"])
        points_by_line.setdefault(names.get(value, value), []).append(point)
    return {name: sorted(points, key=lambda p: p.x) for name, points in points_by_line.items()}


def section(comparison: Comparison, _results: Path) -> Section:
    """The section about shares of images; empty if fewer than two shares were compared."""
    points_by_line = lines(comparison, _KEY, "begin", default=1.0, names=_NAMES)
    if len({point.x for points in points_by_line.values() for point in points}) < 2:  # noqa: PLR2004 (a line)
        return Section()
    metric = comparison.criteria.described_metric
    title = f"{capitalized(metric.noun)} against images"
    drawing = Drawing(draw=partial(draw, y_label=metric.name), data=points_by_line, height=_HEIGHT, title=title)
    caption = f"Mean {metric.name} after {count(comparison.epoch, 'epoch')}, with 95 % intervals if they are known."
    return make_section(title, [], figure=(_KEY, drawing, caption))


def draw(
    figure: "Figure | SubFigure", points_by_line: Mapping[str, Sequence[Point]], y_label: str = "validation accuracy"
) -> None:
    """Draws the lines, with intervals."""
    axes = figure.subplots(1, 1)
    figure.subplots_adjust(left=0.09, right=0.98, top=0.96, bottom=0.14)
    for (name, points), colour in zip(points_by_line.items(), COLOURS, strict=False):
        label = legend_name(wrapped(name))
        axes.plot([p.x for p in points], [p.mean for p in points], color=colour, marker="o", ms=5, label=label)
        for point in points:
            if point.low is not None and point.high is not None:
                axes.plot([point.x, point.x], [point.low, point.high], color=colour, lw=5, alpha=0.28)
    label_accuracy_axes(axes, _KEY.replace("_", " "), y_label)
    axes.legend(frameon=False, fontsize=9)
