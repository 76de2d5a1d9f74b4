"""Candidates that were refused, or that diverged, were hopeless or failed, counted by reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from layersweep.formatting import first_line, shortened
from layersweep.studies.sections.section import Section, Table, make_section
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.studies.statistics.failure_reasons import without_numbers
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES
from layersweep.studies.statistics.searches import SearchCandidate, searches
from layersweep.studies.wording.number_formats import join_words

_ENDS: Final = ("refused", *EXCLUDED_OUTCOMES)
_COLUMNS: Final = ("end", "error", "n", "candidates", "reason of the first one")
_MAX_LENGTH: Final = 160
_CAPTION: Final = (
    "Refused candidates were refused by an estimate and not trained. A row contains all reasons that differ only in "
    "numbers. Candidates are numbered from 0."
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Candidates with the same end and a similar reason; `reason` is that of the first one."""

    end: str
    error_type: str
    reason: str
    candidates: tuple[SearchCandidate, ...]

    @property
    def names(self) -> str:
        """The searches and numbers of the candidates: `greedy 3 and 5, random 0`."""
        numbers_by_search: dict[str, list[str]] = {}
        for candidate in self.candidates:
            numbers_by_search.setdefault(candidate.search, []).append(str(candidate.number))
        return ", ".join(f"{name} {join_words(numbers)}" for name, numbers in numbers_by_search.items())


def refusals(candidates: Sequence[SearchCandidate]) -> list[Refusal]:
    """The groups of candidates with similar reasons: refused ones first, large groups first."""
    groups: dict[tuple[str, str, str], list[SearchCandidate]] = {}
    for candidate in candidates:
        if candidate.end in _ENDS:
            key = candidate.end, candidate.error_type, without_numbers(_line(candidate.reason))
            groups.setdefault(key, []).append(candidate)
    result = [
        Refusal(end=end, error_type=error_type, reason=_line(members[0].reason), candidates=tuple(members))
        for (end, error_type, _), members in groups.items()
    ]
    return sorted(result, key=lambda refusal: (_ENDS.index(refusal.end), -len(refusal.candidates)))


def section(comparison: Comparison, results: Path) -> Section:
    """The section about refusals and failures; a sentence if there are none."""
    all_searches = searches(comparison, results)
    if not all_searches:
        return Section()
    groups = refusals([candidate for search in all_searches for candidate in search.candidates])
    heading = "Refused or failed"
    if not groups:
        return make_section(heading, ["No candidate was refused, failed or diverged."])
    rows = [
        [refusal.end, refusal.error_type, str(len(refusal.candidates)), refusal.names, refusal.reason]
        for refusal in groups
    ]
    table = Table(columns=_COLUMNS, rows=rows, text_columns=len(_COLUMNS), title="refused or failed", caption=_CAPTION)
    return make_section(heading, [], tables=[table])


def _line(text: str) -> str:
    return shortened(first_line(text.strip()), _MAX_LENGTH) or "no reason recorded"
