"""How deep should the seven-convolution CNN be, and how much dropout does it want?

Command: `python sweeps/depth.py`: 3, 4, 6 or 7 convolutions with dropout 0, .2 or .4, images of 32x32, 3 seeds, 10
epochs of 50,000 images.

Quick: `python sweeps/depth.py --quick`: 1 seed, 16 epochs of 1,000 images; 2 min on 2 cores of an AMD EPYC.

As in the reports: `--dataset tiny_imagenet_70_30`. The 18-layer CNN is a separate family: `python
sweeps/architectures.py --set family=eighteen_layer_cnn,seven_conv_cnn --epochs 200`.

Study: `layersweep study depth`.
"""

import layersweep as ls
from search_spaces.depth import SPACES

SWEEP = ls.Sweep(
    name="depth",
    question="How deep should the seven-convolution CNN be, and how much dropout does it want?",
    sections=("effects", "costs"),
    train="seven_conv_cnn",
    spaces=SPACES,
    quick={"epochs": 16, "seeds": 1, "images": 1_000},
)

if __name__ == "__main__":
    ls.main(SWEEP)
