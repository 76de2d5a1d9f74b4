"""How much of MobileNetV2 can go before accuracy does? Reads the sweep `truncation`.

    layersweep study truncation [--results results] [--sweep truncation] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch, and the chosen arm class by class; writes
`truncation.html`, `.png`, `_costs.png` and `_classes.png`.
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


study = Study(name="truncation", question="How much of MobileNetV2 can go before accuracy does?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
