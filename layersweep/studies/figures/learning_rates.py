"""The learning-rate curve of each optimizer: what every candidate of a tuning reached, one small panel a tuned arm."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layersweep.studies.figures.style import INK, MUTED, PAPER, accuracy_ticks, inks, shortened
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import BAD_ENDS, untuned
from layersweep.studies.statistics.tuning_candidates import Candidate, Tuning, numeric
from layersweep.studies.wording.words import setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

CAPTION: Final = (
    "Last validation accuracy of each candidate of a tuning (one seed each) against its value. Filled: the chosen one; "
    "pale: completed; hollow: stopped by the scheduler or unfinished, so after fewer epochs; crosses at the bottom: "
    "diverged, hopeless or failed. The vertical line is the default's value, with the mean ± standard deviation of the "
    "default over its own seeds."
)
_COLUMNS: Final = 4
_ROW: Final = 1.95
_HEAD: Final = 0.55
_DECADE: Final = 10.0


def drawn(found: Comparison) -> list[Tuning]:
    """The tunings that have a numeric key to be drawn against."""
    return [tuning for tuning in found.tunings if tuning.axis is not None]


def height_of(found: Comparison) -> float:
    """Inches that `rate_curves` needs for its panels."""
    return _HEAD + _ROW * math.ceil(len(drawn(found)) / _COLUMNS)


def rate_curves(figure: "Figure | SubFigure", found: Comparison) -> None:
    """Small multiples on one scale of accuracy."""
    tuned = drawn(found)
    ink = inks(found.arms["arm"].to_list())
    rows = {row["arm"]: row for row in found.arms.to_dicts()}
    low, high = _limits(tuned, [rows[untuned(t.arm)] for t in tuned if untuned(t.arm) in rows])
    lines = math.ceil(len(tuned) / _COLUMNS)
    height = figure.bbox.height / figure.dpi
    panels = figure.subplots(lines, _COLUMNS, squeeze=False, sharey=True)
    figure.subplots_adjust(
        left=0.065, right=0.985, top=1 - _HEAD / height, bottom=0.48 / height, hspace=0.62, wspace=0.12
    )
    figure.text(
        0.065, 1 - 0.12 / height,
        "Tuning: ● chosen, pale completed, ○ stopped or unfinished, \N{MULTIPLICATION SIGN} no result; "
        "┆ the default, mean ± sd",
        va="center", fontsize=9.5,
    )  # fmt: skip
    for axes in panels.flat[len(tuned) :]:
        axes.set_visible(False)
    for axes, tuning in zip(panels.flat, tuned, strict=False):
        axes.set_ylim(low, high)
        _panel(axes, tuning, ink[tuning.arm].colour, rows.get(untuned(tuning.arm), {}))
    for axes in panels[:, 0]:
        accuracy_ticks(axes.yaxis)


def _limits(tuned: Sequence[Tuning], defaults: Sequence[dict[str, float | None]]) -> tuple[float, float]:
    """All of the values, with room for the crosses below."""
    values = [c.accuracy for t in tuned for c in t.candidates if c.accuracy is not None and c.outcome not in BAD_ENDS]
    for row in defaults:
        if (mean := row["mean"]) is not None:
            values += [mean - (row["sd"] or 0.0), mean + (row["sd"] or 0.0)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = max(high - low, 0.004)
    return low - 0.2 * span, high + 0.08 * span


def _panel(axes: "Axes", tuning: Tuning, colour: str, default: dict[str, float | None]) -> None:
    key = tuning.axis or ""
    at = tuning.default.get(key)
    values = [float(c.config[key]) for c in tuning.candidates] + ([float(at)] if numeric(at) else [])
    _scale(axes, values)
    if numeric(at):
        axes.axvline(at, color=MUTED, lw=0.9, ls=":", zorder=1)
        if (mean := default.get("mean")) is not None:
            axes.errorbar([at], [mean], [default["sd"] or 0.0], color=INK, fmt="_", ms=7, lw=1.1, zorder=3)
    for candidate in sorted(tuning.candidates, key=lambda c: c.chosen):
        _mark(axes, float(candidate.config[key]), candidate, colour)
    axes.set_title(shortened(tuning.arm), color=colour, fontsize=9)
    axes.set_xlabel(key.replace("_", " "), fontsize=8.5, labelpad=1)


def _mark(axes: "Axes", x: float, candidate: Candidate, colour: str) -> None:
    if candidate.outcome in BAD_ENDS:
        axes.plot([x], [0.05], "x", color=colour, ms=5, mew=1.2, transform=axes.get_xaxis_transform())
    elif candidate.accuracy is not None and candidate.chosen:
        axes.plot([x], [candidate.accuracy], "o", color=colour, ms=7, mec=PAPER, mew=0.8, zorder=5)
    elif candidate.accuracy is not None:
        face = colour if candidate.outcome == "completed" else "none"
        alpha = 0.45 if candidate.outcome == "completed" else 0.9
        axes.plot([x], [candidate.accuracy], "o", color=colour, mfc=face, ms=4.5, mew=0.9, alpha=alpha, zorder=4)


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """A logarithmic axis where the values span more than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    if low > 0 and high / low > _DECADE:
        axes.set_xscale("log")
        air = (high / low) ** 0.06
        axes.set_xlim(low / air, high * air)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > _DECADE**2 else (1.0, 3.0), numticks=5))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        air = 0.06 * (high - low)
        axes.set_xlim(low - air, high + air)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: setting(value)))
