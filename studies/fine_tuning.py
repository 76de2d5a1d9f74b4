"""How many of the last layers are worth training again? Reads the sweep `fine_tuning`.

    python -m studies.fine_tuning [--results results] [--sweep fine_tuning] [--out results/studies]

Prints one row an arm, then parameters, FLOPs, latency and seconds an epoch; writes `fine_tuning.html`, `.png` and
`_costs.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.comparison import Study

if TYPE_CHECKING:
    from studies.extra import More


def _more() -> "Sequence[More]":
    from studies import costs, phases

    return [costs.shown, phases.shown]


study = Study(name="fine_tuning", question="How many of the last layers are worth training again?", more=_more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
