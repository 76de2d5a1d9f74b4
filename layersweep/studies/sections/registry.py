"""The sections that a study may show besides the comparison of its arms, by the names that sweeps ask for them."""

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

from layersweep.records.errors import ResultsError

if TYPE_CHECKING:
    from layersweep.studies.sections.section import Extra
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
"""Each section's module beside this one, whose `shown` makes it of the comparison and the results folder; imported when
it is shown."""

ALWAYS: Final = ("exports",)
"""Shown wherever a sweep has recorded any."""


def prepare(names: Iterable[str]) -> None:
    """Imports what these sections need."""
    for name in (*names, *ALWAYS):
        _module(name)


def shown(name: str, found: "Comparison", results: Path, reported: Mapping[str, float]) -> "Extra":
    """A section of a study; `reported` are arms that were called best elsewhere, with their accuracies there.

    Raises:
        ResultsError: for a name that is none: another version of this project may have recorded it.
    """
    if name not in SECTIONS:
        raise ResultsError(f"the section {name!r} is recorded, and not known here; valid: {', '.join(SECTIONS)}")
    more = {"reported": reported} if name == EFFECTS else {}
    return cast("Extra", _module(name).shown(found, results, **more))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{SECTIONS[name]}")
