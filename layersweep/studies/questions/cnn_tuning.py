"""How much does tuning everything at once gain over the CNNs as they were published? Reads the sweep `cnn_tuning`.

    layersweep study cnn_tuning [--results results] [--sweep cnn_tuning] [--out results/studies]

Prints one row an arm with what tuning cost and chose; writes `cnn_tuning.html` and `cnn_tuning.png`.
"""

import sys

from layersweep.studies.study import Study

study = Study(
    name="cnn_tuning", question="How much does tuning everything at once gain over the CNNs as they were published?"
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
