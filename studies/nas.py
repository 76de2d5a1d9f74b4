"""Which way of searching finds the better network in the same time? Reads the sweep `nas`.

    python -m studies.nas [--results results] [--sweep nas] [--out results/studies]

Prints one row an arm (the network that each search chose, beside fixed ones), then the best so far of each search by
seconds and epochs, accuracy against size with the Pareto front, the chosen networks layer by layer, what was refused or
failed, and the chosen arm class by class; writes `nas.html`, `.png`, `_search.png`, `_sizes.png`, `_networks.png` and
`_classes.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.comparison import Study

if TYPE_CHECKING:
    from studies.extra import More


def more() -> "Sequence[More]":
    """What is shown of any sweep of searches besides the comparison of its arms."""
    from studies import best_so_far, by_class, networks, refusals, sizes

    return [best_so_far.shown, sizes.shown, networks.shown, refusals.shown, by_class.shown]


study = Study(name="nas", question="Which way of searching finds the better network in the same time?", more=more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
