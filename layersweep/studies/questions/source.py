"""How well does the network that others are made from know its own classes? Reads the sweep `source`.

    layersweep study source [--results results] [--sweep source] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `source.html`, `.png` and
`_costs.png`.
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
    name="source", question="How well does the network that others are made from know its own classes?", more=_more
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
