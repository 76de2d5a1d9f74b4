"""How many images does a frozen network save? Reads the sweep `data_amount`.

    layersweep study data_amount [--results results] [--sweep data_amount] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `data_amount.html`, `.png`,
`_train_share.png` and `_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More


def _more() -> "Sequence[More]":
    from layersweep.studies.sections import costs, numeric_key

    names = {"source": "frozen network, new head", "scratch": "the network from new weights"}
    amounts = numeric_key.shown("train_share", "begin", default=1.0, names=names, title="Accuracy against images")
    return [amounts, costs.shown]


study = Study(name="data_amount", question="How many images does a frozen network save?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
