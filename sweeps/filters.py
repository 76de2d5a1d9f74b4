"""How many filters does each convolution of the Fashion-MNIST CNN want?

Command: `python sweeps/filters.py`: 32 or 64 on each of four convolutions, 16 arms, Nadam. ASHA screens them on one
seed; the survivors are compared on 3 fresh ones, 10 epochs of 50,000 images. Activations are those that lead in the
sweep `activations`, if it lies below the same results, and stay when that one goes on; `--set activation_1=selu` gives
others. 6 epochs of 5,000 images in bfloat16: 40 trainings, 32 min with tests beside them (docs/gallery.md has what
came out).

Quick: `python sweeps/filters.py --quick`: every arm on 1 seed, 2 epochs of 1,000 images; 2 min 5 s
on 2 cores of an AMD EPYC.

Study: `layersweep study filters`: what each layer's choice adds, with its interval, and costs.
"""

from layersweep import Sweep, main
from layersweep.studies.leading_arm import leading
from search_spaces.filters import SPACES
from trainables.families import fashion_cnn

SWEEP = Sweep(
    name="filters",
    question="How many filters does each convolution want?",
    sections=("effects", "behaviour", "costs"),
    reported={"32-64-64-64": 0.9338},
    train=fashion_cnn.train,
    spaces=SPACES,
    control="32-32-64-64",
    after=["activations"],
    values_from=leading("activations", [f"activation_{k}" for k in (1, 2, 3, 4)], into="filters"),
    quick={"epochs": 2, "seeds": 1, "images": 1_000, "scheduler": "none"},
)

if __name__ == "__main__":
    main(SWEEP)
