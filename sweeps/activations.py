"""Which activation does each convolution of the Fashion-MNIST CNN want?

Command: `python sweeps/activations.py`: relu, selu or elu on each of four convolutions, 81 arms, Nadam. ASHA screens
them on one seed; the survivors are compared on 3 new seeds, 10 epochs of 50,000 images. With 8 epochs of 8,000 images
in bfloat16: 114 trainings, 568 epochs, 3.9 h on two slots while tests ran (docs/gallery.md has the results).

Quick: `python sweeps/activations.py --quick`: only the first two layers, 9 arms, 2 epochs of 1,000 images;
1 min 20 s on 2 cores of an AMD EPYC.

Study: `layersweep study activations`: the effect of each layer's choice, with its interval; where units die.
"""

import layersweep as ls
from search_spaces.activations import SPACES

SWEEP = ls.Sweep(
    name="activations",
    question="Which activation does each convolution want?",
    sections=("effects", "behaviour"),
    reported={"selu-relu-relu-relu": 0.9337},
    train="fashion_cnn",
    spaces=SPACES,
    control="relu-relu-relu-relu",
    quick={"epochs": 2, "seeds": 1, "images": 1_000, "set": ("activation_3=relu", "activation_4=relu")},
)

if __name__ == "__main__":
    ls.main(SWEEP)
