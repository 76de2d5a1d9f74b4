"""How good does MobileNetV2 get without ImageNet? Reads the sweep `mobilenet_scratch`.

    layersweep study mobilenet_scratch [--results results] [--sweep mobilenet_scratch] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch, and the chosen arm class by class; writes
`mobilenet_scratch.html`, `.png`, `_costs.png` and `_classes.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import by_class, costs

    return [costs.shown, by_class.shown]


study = Study(name="mobilenet_scratch", question="How good does MobileNetV2 get without ImageNet?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
