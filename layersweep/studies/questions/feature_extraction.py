"""Which head on a frozen network learns classes that the network has never seen? Reads the sweep `feature_extraction`.

    layersweep study feature_extraction [--results results] [--sweep feature_extraction] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes
`feature_extraction.html`, `.png` and `_costs.png`.
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
    name="feature_extraction",
    question="Which head on a frozen network learns classes that the network has never seen?",
    more=_more,
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
