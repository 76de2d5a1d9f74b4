"""The figures of a comparison: learning curves, accuracy against time, final accuracy by arm.

If weak arms would squeeze the strong arms together, there are two panels: all arms on the full scale, and the strong
arms on an enlarged part of it. No arm is cut off.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import polars as pl

from layersweep.formatting import count
from layersweep.studies.figures import learning_rates
from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.learning_curves import Line, accuracy_range, arms_without_curve, lines
from layersweep.studies.figures.style import (
    GRID,
    INK,
    MUTED,
    PAPER,
    accuracy_ticks,
    arms_above_gap,
    label_inches,
    label_lines,
    line_styles,
    margin_labels,
    window,
)
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.arm_rows import Row
from layersweep.studies.statistics.replicates import default_arm
from layersweep.studies.statistics.short_names import short_labels, wrapped
from layersweep.studies.wording.answer_sentences import metric_name, verdict
from layersweep.studies.wording.number_formats import share, signed, with_spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_LABEL_OF_AXIS: Final = 100

Draw: TypeAlias = "Callable[[Figure | SubFigure, Comparison], None]"


def learning_curves(figure: "Figure | SubFigure", comparison: Comparison) -> None:
    """Draws the metric against epoch: the mean over seeds, a band from the lowest to the highest seed."""
    _draw(figure, lines(comparison, "epoch"), "epoch", comparison)


def _draw(figure: "Figure | SubFigure", all_lines: Sequence[Line], x_label: str, comparison: Comparison) -> None:
    low, high = accuracy_range(all_lines)
    full = (min(0.0, low), high + 0.06 * (high - min(0.0, low)))
    complete_lines = [line for line in all_lines if not line.stops] or all_lines
    strong_arms = arms_above_gap({line.arm: line.end[1] for line in complete_lines})
    last_values = [y for line in all_lines if line.arm in strong_arms for y in _last_values(line)]
    part = window([*last_values, high], full, below=0.9)  # a line that falls later was higher before
    names = _names(comparison, all_lines)
    if part is None:
        axes = figure.add_axes(_box(0.75, WIDTH - label_inches(names.values()), figure))
        _panel(axes, all_lines, full, x_label, _labels(all_lines, names))
        axes.set_ylabel(metric_name(comparison))
        axes.set_title(_title(comparison, all_lines))
        return
    note = f"{count(len(strong_arms), 'arm')}, enlarged"
    weak_lines = [line for line in all_lines if line.arm not in strong_arms]
    right_edge = WIDTH - label_inches(names[line.arm] for line in all_lines if line.arm in strong_arms)
    between = label_inches([note, *(names[line.arm] for line in weak_lines)]) + 0.5
    middle = 0.6 + (right_edge - 0.6 - between) * 0.45
    left, right = (figure.add_axes(_box(a, b, figure)) for a, b in ((0.6, middle), (middle + between, right_edge)))
    left.axhspan(*part, color=GRID, alpha=0.9, lw=0, zorder=0)
    band_label = (max(line.end[0] for line in all_lines), sum(part) / 2, note, MUTED)
    _panel(left, all_lines, full, x_label, [band_label, *_labels(weak_lines, names)])
    left.set_ylabel(metric_name(comparison))
    left.set_title(_title(comparison, all_lines))
    visible_lines = [line for line in all_lines if line.arm in strong_arms or any(y > part[0] for _, y in line.points)]
    strong_lines = [line for line in visible_lines if line.arm in strong_arms]
    _panel(right, visible_lines, part, x_label, _labels(strong_lines, names))
    right.set_xlim(left=_first_visible_x(visible_lines, part[0]))
    is_cut = [_mark_crossings(right, line, part[0]) for line in visible_lines]
    right.set_title("The grey band, enlarged" + ("; ▴ ▾ lines enter or leave it" if any(is_cut) else ""))
    right.set_ylabel("")


def _mark_crossings(axes: "Axes", line: Line, edge: float) -> bool:
    """Marks where a line crosses the lower edge of an enlarged part; returns whether a line or its band does."""
    crosses = any(low < edge <= high for _, low, high in line.band)
    for points in (line.mean, *line.longer_seeds):
        for (x, y), (next_x, next_y) in itertools.pairwise(points):
            if (y < edge) != (next_y < edge):
                at = x + (next_x - x) * (edge - y) / (next_y - y)
                marker = "^" if next_y > y else "v"
                axes.plot([at], [edge], marker, color=line.style.colour, ms=5, clip_on=False, zorder=6)
                crosses = True
    return crosses


def _title(comparison: Comparison, all_lines: Sequence[Line]) -> str:
    stops = "; \N{MULTIPLICATION SIGN} stopped, \N{EN DASH} cutoff"
    stop_note = stops if any(line.stops for line in all_lines) else ""
    total = count(comparison.arms.height, "arm")
    arms = f"{len(all_lines)} of {total}" if arms_without_curve(comparison) else count(len(all_lines), "arm")
    arms_with_tuning = {default_arm(arm) for arm in comparison.arms["arm"].to_list() if default_arm(arm) != arm}
    dashes = "; dashed: the default of a tuned arm" if arms_with_tuning & {line.arm for line in all_lines} else ""
    return f"{arms}{dashes}{stop_note}"


def _box(left: float, right: float, figure: "Figure | SubFigure") -> tuple[float, float, float, float]:
    """The position of axes between two edges in inches, with space for a title, ticks and a label."""
    height = figure.bbox.height / figure.dpi
    return left / WIDTH, 0.55 / height, (right - left) / WIDTH, 1 - 0.97 / height


def _first_visible_x(all_lines: Sequence[Line], low: float) -> float:
    """The left limit of an enlarged panel: the last point before the first line rises above `low`."""
    first = min(x for line in all_lines for x, y in line.points if y >= low)
    return max((x for line in all_lines for x, _ in line.points if x < first), default=first)


def _names(comparison: Comparison, all_lines: Iterable[Line]) -> dict[str, str]:
    """The label of each line by its arm, with its note."""
    labels = short_labels(comparison.arms["arm"])
    return {line.arm: f"{labels[line.arm]} ({line.note})" if line.note else labels[line.arm] for line in all_lines}


def _labels(all_lines: Iterable[Line], names: Mapping[str, str]) -> list[tuple[float, float, str, str]]:
    return [(*line.end, names[line.arm], line.style.colour) for line in all_lines if line.style.has_label]


def _last_values(line: Line) -> list[float]:
    return [y for _, low, high in line.band[-1:] for y in (low, high)] + [line.end[1], line.mean[-1][1]]


def _panel(
    axes: "Axes",
    all_lines: Sequence[Line],
    limits: tuple[float, float],
    x_label: str,
    labels: Sequence[tuple[float, float, str, str]],
) -> None:
    from matplotlib.ticker import MaxNLocator

    right = max(line.end[0] for line in all_lines)
    first = min(line.mean[0][0] for line in all_lines) if x_label == "epoch" else 0.0
    axes.set_xlim(first - 0.03 * (right - first), right + 0.01 * (right - first) + 1e-9)
    axes.set_ylim(*limits)
    for line in reversed(all_lines):
        _line(axes, line)
    for line in all_lines:
        _stop_markers(axes, line, limits)
    accuracy_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel(x_label)
    margin_labels(axes, labels)


def _line(axes: "Axes", line: Line) -> None:
    style = line.style
    width = 1.7 if style.has_label else 0.7
    if line.band and style.has_label:
        xs, low, high = zip(*line.band, strict=True)
        axes.fill_between(xs, low, high, color=style.colour, alpha=0.16, lw=0)
    xs, ys = zip(*line.mean, strict=True)
    axes.plot(xs, ys, color=style.colour, ls=style.dashes, lw=width, marker="o" if len(xs) == 1 else "", ms=4)
    for seed in line.longer_seeds:
        xs, ys = zip(*seed, strict=True)
        axes.plot(xs, ys, color=style.colour, ls=style.dashes, lw=0.8)


def _stop_markers(axes: "Axes", line: Line, limits: tuple[float, float]) -> None:
    """Draws a cross where the scheduler stopped a seed, and a bar at the cutoff."""
    for x, y, cutoff in line.stops:
        if not limits[0] <= y <= limits[1]:
            continue
        axes.plot([x], [y], "X", color=line.style.colour, ms=6.5, mec=PAPER, mew=0.8, zorder=5)
        if cutoff is not None:
            axes.plot([x, x], [y, cutoff], color=MUTED, lw=0.7, zorder=4)
            axes.plot([x], [cutoff], "_", color=INK, ms=8, mew=1.2, zorder=4)


def differences(figure: "Figure | SubFigure", comparison: Comparison) -> None:
    """Draws the difference of each arm to the leader with its simultaneous interval, and the margin as a band."""
    rows = comparison.arms.to_dicts()
    compared = [row for row in comparison.compared_arms if row["difference"] is not None]
    strong_arms = arms_above_gap({row["arm"]: comparison.criteria.sign * row["difference"] for row in compared})
    ends = {row["arm"]: [row[name] for name in _DIFFERENCE_ENDS if row[name] is not None] for row in compared}
    strong_values = [value for row in compared if row["arm"] in strong_arms for value in ends[row["arm"]]]
    margin = comparison.criteria.margin
    strong_values += [-margin, margin, *(row["difference"] for row in compared if row["arm"] in strong_arms)]
    axes, colours = _arm_axes(figure, rows, strong_values)
    axes.axvspan(-margin, margin, color=GRID, alpha=0.7, lw=0, zorder=0)
    axes.axvline(0, color=MUTED, lw=0.9, zorder=1)
    for y, row in enumerate(reversed(rows)):
        if row["difference"] is None:
            _write_status(axes, y, row)
            continue
        text = "" if not row["difference"] else signed(row["difference"], 3)
        _write_beside(axes, y, (text, INK), (row["verdict"], MUTED))
        if not _points_beyond(axes, y, row["difference"], colours[row["arm"]]):
            axes.plot(ends[row["arm"]], [y] * len(ends[row["arm"]]), color=colours[row["arm"]], lw=2)
            _mark_cut(axes, y, ends[row["arm"]], colours[row["arm"]])
            axes.plot([row["difference"]], [y], "o", color=colours[row["arm"]], ms=5, mec=PAPER, mew=0.6)
    text = f"difference of {metric_name(comparison)} to {comparison.leader['arm']}; grey: the margin"
    axes.set_xlabel(wrapped(text, _LABEL_OF_AXIS))


_DIFFERENCE_ENDS: Final = ("difference_low", "difference_high")


def final_accuracy(figure: "Figure | SubFigure", comparison: Comparison) -> None:
    """Draws each seed, the mean and its 95 % interval, best arm on top; the verdict if there is no mean."""
    rows = comparison.arms.to_dicts()
    seeds = comparison.replicates.rows.filter(pl.col("accuracy").is_not_null())
    values = {
        row["arm"]: seeds.filter(pl.col("arm") == row["arm"])["accuracy"].to_list() for row in comparison.compared_arms
    }
    strong_arms = arms_above_gap(
        {row["arm"]: comparison.criteria.sign * row["mean"] for row in comparison.compared_arms}
    )
    strong_rows = [row for row in comparison.compared_arms if row["arm"] in strong_arms]
    strong_values = [v for arm in strong_arms for v in values[arm]]
    strong_values += [v for row in strong_rows for v in (row["low"], row["high"]) if v is not None]
    axes, colours = _arm_axes(figure, rows, strong_values)
    for y, row in enumerate(reversed(rows)):
        _dots(axes, y, row, values.get(row["arm"], []), colours[row["arm"]])
    axes.set_xlabel(f"{metric_name(comparison)} after {count(comparison.epoch, 'epoch')}")


def has_differences(comparison: Comparison) -> bool:
    """Whether there are two arms whose difference can be drawn."""
    return len(comparison.compared_arms) > 1


def height_of(comparison: Comparison) -> float:
    """The height of `differences` and `final_accuracy` in inches."""
    row_height = max(0.27, 0.16 * label_lines(short_labels(comparison.arms["arm"]).values()))
    return 0.75 + row_height * comparison.arms.height


def _arm_axes(
    figure: "Figure | SubFigure", rows: Sequence[Row], values: Sequence[float]
) -> "tuple[Axes, dict[str, str]]":
    """Axes with a line for each arm, wide enough for these values; and the colours of the arms."""
    styles = line_styles([row["arm"] for row in rows])
    axes = figure.subplots(1, 1)
    height = figure.bbox.height / figure.dpi
    labels = short_labels(row["arm"] for row in rows)
    left = label_inches(labels.values()) / WIDTH
    figure.subplots_adjust(left=left, right=0.745, top=1 - 0.1 / height, bottom=0.55 / height)
    low, high = min(values), max(values)
    margin = 0.04 * (high - low) or 0.01
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), [labels[row["arm"]] for row in reversed(rows)])
    for tick, row in zip(axes.get_yticklabels(), reversed(rows), strict=True):
        tick.set_color(styles[row["arm"]].colour)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    axes.spines["left"].set_visible(False)
    accuracy_ticks(axes.xaxis)
    return axes, {arm: style.colour for arm, style in styles.items()}


_TEXT_STYLE: Final[dict[str, Any]] = {"va": "center", "fontsize": 8.5}


def _write_status(axes: "Axes", y: int, row: Row) -> None:
    """Writes why an arm has no mean, in the place of its mean."""
    box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5}
    place = axes.get_yaxis_transform()
    axes.text(0.01, y, verdict(row), color=MUTED, style="italic", bbox=box, transform=place, **_TEXT_STYLE)


def _write_beside(axes: "Axes", y: int, *texts: tuple[str, str]) -> None:
    """Writes two texts with their colours to the right of the axes."""
    for inches, (text, colour) in zip((0.12, 1.45), texts, strict=True):
        x = 1 + inches * axes.figure.dpi / axes.get_window_extent().width
        axes.text(x, y, text, color=colour, transform=axes.get_yaxis_transform(), **_TEXT_STYLE)


def _points_beyond(axes: "Axes", y: int, value: float, colour: str) -> bool:
    """Draws an arrow with the value if it is outside the axes; returns whether it is."""
    low, high = axes.get_xlim()
    if low <= value <= high:
        return False
    x, text, side = (0.01, f"◂ {share(value)}", "left") if value < low else (0.99, f"{share(value)} ▸", "right")
    axes.text(x, y, text, color=colour, ha=side, transform=axes.get_yaxis_transform(), **_TEXT_STYLE)
    return True


def _mark_cut(axes: "Axes", y: int, values: Sequence[float], colour: str) -> None:
    """Draws an arrow at each end of the axis beyond which a value is."""
    low, high = axes.get_xlim()
    if min(values, default=low) < low:
        axes.plot([low], [y], "<", color=colour, ms=5, clip_on=False, zorder=6)
    if max(values, default=high) > high:
        axes.plot([high], [y], ">", color=colour, ms=5, clip_on=False, zorder=6)


def _dots(axes: "Axes", y: int, row: Row, values: Sequence[float], colour: str) -> None:
    if not values:
        _write_status(axes, y, row)
        return
    _write_beside(axes, y, (with_spread(row["mean"], row["sd"], row["n"]), INK), (row["verdict"], MUTED))
    if _points_beyond(axes, y, row["mean"], colour):
        return
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, lw=5, alpha=0.28, solid_capstyle="butt")
    axes.plot(values, [y] * len(values), "o", color=colour, ms=4.5, mec=PAPER, mew=0.6, alpha=0.9)
    _mark_cut(axes, y, [*values, *(row[name] for name in ("low", "high") if row[name] is not None)], colour)
    axes.plot([row["mean"]], [y], "|", color=colour, ms=13, mew=2)


def picture(comparison: Comparison) -> bytes:
    """Differences to the leader, learning curves and tunings below each other, as a PNG 1,600 pixels wide."""
    parts: list[tuple[float, Draw]] = []
    if has_differences(comparison):
        parts.append((height_of(comparison), differences))
    if comparison.replicates.curves.height:
        parts.append((4.2, learning_curves))
    if learning_rates.tunings_with_axis(comparison):
        parts.append((learning_rates.height_of(comparison), learning_rates.rate_curves))
    heights = [height for height, _ in parts]

    def draw(figure: "Figure | SubFigure", comparison: Comparison) -> None:
        subfigures: Any = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)
        for subfigure, (_, draw_part) in zip(subfigures.flat, parts, strict=True):
            draw_part(subfigure, comparison)

    return Drawing(draw=draw, data=comparison, height=sum(heights)).png()
