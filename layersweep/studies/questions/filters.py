"""How many filters does each convolution want? Reads the sweep `filters`.

    layersweep study filters [--results results] [--sweep filters] [--out results/studies]

Prints one row an arm, then what each layer's choice adds with its interval, which layers act together, where units die
and gradients fade, and what more filters cost; writes `filters.html`, `.png`, `_effects.png`, `_inside.png` and
`_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More

KEYS: Final = ("filters_1", "filters_2", "filters_3", "filters_4")
REPORTED: Final = {"32-64-64-64": 0.9338}
"""What was called best, on one seed."""


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import behaviour, costs, key_effects

    return [key_effects.shown(KEYS, REPORTED), behaviour.shown, costs.shown]


study = Study(name="filters", question="How many filters does each convolution want?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
