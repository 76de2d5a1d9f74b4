"""The best that each search had found by then, against seconds of work and against epochs, beside fixed networks."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from layersweep.studies.figures.drawing import WIDTH, Drawing
from layersweep.studies.figures.style import Ink, accuracy_ticks, inks, label_inches, margin_labels, shortened, window
from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.searches import NOTHING, Course, courses
from layersweep.studies.wording.words import NONE, listed, share
from layersweep.words import count, duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MARKS: Final[Mapping[str, float]] = {"1/8": 1 / 8, "1/4": 1 / 4, "1/2": 1 / 2, "all": 1.0}
"""The parts of the longest search's time at which the searches are seen."""

_PANEL: Final = 3.5
_MINUTE, _HOUR = 60, 3600
_CAPTION: Final = (
    "The best validation accuracy so far: of a search (solid) over all of its candidates' epochs, of a fixed network "
    "(dashed) as mean over its seeds. A search's seconds are those in which at least one of its candidates ran, on as "
    "many slots as there were: time between two commands does not count, nor what a killed command had begun and not "
    "recorded. A dot marks where the best was reached."
)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """What the figure shows: the courses, and how each arm is drawn everywhere."""

    courses: Sequence[Course]
    inks: Mapping[str, Ink]


def shown(found: Comparison, results: Path) -> Extra:
    """The best so far as a part of a study; a sentence where no search is recorded or none has an epoch."""
    seen = courses(found, results)
    searches = [course for course in seen if course.tried]
    spent = Table(head=_HEAD, rows=[_row(course) for course in seen], left=2, title=_SPENT, caption=_SPENT)
    if not searches:
        return section("The search", [NOTHING])
    if not any(course.steps for course in searches):
        return section("The search", ["No candidate has finished an epoch yet."], tables=[spent])
    answer, notes = said_of(searches, [row["arm"] for row in found.compared]), _notes(searches)
    head, rows = by_time_of(seen)
    by_time = Table(head=head, rows=rows, title="best validation accuracy by time", caption=_BY_TIME)
    drawn = Drawn(courses=[course for course in seen if course.steps], inks=inks(found.arms["arm"].to_list()))
    title = "The best so far of each search, by seconds and by epochs"
    return section(
        "The best so far of each search",
        [answer, *notes],
        tables=[replace(spent, caption=_MEANS), by_time],
        figure=("search", Drawing(draw=draw, found=drawn, height=2 * _PANEL, title=title), _CAPTION),
        answer=answer,
    )


_SPENT: Final = "what each search tried and spent"
_MEANS: Final = "What each search tried and spent; of a fixed network, means over its seeds."
_HEAD: Final = ("search", "candidates", "epochs", "seconds", "best", "after seconds", "after epochs")
_BY_TIME: Final = (
    "The best validation accuracy after parts of the longest search's time. * It had ended by then, and was given no "
    "more."
)


def _row(course: Course) -> list[str]:
    best = course.best
    tried = course.outcomes if course.tried else f"fixed network, {count(course.seeds, 'seed')}"
    reached = [share(best.best), _number(best.seconds), _number(best.epochs)] if best else [NONE] * 3
    return [course.name, tried, _number(course.epochs), _number(course.seconds), *reached]


