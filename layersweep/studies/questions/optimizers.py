"""Which optimizer trains the Fashion-MNIST CNN best? Reads the sweep `optimizers`.

    layersweep study optimizers [--results results] [--sweep optimizers] [--out results/studies]

Prints one row an arm at equal epochs, and writes `optimizers.html` and `optimizers.png`. The trials may be years old.
"""

import sys

from layersweep.studies.study import Study

study = Study(name="optimizers", question="Which optimizer trains the Fashion-MNIST CNN best?")

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
