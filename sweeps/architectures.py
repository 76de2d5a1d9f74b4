"""Which architecture does best at an equal budget, and at what cost?

Command: `python sweeps/architectures.py`: 15 families, 3 seeds, 10 epochs of 50,000 images, each family at its smallest
image size; `--set family=fashion_cnn,residual_cnn` compares only these. With more than 12 arms ASHA screens them on one
seed first; `--scheduler none` gives each all epochs and seeds. Weights are random, and each family has its own
optimizer and learning rate.

Quick: `python sweeps/architectures.py --quick`: 1 seed, 2 epochs of 1,000 images.

Study: `layersweep study architectures` reads the records again; it needs neither Ray nor Keras.
"""

import layersweep as ls
from search_spaces.architectures import SPACES

SWEEP = ls.Sweep(
    name="architectures",
    question="Which architecture does best at an equal budget, and at what cost?",
    sections=("costs",),
    train="fashion_cnn",
    spaces=SPACES,
    control="fashion_cnn",
    quick={"epochs": 2, "seeds": 1, "images": 1_000, "scheduler": "none"},
)

if __name__ == "__main__":
    ls.main(SWEEP)
