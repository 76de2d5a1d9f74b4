"""Which arm is best when every image of the training file validates once?

Command: `python sweeps/cross_validation.py`: Adam, Nadam and SGD on 5 folds of the 60,000 images, 10 epochs. `--set`
makes other arms from any key: `--set optimizer=adam --set filters_1=16,32,64`; `--folds 10` makes 10 folds. Every other
sweep has `--folds`, too.

Quick: `python sweeps/cross_validation.py --quick`: 3 folds of 1,200 images, 2 epochs; 1 min 2 s on 2 cores of an
AMD EPYC.

Study: `layersweep study cross_validation`.
"""

import layersweep as ls
from search_spaces.cross_validation import SPACES

SWEEP = ls.Sweep(
    name="cross_validation",
    question="Which arm is best when every image validates once?",
    sections=(),
    train="fashion_cnn",
    spaces=SPACES,
    folds=5,
    quick={"epochs": 2, "folds": 3, "images": 1_000},
)

if __name__ == "__main__":
    ls.main(SWEEP)
