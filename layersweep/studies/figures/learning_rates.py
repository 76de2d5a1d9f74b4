"""The metric of each candidate of a tuning against each numeric key that it tunes, a panel for each arm and key."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layersweep.studies.figures.style import INK, MUTED, PAPER, accuracy_ticks, line_styles
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES, default_arm
from layersweep.studies.statistics.short_names import wrapped
from layersweep.studies.statistics.tuning_candidates import Candidate, Tuning, is_numeric
from layersweep.studies.wording.number_formats import setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

CAPTION: Final = (
    "The last {metric} of each candidate of a tuning (one seed each) against its value. Filled dot: the "
    "selected candidate. Pale dots: completed. Hollow dots: stopped by the scheduler or unfinished, so after fewer "
    "epochs. Crosses at the bottom: diverged, hopeless or failed. The vertical line is the default value, with the "
    "mean ± standard deviation of the default arm over its own seeds."
)
_COLUMNS: Final = 4
_ROW_HEIGHT: Final = 1.95
_TITLE_HEIGHT: Final = 0.55
_DECADE: Final = 10.0


def tunings_with_axis(comparison: Comparison) -> list[Tuning]:
    """The tunings with a numeric key for an axis."""
    return [tuning for tuning in comparison.tunings if tuning.axes]


def _panels(comparison: Comparison) -> list[tuple[Tuning, str]]:
    """The tuning and the key of each panel."""
    return [(tuning, key) for tuning in comparison.tunings for key in tuning.axes]


def height_of(comparison: Comparison) -> float:
    """The height of `rate_curves` in inches."""
    return _TITLE_HEIGHT + _ROW_HEIGHT * math.ceil(len(_panels(comparison)) / _COLUMNS)


def rate_curves(figure: "Figure | SubFigure", comparison: Comparison) -> None:
    """Draws a panel for each key of each tuned arm, all with the same axis of the metric."""
    tunings, contents = tunings_with_axis(comparison), _panels(comparison)
    styles = line_styles(comparison.arms["arm"].to_list())
    rows = {row["arm"]: row for row in comparison.arms.to_dicts()}
    possible = comparison.criteria.limits
    defaults = {name: _spread(row["mean"], row["sd"], possible) for name, row in rows.items()}
    low, high = _limits(tunings, [defaults[default_arm(t.arm)] for t in tunings if default_arm(t.arm) in rows])
    panel_rows = math.ceil(len(contents) / _COLUMNS)
    height = figure.bbox.height / figure.dpi
    panels = figure.subplots(panel_rows, _COLUMNS, squeeze=False, sharey=True)
    figure.subplots_adjust(
        left=0.065, right=0.985, top=1 - _TITLE_HEIGHT / height, bottom=0.48 / height, hspace=0.62, wspace=0.12
    )
    figure.text(
        0.065, 1 - 0.12 / height,
        "Tuning: ● selected, pale: completed, ○ stopped or unfinished, \N{MULTIPLICATION SIGN} no result; "
        "┆ default, mean ± sd",
        va="center", fontsize=9.5,
    )  # fmt: skip
    for axes in panels.flat[len(contents) :]:
        axes.set_visible(False)
    for axes, (tuning, key) in zip(panels.flat, contents, strict=False):
        axes.set_ylim(low, high)
        _panel(axes, tuning, key, colour=styles[tuning.arm].colour, default=defaults.get(default_arm(tuning.arm), ()))
    for axes in panels[:, 0]:
        accuracy_ticks(axes.yaxis)


def _spread(mean: float | None, sd: float | None, possible: tuple[float, float]) -> tuple[float, ...]:
    """The mean between mean - standard deviation and mean + standard deviation, as far as possible; () without it."""
    if mean is None:
        return ()
    low, high = possible
    return max(low, mean - (sd or 0.0)), mean, min(high, mean + (sd or 0.0))


def _limits(tunings: Sequence[Tuning], defaults: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The limits of the accuracy axis, with space for the crosses at the bottom."""
    values = [
        c.accuracy
        for t in tunings
        for c in t.candidates
        if c.accuracy is not None and c.outcome not in EXCLUDED_OUTCOMES
    ]
    values += [value for default in defaults for value in default]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = max(high - low, 0.004)
    return low - 0.2 * span, high + 0.08 * span


def _panel(axes: "Axes", tuning: Tuning, key: str, *, colour: str, default: Sequence[float]) -> None:
    default_value = tuning.default_values.get(key)
    values = [float(c.config[key]) for c in tuning.candidates] + (
        [float(default_value)] if is_numeric(default_value) else []
    )
    _scale(axes, values)
    if is_numeric(default_value):
        axes.axvline(default_value, color=MUTED, lw=0.9, ls=":", zorder=1)
        if default:
            below, mean, above = default
            ends = [[mean - below], [above - mean]]
            axes.errorbar([default_value], [mean], ends, color=INK, fmt="_", ms=7, lw=1.1, zorder=3)
    for candidate in sorted(tuning.candidates, key=lambda c: c.is_selected):
        _mark(axes, float(candidate.config[key]), candidate, colour)
    axes.set_title(wrapped(tuning.arm), color=colour, fontsize=9)
    axes.set_xlabel(key.replace("_", " "), fontsize=8.5, labelpad=1)


def _mark(axes: "Axes", x: float, candidate: Candidate, colour: str) -> None:
    if candidate.outcome in EXCLUDED_OUTCOMES:
        axes.plot([x], [0.05], "x", color=colour, ms=5, mew=1.2, transform=axes.get_xaxis_transform())
    elif candidate.accuracy is not None and candidate.is_selected:
        axes.plot([x], [candidate.accuracy], "o", color=colour, ms=7, mec=PAPER, mew=0.8, zorder=5)
    elif candidate.accuracy is not None:
        face = colour if candidate.outcome == "completed" else "none"
        alpha = 0.45 if candidate.outcome == "completed" else 0.9
        axes.plot([x], [candidate.accuracy], "o", color=colour, mfc=face, ms=4.5, mew=0.9, alpha=alpha, zorder=4)


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """Sets up the axis: logarithmic if the values span more than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(values), max(values)
    if low > 0 and high / low > _DECADE:
        axes.set_xscale("log")
        margin = (high / low) ** 0.06
        axes.set_xlim(low / margin, high * margin)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > _DECADE**2 else (1.0, 3.0), numticks=5))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.06 * (high - low)
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: setting(value)))
