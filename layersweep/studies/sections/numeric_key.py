"""Accuracy against the share of the images that arms are trained on, a line for each way to begin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.studies.figures.drawing import Drawing
from layersweep.studies.figures.style import COLOURS, accuracy_against
from layersweep.studies.sections.section import Extra, section
from layersweep.studies.statistics.arm_comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_KEY: Final = "train_share"
_NAMES: Final = {"source": "frozen network, new head", "scratch": "the network from new weights"}
"""The lines' names by the value of `begin`, whose default is the first."""
_TITLE: Final = "Accuracy against images"
_HEIGHT: Final = 4.2


@dataclass(frozen=True, kw_only=True)
class Point:
    """An arm's place: the number, its mean accuracy, and the ends of its 95 % interval where there is one."""

    x: float
    mean: float
    low: float | None
    high: float | None


def lines(found: Comparison, key: str, by: str, *, default: float, names: Mapping[str, str]) -> dict[str, list[Point]]:
    """The points of each line, by its name: the compared arms by a numeric key.

    `names` are those of the lines by the value of `by`, whose default is the first.
    """
    made: dict[str, list[Point]] = {}
    first = next(iter(names))
    for row in found.arms.to_dicts():
        if row["mean"] is None:
            continue
        config = found.settings.get(row["arm"], {})
        value = str(config.get(by, first))
        point = Point(x=float(config.get(key, default)), mean=row["mean"], low=row["low"], high=row["high"])
        made.setdefault(names.get(value, value), []).append(point)
    return {name: sorted(points, key=lambda p: p.x) for name, points in made.items()}


def shown(found: Comparison, _results: Path) -> Extra:
    """The lines as a section of a study; empty where fewer than two shares were compared."""
    seen = lines(found, _KEY, "begin", default=1.0, names=_NAMES)
    if len({point.x for points in seen.values() for point in points}) < 2:  # noqa: PLR2004 (a line)
        return Extra()
    drawing = Drawing(draw=draw, found=seen, height=_HEIGHT, title=_TITLE)
    caption = f"Mean validation accuracy after {found.epoch} epochs, with 95 % intervals where there are any."
    return section(_TITLE, [], figure=(_KEY, drawing, caption))


def draw(figure: "Figure | SubFigure", seen: Mapping[str, Sequence[Point]]) -> None:
    """A line for each, with intervals."""
    axes = figure.subplots(1, 1)
    figure.subplots_adjust(left=0.09, right=0.98, top=0.96, bottom=0.14)
    for (name, points), colour in zip(seen.items(), COLOURS, strict=False):
        axes.plot([p.x for p in points], [p.mean for p in points], color=colour, marker="o", ms=5, label=name)
        for point in points:
            if point.low is not None and point.high is not None:
                axes.plot([point.x, point.x], [point.low, point.high], color=colour, lw=5, alpha=0.28)
    accuracy_against(axes, _KEY.replace("_", " "))
    axes.legend(frameon=False, fontsize=9)
