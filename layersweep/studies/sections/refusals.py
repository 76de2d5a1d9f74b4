"""Candidates that were refused before any training, or came to a bad end, counted by reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layersweep.studies.sections.section import Extra, Table, section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.bad_ends import alike
from layersweep.studies.statistics.replicates import BAD_ENDS
from layersweep.studies.statistics.searches import Tried, searches
from layersweep.studies.wording.words import listed
from layersweep.words import first_line

_BAD: Final = ("refused", *BAD_ENDS)
_HEAD: Final = ("end", "error", "n", "candidates", "reason of the first")
_LONGEST: Final = 160
_CAPTION: Final = (
    "Refused: by an estimate, before any training. Reasons that differ in their numbers alone are one row; candidates "
    "are counted from 0."
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Candidates of one bad end: what ended them, in the words of the first, and which they are."""

    end: str
    problem: str
    reason: str
    candidates: tuple[Tried, ...]

    @property
    def who(self) -> str:
        """`greedy 3 and 5, random 0`."""
        mine: dict[str, list[str]] = {}
        for candidate in self.candidates:
            mine.setdefault(candidate.search, []).append(str(candidate.number))
        return ", ".join(f"{name} {listed(numbers)}" for name, numbers in mine.items())


def refusals(candidates: Sequence[Tried]) -> list[Refusal]:
    """The bad ends, refusals first, the most frequent first; reasons that differ in numbers alone count as one."""
    groups: dict[tuple[str, str, str], list[Tried]] = {}
    for candidate in candidates:
        if candidate.end in _BAD:
            kind = candidate.end, candidate.problem, alike(_line(candidate.reason))
            groups.setdefault(kind, []).append(candidate)
    made = [
        Refusal(end=end, problem=problem, reason=_line(mine[0].reason), candidates=tuple(mine))
        for (end, problem, _), mine in groups.items()
    ]
    return sorted(made, key=lambda refusal: (_BAD.index(refusal.end), -len(refusal.candidates)))


def shown(found: Comparison, results: Path) -> Extra:
    """The refusals as a part of a study; a sentence where there are none."""
    if not (seen := searches(found, results)):
        return Extra()
    made = refusals([candidate for course in seen for candidate in course.tried])
    heading = "Refused or failed"
    if not made:
        return section(heading, ["No candidate was refused, failed or diverged."])
    rows = [[one.end, one.problem, str(len(one.candidates)), one.who, one.reason] for one in made]
    table = Table(head=_HEAD, rows=rows, left=len(_HEAD), title="refused or failed", caption=_CAPTION)
    return section(heading, [], tables=[table])


def _line(text: str) -> str:
    return first_line(text.strip())[:_LONGEST] or "no reason recorded"
