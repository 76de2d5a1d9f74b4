"""How well does the network that others are made from know its own classes?

Command: `python sweeps/source.py`: `cifar_cnn` on images of 32x32x3 of classes 0 to 4, one seed, 20 epochs. Its best
weights are kept in `results/weights`; the sweeps `feature_extraction`, `fine_tuning` and `data_amount` start from them.

With 10,000 images: 3 min 31 s on one core of an AMD EPYC.

Quick: `python sweeps/source.py --quick`: 2 epochs of 1,000 images.

Study: `layersweep study source`.
"""

import layersweep as ls
from search_spaces.source import SPACES

SWEEP = ls.Sweep(
    name="source",
    question="How well does the network that others are made from know its own classes?",
    sections=("costs",),
    train="cifar_cnn",
    spaces=SPACES,
    epochs=20,
    seeds=1,
    keep_weights="best",
    quick={"epochs": 2, "images": 1_000},
)

if __name__ == "__main__":
    ls.main(SWEEP)
