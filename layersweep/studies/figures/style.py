"""The common style of figures: colours of arms, axes, labels that do not overlap, enlarged parts."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersweep.studies.statistics.replicates import default_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK: Final = "#23262b"
MUTED: Final = "#6f757d"
GRID: Final = "#e4e7eb"
PAPER: Final = "#fefefe"
DARK: Final[Mapping[str, str]] = {INK: "#e6e8eb", MUTED: "#9aa1aa", GRID: "#33383f", PAPER: "#16181c"}
"""The colours for a dark page."""

COLOURS: Final[Mapping[str, str]] = {
    "#0072b2": "#56b0e6",
    "#d55e00": "#f58b3c",
    "#009e73": "#35c795",
    "#b0467f": "#e58bbb",
    "#c08a00": "#efc04b",
    "#3f9bd6": "#9bd4f7",
    "#7a4a21": "#c9986a",
    "#4b4e9e": "#a3a5ee",
    "#7c8500": "#c3cb4d",
    "#4d4d4d": "#bdbdbd",
}
"""Colours of arms, each with the one for a dark page: those of Okabe and Ito, darkened to be readable on white."""

STYLE: Final[Mapping[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.7,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "text.parse_math": False,
}

_MAX_SOLID_LINES: Final = 5
_SMALLEST_TICK: Final = 0.0005
_PAIR: Final = 2
_SMALL_RANGE: Final = 0.03
_WIDE_GAP: Final = 2.0
_MAX_ENLARGED_PART: Final = 0.4


def style(**options: object) -> AbstractContextManager[None]:
    """A context with this module's style; outside it, matplotlib's settings are unchanged."""
    from matplotlib import rc_context

    settings: Any = {**STYLE, **options}
    return rc_context(settings)


@dataclass(frozen=True, kw_only=True)
class LineStyle:
    """The style of an arm, the same in all figures."""

    colour: str
    dashes: str
    has_label: bool = True


def line_styles(arms: Sequence[str]) -> dict[str, LineStyle]:
    """The style of each arm; `arms` are sorted, best first. Colours are in the order of names.

    If there are more arms than colours, the last arms are grey and without label. A tuned arm has the colour of its
    default arm, which is then dashed.
    """
    coloured_arms = sorted(list(dict.fromkeys(map(default_arm, arms)))[: len(COLOURS)])
    arms_with_tuning = {default_arm(arm) for arm in arms if default_arm(arm) != arm}
    colours = dict(zip(coloured_arms, COLOURS, strict=False))
    dashed_arms = arms_with_tuning or set(coloured_arms[_MAX_SOLID_LINES:])
    return {arm: _line_style(colours.get(default_arm(arm)), dashed=arm in dashed_arms) for arm in arms}


def _line_style(colour: str | None, *, dashed: bool) -> LineStyle:
    if colour is None:
        return LineStyle(colour=MUTED, dashes="-", has_label=False)
    return LineStyle(colour=colour, dashes="--" if dashed else "-")


def arms_above_gap(accuracies: Mapping[str, float]) -> set[str]:
    """The arms above the last wide gap, which a common axis would squeeze together; all arms if there is no gap.

    A gap is wide if it is more than twice the range of the arms above it.
    """
    group = sorted(accuracies, key=lambda arm: -accuracies[arm])
    while len(group) > _PAIR and accuracies[group[0]] - accuracies[group[-1]] > _SMALL_RANGE:
        values = [accuracies[arm] for arm in group]
        gaps = [i for i in range(2, len(group)) if values[i - 1] - values[i] > _WIDE_GAP * (values[0] - values[i - 1])]
        if not gaps:
            break
        group = group[: gaps[-1]]
    return set(group)


def window(values: Sequence[float], whole: tuple[float, float], *, below: float = 0.15) -> tuple[float, float] | None:
    """The part of an axis with these values and a margin; None if that is a large part of the whole axis."""
    low, high = min(values), max(values)
    span = max(high - low, 0.004)
    part = (low - below * span, high + 0.12 * span)
    return part if part[1] - part[0] < _MAX_ENLARGED_PART * (whole[1] - whole[0]) else None


def spread_apart(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Moves positions so that they are at least `distance` apart and, if possible, between low and high."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    distance = min(distance, (high - low) / max(len(positions) - 1, 1))
    blocks: list[tuple[float, list[int]]] = []  # (centre, members), merged until none overlap
    for i in order:
        centre, members = positions[i], [i]
        while True:
            half = distance * (len(members) - 1) / 2
            centre = min(max(centre, low + half), high - half)
            if not blocks or blocks[-1][0] + distance * (len(blocks[-1][1]) - 1) / 2 + distance <= centre - half:
                break
            _, before = blocks.pop()
            members = before + members
            centre = sum(positions[j] for j in members) / len(members)
        blocks.append((centre, members))
    result = [0.0] * len(positions)
    for centre, members in blocks:
        for rank, i in enumerate(members):
            result[i] = centre + distance * (rank - (len(members) - 1) / 2)
    return result


def legend_name(label: str) -> str:
    """The label as a legend shows it: matplotlib leaves out those that begin with an underscore."""
    return f" {label}" if label.startswith("_") else label


def label_inches(labels: Iterable[str]) -> float:
    """The width in inches that these labels need beside a figure."""
    return 0.55 + 0.072 * max((len(line) for label in labels for line in label.splitlines()), default=0)


def label_lines(labels: Iterable[str]) -> int:
    """The lines of the highest label."""
    return max((label.count("\n") + 1 for label in labels), default=1)


def accuracy_ticks(axis: "Axis") -> None:
    """Formats the ticks of an accuracy axis as `.90`, with as many decimals as needed."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(_tick))


def label_accuracy_axes(axes: "Axes", x_label: str, y_label: str = "validation accuracy") -> None:
    """Sets labels, ticks and grid of axes with a metric on the y axis."""
    accuracy_ticks(axes.yaxis)
    axes.grid(visible=True, color=GRID, lw=0.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)


def heat_map(axes: "Axes", rows: Sequence[str], columns: Sequence[str], *, rotation: float) -> None:
    """Sets the names of rows and columns of a heat map; removes ticks, grid and frame."""
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _tick(value: float, _: float | None) -> str:
    text = f"{abs(value):.3f}".removeprefix("0").removesuffix("0")
    return f"-{text}" if value < -_SMALLEST_TICK else text


def margin_labels(axes: "Axes", ends: Sequence[tuple[float, float, str, str]], *, size: float = 8.5) -> None:
    """Labels lines at the right of the axes; `ends` has (x, y, text, colour) of each line.

    The labels are moved apart; a thin line connects each with the end of its line.
    """
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    width = axes.get_window_extent().width / axes.figure.dpi * 72
    distance = 15 if len(ends) <= len(COLOURS) else 22  # many labels are moved further
    low, high = axes.get_ylim()
    line_height = 1.3 * size / height * label_lines(text for _, _, text, _ in ends)
    label_positions = spread_apart([(y - low) / (high - low) for _, y, _, _ in ends], line_height, 0.0, 1.0)
    for (x, y, text, colour), label_y in zip(ends, label_positions, strict=True):
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(1 + distance / width, label_y),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=size,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.6,
                "alpha": 0.6,
                "shrinkA": 1,
                "shrinkB": 2,
                "relpos": (0, 0.5),
            },
        )
