"""What each candidate of a search reached against the size of its network, and the Pareto front of all candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import GRID, INK, MUTED, PAPER, Ink, accuracy_ticks, inks, label_inches, shortened
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.pareto import front
from layersweep.studies.statistics.replicates import BAD_ENDS
from layersweep.studies.statistics.searches import Tried, searches
from layersweep.studies.wording.words import share
from layersweep.words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_HEIGHT: Final = 4.2
_SHAPES: Final = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">")
_FIXED: Final = "*"
_TITLE: Final = "on the Pareto front of accuracy against parameters"
_HEAD: Final = ("search", "candidate", "parameters", "accuracy", "epochs", "end")
_CAPTION: Final = (
    "Each candidate's last validation accuracy (one seed) against its parameters: a shape and colour a search; hollow "
    "ones did not run to their end. The line is the Pareto front of all candidates. Stars are fixed networks, as means "
    "over their seeds, which are not part of the front."
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The candidates of no bad end whose size and accuracy are known, the front, and the compared fixed networks.

    Attributes:
        candidates: all of them, search by search.
        front: the smallest first.
        fixed: name, parameters and mean accuracy of arms that were not searched.
        inks: how each arm is drawn everywhere.
    """

    candidates: Sequence[Tried]
    front: Sequence[Tried]
    fixed: Sequence[tuple[str, int, float]]
    inks: Mapping[str, Ink]


def _place(candidate: Tried) -> tuple[int, float]:
    return candidate.parameters or 0, candidate.accuracy or 0.0


def sizes(found: Comparison, results: Path) -> Sizes:
    """What is known of the candidates' sizes."""
    seen = searches(found, results)
    sound = [c for course in seen for c in course.tried if c.end not in BAD_ENDS]
    known = [c for c in sound if c.parameters and c.accuracy is not None]
    searched = {course.name for course in seen}
    fixed = [
        (row["arm"], row["parameters"], row["mean"])
        for row in found.compared
        if row["arm"] not in searched and row["parameters"]
    ]
    return Sizes(candidates=known, front=front(known, _place), fixed=fixed, inks=inks(found.arms["arm"].to_list()))


def shown(found: Comparison, results: Path) -> Extra:
    """Accuracy against size as a part of a study; a sentence where no candidate has both."""
    if not (tried := [c for course in searches(found, results) for c in course.tried]):
        return Extra()
    seen = sizes(found, results)
    heading = "Accuracy against size"
    if not seen.candidates:
        return section(heading, ["No candidate's size and accuracy are recorded yet."])
    left = len(tried) - len(seen.candidates)
    said = f"{count(len(seen.front), 'candidate')} of {len(seen.candidates)} on the Pareto front." + (
        f" Not shown: {left} that came to a bad end, or have no epoch or no recorded size." if left else ""
    )
    rows = [_row(candidate) for candidate in seen.front]
    table = Table(head=_HEAD, rows=rows, title=_TITLE, caption="The Pareto front, the smallest network first.")
    drawing = Drawing(draw=draw, found=seen, height=_HEIGHT, title="Accuracy of each candidate by parameters")
    return section(heading, [said], tables=[table], figure=("sizes", drawing, _CAPTION))


def _row(candidate: Tried) -> list[str]:
    return [
        candidate.search,
        str(candidate.number),
        f"{candidate.parameters or 0:,}",
        share(candidate.accuracy),
        str(candidate.epochs),
        candidate.end,
    ]


def draw(figure: "Figure | SubFigure", seen: Sizes) -> None:
    """Every candidate, the front as a staircase, and the fixed networks by name."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    names = list(dict.fromkeys(candidate.search for candidate in seen.candidates))
    fixed = [name for name, _, _ in seen.fixed]
    axes = figure.subplots(1, 1)
    right = 1 - label_inches([*names, *fixed]) / WIDTH - 0.02
    figure.subplots_adjust(left=0.065, right=right, top=0.97, bottom=0.12)
    axes.set_xscale("log")
    steps = [_place(candidate) for candidate in seen.front]
    axes.plot(*zip(*steps, strict=True), color=INK, lw=1, alpha=0.6, drawstyle="steps-post", zorder=1, label="front")
    for name, shape in zip(names, _SHAPES * (1 + len(names) // len(_SHAPES)), strict=False):
        _dots(axes, [c for c in seen.candidates if c.search == name], seen.inks[name].colour, shape)
    for name, parameters, accuracy in seen.fixed:
        colour = seen.inks[name].colour
        axes.plot(
            [parameters], [accuracy], _FIXED, color=colour, ms=11, mec=PAPER, mew=0.6, zorder=5, label=shortened(name)
        )
    accuracy_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter())  # 300, 30 k, 3 M
    axes.grid(visible=True, axis="x", color=GRID, lw=0.6)
    axes.set_xlabel("parameters")
    axes.set_ylabel("last validation accuracy")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0), labelcolor=MUTED)


def _dots(axes: "Axes", mine: Sequence[Tried], colour: str, shape: str) -> None:
    axes.plot([], [], shape, color=colour, ms=6, label=shortened(mine[0].search))
    for candidate in mine:
        face = colour if candidate.end == "completed" else "none"
        axes.plot(*_place(candidate), shape, color=colour, mfc=face, ms=6, mew=1, alpha=0.9)
