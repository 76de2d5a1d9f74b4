"""What the figures share: colours of arms, axes, labels that do not collide, and when to enlarge a part."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from layersweep.studies.statistics.replicates import untuned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK: Final = "#23262b"
MUTED: Final = "#6f757d"
GRID: Final = "#e4e7eb"
PAPER: Final = "#fefefe"
DARK: Final[Mapping[str, str]] = {INK: "#e6e8eb", MUTED: "#9aa1aa", GRID: "#33383f", PAPER: "#16181c"}
"""What each of the four becomes on a dark page."""

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
"""Colours after Okabe and Ito, darkened to be read as text on white, each with its twin for a dark page."""

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

_SOLID: Final = 5
_LONGEST: Final = 30
_PAIR: Final = 2
_FINE: Final = 0.03
_GAP: Final = 2.0
_ZOOM: Final = 0.4


def style(**more: object) -> AbstractContextManager[None]:
    """Draws and saves figures in this module's style, and leaves matplotlib's settings as they were."""
    from matplotlib import rc_context

    settings: Any = {**STYLE, **more}
    return rc_context(settings)


@dataclass(frozen=True, kw_only=True)
class Ink:
    """How an arm is drawn, the same in every figure."""

    colour: str
    dashes: str
    named: bool = True


def inks(ranked: Sequence[str]) -> dict[str, Ink]:
    """A colour for each arm, by its name's order; of more arms than colours the last ranked are grey and unnamed.

    A tuned arm has the colour of its default, which then is dashed.
    """
    named = sorted(list(dict.fromkeys(map(untuned, ranked)))[: len(COLOURS)])
    tuned = {untuned(arm) for arm in ranked if untuned(arm) != arm}
    inks_of = dict(zip(named, COLOURS, strict=False))
    late = set() if tuned else set(named[_SOLID:])
    return {arm: _ink(inks_of.get(untuned(arm)), dashed=arm in tuned or arm in late) for arm in ranked}


def _ink(colour: str | None, *, dashed: bool) -> Ink:
    if colour is None:
        return Ink(colour=MUTED, dashes="-", named=False)
    return Ink(colour=colour, dashes="--" if dashed else "-")


def leaders(finals: Mapping[str, float]) -> set[str]:
    """The arms that a common axis would squeeze together: those above the last wide gap; all where there is none.

    A gap is wide when it exceeds twice the span of the arms above it.
    """
    group = sorted(finals, key=lambda arm: -finals[arm])
    while len(group) > _PAIR and finals[group[0]] - finals[group[-1]] > _FINE:
        values = [finals[arm] for arm in group]
        wide = [i for i in range(2, len(group)) if values[i - 1] - values[i] > _GAP * (values[0] - values[i - 1])]
        if not wide:
            break
        group = group[: wide[-1]]
    return set(group)


def window(values: Sequence[float], whole: tuple[float, float], *, below: float = 0.15) -> tuple[float, float] | None:
    """The part of an axis that shows the values with air around; None if that is much of the whole anyway."""
    low, high = min(values), max(values)
    span = max(high - low, 0.004)
    part = (low - below * span, high + 0.12 * span)
    return part if part[1] - part[0] < _ZOOM * (whole[1] - whole[0]) else None


def apart(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, at least `distance` from each other and, where they fit, between low and high."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    distance = min(distance, (high - low) / max(len(wanted) - 1, 1))
    blocks: list[tuple[float, list[int]]] = []  # (centre, members), merged until none overlap
    for i in order:
        centre, members = wanted[i], [i]
        while True:
            half = distance * (len(members) - 1) / 2
            centre = min(max(centre, low + half), high - half)
            if not blocks or blocks[-1][0] + distance * (len(blocks[-1][1]) - 1) / 2 + distance <= centre - half:
                break
            _, before = blocks.pop()
            members = before + members
            centre = sum(wanted[j] for j in members) / len(members)
        blocks.append((centre, members))
    placed = [0.0] * len(wanted)
    for centre, members in blocks:
        for rank, i in enumerate(members):
            placed[i] = centre + distance * (rank - (len(members) - 1) / 2)
    return placed


def shortened(name: str) -> str:
    """A name that fits beside a figure: a long one loses its middle."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 13]}\N{HORIZONTAL ELLIPSIS}{name[-12:]}"


def label_inches(names: Sequence[str]) -> float:
    """The room that these names need beside a figure."""
    return 0.55 + 0.072 * max(map(len, map(shortened, names)), default=0)


def accuracy_ticks(axis: "Axis") -> None:
    """Ticks of an accuracy axis as `.90`, with as many decimals as they need."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(_tick))


def accuracy_against(axes: "Axes", label: str) -> None:
    """Labels, ticks and grid of axes that show a validation accuracy against something."""
    accuracy_ticks(axes.yaxis)
    axes.grid(visible=True, color=GRID, lw=0.6)
    axes.set_xlabel(label)
    axes.set_ylabel("validation accuracy")


def heat_map(axes: "Axes", rows: Sequence[str], columns: Sequence[str], *, rotation: float) -> None:
    """Names of rows and columns around cells, without ticks, grid or frame."""
    axes.set_xticks(range(len(columns)), columns, rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _tick(value: float, _: float | None) -> str:
    text = f"{value:.3f}".removeprefix("0")
    return text.removesuffix("0")


def margin_labels(axes: "Axes", ends: Sequence[tuple[float, float, str, str]], *, size: float = 8.5) -> None:
    """Names lines at the right of the axes: (x, y, text, colour) of each end, moved apart, tied to it by a hairline."""
    height = axes.get_window_extent().height / axes.figure.dpi * 72
    width = axes.get_window_extent().width / axes.figure.dpi * 72
    reach = 15 if len(ends) <= len(COLOURS) else 22  # the more labels, the further they are moved
    low, high = axes.get_ylim()
    places = apart([(y - low) / (high - low) for _, y, _, _ in ends], 1.3 * size / height, 0.0, 1.0)
    for (x, y, text, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            text,
            xy=(x, y),
            xytext=(1 + reach / width, place),
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
