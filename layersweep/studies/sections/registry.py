"""The sections that a study can show after the comparison of its arms, by the names that sweeps use for them."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

from layersweep.records.errors import ResultsError

if TYPE_CHECKING:
    from layersweep.studies.sections.section import Section
    from layersweep.studies.statistics.arm_comparison import Comparison

EFFECTS: Final = "effects"

SECTIONS: Final[Mapping[str, str]] = {
    EFFECTS: "key_effects",
    "behaviour": "behaviour",
    "amounts": "numeric_key",
    "best_so_far": "best_so_far",
    "sizes": "candidate_sizes",
    "networks": "networks",
    "refusals": "refusals",
    "costs": "costs",
    "first_phases": "first_phases",
    "by_class": "by_class",
    "exports": "exports",
}
"""The module of each section. Its function `section` makes the section from the comparison and the results folder. A
module is imported only when its section is shown."""

ALWAYS: Final = ("exports",)
"""The sections that every study shows if they are not empty."""


def prepare(names: Iterable[str]) -> None:
    """Imports the modules of these sections."""
    for name in (*names, *ALWAYS):
        _module(name)


def section(name: str, comparison: "Comparison", results: Path, reported: Mapping[str, float]) -> "Section":
    """A section of a study; `reported` are arms that others reported as best, with the accuracies that they reported.

    Raises:
        ResultsError: for an unknown name, which another version of this project may have recorded.
    """
    if name not in SECTIONS:
        raise ResultsError(f"the records name an unknown section {name!r}; valid: {', '.join(SECTIONS)}")
    options = {"reported": reported} if name == EFFECTS else {}
    return cast("Section", _module(name).section(comparison, results, **options))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{SECTIONS[name]}")
