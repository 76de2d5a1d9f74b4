"""What does a higher resolution buy, and what does it cost? Reads the sweep `resolution`.

    layersweep study resolution [--results results] [--sweep resolution] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `resolution.html`, `.png` and
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


study = Study(name="resolution", question="What does a higher resolution buy, and what does it cost?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
