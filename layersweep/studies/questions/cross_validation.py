"""Which arm is best when every image validates once? Reads the sweep `cross_validation`.

    layersweep study cross_validation [--results results] [--sweep cross_validation] [--out results/studies]

Replicates are folds: intervals and tests are over them. Prints one row an arm; writes `cross_validation.html` and
`.png`.
"""

import sys

from layersweep.studies.study import Study

study = Study(name="cross_validation", question="Which arm is best when every image validates once?")

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
