"""Draws what a comparison found: learning curves, accuracy against time, final accuracy by arm.

Where weak arms would squeeze the strong ones together, all arms are drawn on the whole scale, and the strong ones again
on an enlarged part of it: no arm is cut off.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import polars as pl

from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.learning_curves import Line, extent, lines, unseen
from layersweep.studies.figures.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    accuracy_ticks,
    inks,
    label_inches,
    leaders,
    margin_labels,
    shortened,
    window,
)
from layersweep.studies.statistics.arm_comparison import Comparison, Row
from layersweep.studies.statistics.replicates import untuned
from layersweep.studies.wording.words import share, verdict, with_spread
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Draw: TypeAlias = "Callable[[Figure | SubFigure, Comparison], None]"
_ACCURACY: Final = "validation accuracy"


def learning_curves(figure: "Figure | SubFigure", found: Comparison) -> None:
    """Validation accuracy against epoch: the mean over seeds, a band from the lowest to the highest seed."""
    _draw(figure, lines(found, "epoch"), "epoch", found)


def against_seconds(figure: "Figure | SubFigure", found: Comparison) -> None:
    """Validation accuracy against the seconds that a seed had spent, both as means over seeds."""
    _draw(figure, lines(found, "seconds"), "seconds a trial (mean over seeds)", found)


def _draw(figure: "Figure | SubFigure", drawn: Sequence[Line], label: str, found: Comparison) -> None:
    low, high = extent(drawn)
    whole = (min(0.0, low), high + 0.06 * (high - min(0.0, low)))
    to_the_end = [line for line in drawn if not line.stops] or drawn
    strong = leaders({line.arm: line.end[1] for line in to_the_end})
    part = window([y for line in drawn if line.arm in strong for y in _last_values(line)], whole, below=0.9)
    if part is None:
        axes = figure.add_axes(_box(0.75, WIDTH - label_inches([line.arm for line in drawn]), figure))
        _panel(axes, drawn, whole, label, _ends(drawn))
        axes.set_title(_title(found, drawn))
        return
    note = f"{count(len(strong), 'arm')}, enlarged"
    right_edge = WIDTH - label_inches(sorted(strong))
    between = label_inches([note, *(line.arm for line in drawn if line.arm not in strong)]) + 0.5
    middle = 0.6 + (right_edge - 0.6 - between) * 0.45
    left, right = (figure.add_axes(_box(a, b, figure)) for a, b in ((0.6, middle), (middle + between, right_edge)))
    left.axhspan(*part, color=GRID, alpha=0.9, lw=0, zorder=0)
    reached = max(line.end[0] for line in drawn)
    band = (reached, sum(part) / 2, note, MUTED)
    _panel(left, drawn, whole, label, [band, *_ends(line for line in drawn if line.arm not in strong)])
    left.set_title(_title(found, drawn))
    seen = [line for line in drawn if line.arm in strong or any(y > part[0] for _, y in line.points)]
    _panel(right, seen, part, label, _ends(line for line in seen if line.arm in strong))
    right.set_xlim(left=_entry(seen, part[0]))
    right.set_title("The grey band, enlarged")
    right.set_ylabel("")


def _title(found: Comparison, drawn: Sequence[Line]) -> str:
    stops = "; \N{MULTIPLICATION SIGN} stopped, \N{EN DASH} the cutoff that it missed"
    stopped = stops if any(line.stops for line in drawn) else ""
    every = f"{len(drawn)} of {count(found.arms.height, 'arm')}" if unseen(found) else count(len(drawn), "arm")
    arms = found.arms["arm"].to_list()
    tuned = {untuned(arm) for arm in arms if untuned(arm) != arm}
    dashed = "; dashed: the default of a tuned arm" if tuned & {line.arm for line in drawn} else ""
    return f"{every}{dashed}{stopped}"


def _box(left: float, right: float, figure: "Figure | SubFigure") -> tuple[float, float, float, float]:
    """Axes between two edges in inches; room for a title above and ticks and label below."""
    height = figure.bbox.height / figure.dpi
    return left / WIDTH, 0.55 / height, (right - left) / WIDTH, 1 - 0.97 / height


def _entry(seen: Sequence[Line], low: float) -> float:
    """Where the first line enters an enlarged panel from below; what lies left of it would be empty."""
    enters = min(x for line in seen for x, y in line.points if y >= low)
    return max((x for line in seen for x, _ in line.points if x < enters), default=enters)


def _ends(drawn: Iterable[Line]) -> list[tuple[float, float, str, str]]:
    return [(*line.end, _name(line), line.ink.colour) for line in drawn if line.ink.named]


def _last_values(line: Line) -> list[float]:
    return [y for _, low, high in line.band[-1:] for y in (low, high)] + [line.end[1], line.mean[-1][1]]


def _panel(
    axes: "Axes",
    drawn: Sequence[Line],
    limits: tuple[float, float],
    label: str,
    ends: Sequence[tuple[float, float, str, str]],
) -> None:
    from matplotlib.ticker import MaxNLocator

    right = max(line.end[0] for line in drawn)
    first = min(line.mean[0][0] for line in drawn) if label == "epoch" else 0.0
    axes.set_xlim(first - 0.03 * (right - first), right + 0.01 * (right - first) + 1e-9)
    axes.set_ylim(*limits)
    for line in reversed(drawn):
        _line(axes, line)
    for line in drawn:
        _stop_markers(axes, line, limits)
    accuracy_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(label)
    axes.set_ylabel(_ACCURACY)
    margin_labels(axes, ends)


def _name(line: Line) -> str:
    return f"{shortened(line.arm)} ({line.note})" if line.note else shortened(line.arm)


def _line(axes: "Axes", line: Line) -> None:
    ink = line.ink
    width = 1.7 if ink.named else 0.7
    if line.band and ink.named:
        xs, low, high = zip(*line.band, strict=True)
        axes.fill_between(xs, low, high, color=ink.colour, alpha=0.16, lw=0)
    xs, ys = zip(*line.mean, strict=True)
    axes.plot(xs, ys, color=ink.colour, ls=ink.dashes, lw=width, marker="o" if len(xs) == 1 else "", ms=4)
    for seed in line.beyond:
        xs, ys = zip(*seed, strict=True)
        axes.plot(xs, ys, color=ink.colour, ls=ink.dashes, lw=0.8)


def _stop_markers(axes: "Axes", line: Line, inside: tuple[float, float]) -> None:
    """A cross where the scheduler stopped a seed, and a bar at the cutoff that it missed."""
    for x, y, cutoff in line.stops:
        if not inside[0] <= y <= inside[1]:
            continue
        axes.plot([x], [y], "X", color=line.ink.colour, ms=6.5, mec=PAPER, mew=0.8, zorder=5)
        if cutoff is not None:
            axes.plot([x, x], [y, cutoff], color=MUTED, lw=0.7, zorder=4)
            axes.plot([x], [cutoff], "_", color=INK, ms=8, mew=1.2, zorder=4)


def final_accuracy(figure: "Figure | SubFigure", found: Comparison) -> None:
    """Dots and intervals: each seed, the mean and its 95 % interval, best arm on top; a word where there is no mean."""
    rows = found.arms.to_dicts()
    ink = inks([row["arm"] for row in rows])
    seeds = found.replicates.rows.filter(pl.col("accuracy").is_not_null())
    values = {row["arm"]: seeds.filter(pl.col("arm") == row["arm"])["accuracy"].to_list() for row in found.compared}
    strong = leaders({row["arm"]: row["mean"] for row in found.compared})
    shown = [v for arm in strong for v in values[arm]]
    shown += [v for row in found.compared if row["arm"] in strong for v in (row["low"], row["high"]) if v is not None]
    everything = [v for part in values.values() for v in part]
    axes = figure.subplots(1, 1)
    height = figure.bbox.height / figure.dpi
    figure.subplots_adjust(
        left=label_inches([row["arm"] for row in rows]) / WIDTH,
        right=0.745,
        top=1 - 0.1 / height,
        bottom=0.55 / height,
    )
    part = window(shown, (min(everything), max(everything))) if len(strong) < len(values) else None
    low, high = part or (min(shown + everything), max(shown + everything))
    air = 0.04 * (high - low) or 0.01
    axes.set_xlim(low - air, high + air)
    for place, row in enumerate(reversed(rows)):
        _dots(axes, place, row, values.get(row["arm"], []), ink[row["arm"]].colour)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [shortened(row["arm"]) for row in reversed(rows)])
    for tick, row in zip(axes.get_yticklabels(), reversed(rows), strict=True):
        tick.set_color(ink[row["arm"]].colour)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
    accuracy_ticks(axes.xaxis)
    axes.set_xlabel(
        f"{_ACCURACY} after {count(found.epoch, 'epoch')}" + (", enlarged; ◂ lies to the left" if part else "")
    )


def height_of(found: Comparison) -> float:
    """Inches that `final_accuracy` needs for its arms."""
    return 0.75 + 0.27 * found.arms.height


def _dots(axes: "Axes", height: int, row: Row, values: Sequence[float], colour: str) -> None:
    low, high = axes.get_xlim()
    right = axes.get_yaxis_transform()
    words: dict[str, Any] = {"transform": right, "va": "center", "fontsize": 8.5}
    if not values:
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
        axes.text(0.01, height, verdict(row), color=MUTED, style="italic", bbox=box, **words)
        return
    said = (with_spread(row["mean"], row["sd"], row["n"]), INK), (row["verdict"].removesuffix(": no test"), MUTED)
    for inches, (text, ink) in zip((0.12, 1.45), said, strict=True):
        place = 1 + inches * axes.figure.dpi / axes.get_window_extent().width
        axes.text(place, height, text, color=ink, **words)
    if row["mean"] < low:
        axes.text(0.01, height, f"◂ {share(row['mean'])}", color=colour, **words)
        return
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [height, height], color=colour, lw=5, alpha=0.28, solid_capstyle="butt")
    inside = [v for v in values if low <= v <= high]
    axes.plot(inside, [height] * len(inside), "o", color=colour, ms=4.5, mec=PAPER, mew=0.6, alpha=0.9)
    axes.plot([row["mean"]], [height], "|", color=colour, ms=13, mew=2)


def picture(found: Comparison) -> bytes:
    """Learning curves above final accuracies above what tuning tried, as a PNG of 1,600 pixels' width on white."""
    parts: list[tuple[float, Draw]] = []
    if found.replicates.curves.height:
        parts.append((4.2, learning_curves))
    if found.compared:
        parts.append((height_of(found), final_accuracy))
    if learning_rates.drawn(found):
        parts.append((learning_rates.height_of(found), learning_rates.rate_curves))
    heights = [height for height, _ in parts]

    def draw(figure: "Figure | SubFigure", found: Comparison) -> None:
        places: Any = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)
        for place, (_, one) in zip(places.flat, parts, strict=True):
            one(place, found)

    return Drawing(draw=draw, found=found, height=sum(heights)).png()
