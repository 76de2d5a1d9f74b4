"""Which way of searching finds the better network in the same time, on all slots? Reads the sweep `nas_candidates`.

    layersweep study nas_candidates [--results results] [--sweep nas_candidates] [--out results/studies]

Prints and writes what `layersweep study nas` does; here every slot trains candidates, and ASHA stops the weak ones.
"""

import sys

from layersweep.studies.questions import nas
from layersweep.studies.study import Study

study = Study(
    name="nas_candidates",
    question="Which way of searching finds the better network in the same time, on all slots?",
    more=nas.more,
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
