"""How many of the last layers are worth training again? Reads the sweep `fine_tuning`.

    layersweep study fine_tuning [--results results] [--sweep fine_tuning] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `fine_tuning.html`, `.png` and
`_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import costs, first_phases

    return [costs.shown, first_phases.shown]


study = Study(name="fine_tuning", question="How many of the last layers are worth training again?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
