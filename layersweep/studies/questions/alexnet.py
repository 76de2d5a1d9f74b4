"""Does AlexNet learn from small images with Adam, or only with SGD? Reads the sweep `alexnet`.

    layersweep study alexnet [--results results] [--sweep alexnet] [--out results/studies]

Arms on all classes and on two are not compared with each other: each has a table and a page of its own,
`alexnet_classes_all.html` and `alexnet_classes_0-1.html`.
"""

import sys

from layersweep.studies.study import Study

study = Study(
    name="alexnet",
    question="Does AlexNet learn from small images with Adam, or only with SGD?",
    apart={"classes": "all"},
)

if __name__ == "__main__":
    sys.exit(study.main(__doc__))
