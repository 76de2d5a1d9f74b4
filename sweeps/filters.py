"""How many filters does each convolution of the Fashion-MNIST CNN want?

Command: `python sweeps/filters.py`: 32 or 64 on each of four convolutions, 16 arms, Nadam. ASHA screens them on one
seed; the survivors are compared on 3 new seeds, 10 epochs of 50,000 images. The activations are those of the leading
arm of the sweep `activations`, if the results folder has it; they stay the same when that sweep continues. `--set
activation_1=selu` selects others. With 6 epochs of 5,000 images in bfloat16: 40 trainings, 32 min while tests ran
(docs/gallery.md has the results).

Quick: `python sweeps/filters.py --quick`: every arm on 1 seed, 2 epochs of 1,000 images; 2 min 5 s
on 2 cores of an AMD EPYC.

Study: `layersweep study filters`: the effect of each layer's choice, with its interval, and the costs.
"""

import layersweep as ls
from layersweep.studies.leading_arm import values_of_best_arm
from search_spaces.filters import SPACES

SWEEP = ls.Sweep(
    name="filters",
    question="How many filters does each convolution want?",
    sections=("effects", "behaviour", "costs"),
    reported={"32-64-64-64": 0.9338},
    train="fashion_cnn",
    spaces=SPACES,
    control="32-32-64-64",
    after=["activations"],
    values_from=values_of_best_arm("activations", [f"activation_{k}" for k in (1, 2, 3, 4)], into="filters"),
    quick={"epochs": 2, "seeds": 1, "images": 1_000, "scheduler": "none"},
)

if __name__ == "__main__":
    ls.main(SWEEP)
