"""Which architecture does best at an equal budget, and at what cost? Reads the sweep `architectures`.

    layersweep study architectures [--results results] [--sweep architectures] [--out results/studies]

Prints one row an arm at equal epochs, then what each costs (parameters, FLOPs, latency, seconds an epoch) and which are
on the Pareto front of accuracy against FLOPs; writes `architectures.html`, `.png` and `_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import costs

    return [costs.shown]


study = Study(
    name="architectures", question="Which architecture does best at an equal budget, and at what cost?", more=_more
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
