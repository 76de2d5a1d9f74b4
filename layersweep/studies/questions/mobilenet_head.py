"""Which batch size and dropout does a large head on MobileNetV2 want? Reads the sweep `mobilenet_head`.

    layersweep study mobilenet_head [--results results] [--sweep mobilenet_head] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `mobilenet_head.html`, `.png` and
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
    name="mobilenet_head", question="Which batch size and dropout does a large head on MobileNetV2 want?", more=_more
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
