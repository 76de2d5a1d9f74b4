"""Which activation does each convolution want? Reads the sweep `activations`.

    layersweep study activations [--results results] [--sweep activations] [--out results/studies]

Prints one row an arm, then what each layer's choice adds with its interval, which layers act together, where units die
and gradients fade; writes `activations.html`, `.png`, `_effects.png` and `_inside.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More

KEYS: Final = ("activation_1", "activation_2", "activation_3", "activation_4")
REPORTED: Final = {"selu-relu-relu-relu": 0.9337}
"""What was called best, on one seed."""


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import behaviour, key_effects

    return [key_effects.shown(KEYS, REPORTED), behaviour.shown]


study = Study(name="activations", question="Which activation does each convolution want?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
