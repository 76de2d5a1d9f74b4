"""How deep should the seven-convolution CNN be, and how much dropout does it want? Reads the sweep `depth`.

    layersweep study depth [--results results] [--sweep depth] [--out results/studies]

Prints one row an arm, what depth and dropout add with their intervals, and what each arm costs; writes `depth.html`,
`.png`, `_effects.png` and `_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More

KEYS: Final = ("convolutions", "dropout")


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import costs, key_effects

    return [key_effects.shown(KEYS), costs.shown]


study = Study(
    name="depth",
    question="How deep should the seven-convolution CNN be, and how much dropout does it want?",
    more=_more,
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