def _number(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else NONE


def by_time_of(seen: Sequence[Course]) -> tuple[list[str], list[list[str]]]:
    """The best after parts of the longest search's time: a heading, and a row a course."""
    longest = max(course.seconds for course in seen if course.tried)
    head = [f"{duration(longest * part)} ({name})" for name, part in MARKS.items()]
    rows = [[course.name, *(_by(course, longest * part) for part in MARKS.values())] for course in seen]
    return ["search", *head], rows


def _by(course: Course, seconds: float) -> str:
    return share(course.after(seconds)) + "*" * (course.seconds < seconds)


def said_of(searches: Sequence[Course], compared: Collection[str]) -> str:
    """Where the searches stood when the shortest of them ended; `compared` are the arms that ran on fresh seeds."""
    begun = [course for course in searches if course.steps]
    same = min(course.seconds for course in begun)
    values = sorted(((course.after(same) or 0.0, course.name) for course in begun), key=lambda pair: -pair[0])
    best = listed([f"{name} {share(value)}" for value, name in values])
    if len(begun) == 1:
        return f"Best validation accuracy of any candidate after {duration(same)} of search: {best}."
    there = [course.name for course in begun if course.name in compared]
    how = (
        "what tells them apart are the networks that they chose, compared on fresh seeds"
        if len(there) > 1
        else "no test tells them apart as long as the networks that they chose are not compared on fresh seeds"
    )
    return (
        f"Best validation accuracy of any candidate after {duration(same)}, which all searches had: {best}. Each "
        f"searched once: {how}."
    )


def _notes(searches: Sequence[Course]) -> list[str]:
    said = []
    if running := [f"{course.name} ({course.running})" for course in searches if course.running]:
        said.append(f"Candidates that have not ended, so that figures may rise: {listed(running)}.")
    if silent := [course.name for course in searches if not course.steps]:
        said.append(f"No candidate has finished an epoch yet: {listed(silent)}.")
    return said


def draw(figure: "Figure | SubFigure", drawn: Drawn) -> None:
    """Two panels below each other: against seconds, and against epochs."""
    longest = max(course.seconds for course in drawn.courses)
    units = (10 * _MINUTE, 1, "seconds"), (4 * _HOUR, _MINUTE, "minutes"), (math.inf, _HOUR, "hours")
    unit, name = next((unit, name) for most, unit, name in units if longest <= most)
    limits, note = _limits(drawn.courses)
    names = [_label(course) for course in drawn.courses]
    right = 1 - label_inches(names) / WIDTH
    top, bottom = figure.subplots(2, 1)
    figure.subplots_adjust(left=0.065, right=right, top=0.955 if note else 0.985, bottom=0.07, hspace=0.28)
    _panel(top, drawn, [[step.seconds / unit for step in c.steps] + [c.seconds / unit] for c in drawn.courses], limits)
    top.set_xlabel(f"{name} of work")
    top.set_title(note)
    _panel(bottom, drawn, [[step.epochs for step in c.steps] + [c.epochs] for c in drawn.courses], limits)
    bottom.set_xlabel("epochs trained")


def _limits(seen: Sequence[Course]) -> tuple[tuple[float, float], str]:
    """The range of accuracies, and what is to be said of it.

    It is that of all values; where the first ones would squeeze the rest together, that of what the searches had after
    an eighth of their epochs, and of all ends.
    """
    every = [step.best for course in seen for step in course.steps]
    low, high = min(every), max(every)
    whole = low - 0.05 * (high - low) - 1e-3, high + 0.08 * (high - low) + 1e-3
    late = [course.steps[len(course.steps) // 8].best for course in seen if course.tried]
    part = window([*late, *(course.steps[-1].best for course in seen)], whole, below=0.2)
    return (part, f"Enlarged: the lines rise from below {share(part[0])[:3]}") if part else (whole, "")


def _label(course: Course) -> str:
    return f"{shortened(course.name)} {share(course.steps[-1].best)}"


def _panel(axes: "Axes", drawn: Drawn, xs: Sequence[Sequence[float]], limits: tuple[float, float]) -> None:
    axes.set_ylim(*limits)
    reach = max((x for row in xs for x in row if math.isfinite(x)), default=1.0)
    axes.set_xlim(-0.01 * reach, 1.01 * reach + 1e-9)
    ends = []
    for course, places in zip(drawn.courses, xs, strict=True):
        ink, values = drawn.inks[course.name], [step.best for step in course.steps]
        dashes, width = "-" if course.tried else "--", 1.7 if ink.named else 0.7
        axes.plot(places, [*values, values[-1]], drawstyle="steps-post", color=ink.colour, ls=dashes, lw=width)
        first = values.index(values[-1])
        axes.plot([places[first]], [values[-1]], "o", color=ink.colour, ms=5)
        if ink.named:
            ends.append((places[-1], max(values[-1], limits[0]), _label(course), ink.colour))
    accuracy_ticks(axes.yaxis)
    axes.set_ylabel("best validation accuracy so far")
    margin_labels(axes, ends)
