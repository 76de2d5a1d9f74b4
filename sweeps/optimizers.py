"""Which optimizer trains the Fashion-MNIST CNN best, at the learning rate that Keras gives it, and at its own?

Command: `python sweeps/optimizers.py`: 8 optimizers, 3 seeds, 10 epochs of 50,000 images.

Quick: `python sweeps/optimizers.py --quick`: 2 seeds, 3 epochs of 2,000 images; 2 min 48 s on 2 cores of an AMD EPYC.
With 3 seeds and 5 epochs of 10,000 images: 37 min while other work ran (docs/evidence). The whole sweep: at most about
5 h; `--dry-run` estimates it from the trials recorded there.

Tuned: `python sweeps/optimizers.py --search hyperopt` also searches a learning rate for each optimizer, with an equal
number of epochs, and compares the best of each on the same new seeds. With `--epochs 5 --images 6000 --trials 6`: 104
trials, 464 epochs, 2 h 29 min while other work ran (docs/evidence has the results).

Study: `layersweep study optimizers` reads the records again; it needs neither Ray nor Keras.
"""

import layersweep as ls
from search_spaces.optimizers import SPACES, TUNED

SWEEP = ls.Sweep(
    name="optimizers",
    question="Which optimizer trains the Fashion-MNIST CNN best?",
    sections=(),
    train="fashion_cnn",
    spaces=SPACES,
    tuned=TUNED,
    control="adam",
    quick={"epochs": 3, "seeds": 2, "images": 2_000},
)

if __name__ == "__main__":
    ls.main(SWEEP)
