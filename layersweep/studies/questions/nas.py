"""Which way of searching finds the better network in the same time? Reads the sweep `nas`.

    layersweep study nas [--results results] [--sweep nas] [--out results/studies]

Prints one row an arm (the network that each search chose, beside fixed ones), then the best so far of each search by
seconds and epochs, accuracy against size with the Pareto front, the chosen networks layer by layer, what was refused or
failed, and the chosen arm class by class; writes `nas.html`, `.png`, `_search.png`, `_sizes.png`, `_networks.png` and
`_classes.png`.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from layersweep.studies.study import Study

if TYPE_CHECKING:
    from layersweep.studies.sections.section import More


def more() -> "Sequence[More]":
    """What is shown of any sweep of searches besides the comparison of its arms."""
    from layersweep.studies.sections import best_so_far, by_class, candidate_sizes, networks, refusals

    return [best_so_far.shown, candidate_sizes.shown, networks.shown, refusals.shown, by_class.shown]


study = Study(name="nas", question="Which way of searching finds the better network in the same time?", more=more)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
