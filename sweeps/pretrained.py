"""Which network from ImageNet is the best frozen base?

Command: `python sweeps/pretrained.py`: seven families of keras.applications, frozen, with equal heads; 3 seeds,
10 epochs. The sweep needs ImageNet's weights, which Keras downloads once.

Quick: `python sweeps/pretrained.py --quick`: only MobileNets, 2 epochs of 500 images, 1 seed. With 2 seeds and random
weights (`--set weights=none`): 38 s on 2 cores of an AMD EPYC.

Study: `layersweep study pretrained`.
"""

import layersweep as ls
from search_spaces.pretrained import SPACES

SWEEP = ls.Sweep(
    name="pretrained",
    question="Which network from ImageNet is the best frozen base?",
    sections=("costs",),
    train="mobilenet_v2",
    spaces=SPACES,
    quick={"epochs": 2, "seeds": 1, "images": 500, "set": ("family=mobilenet_v2,mobilenet,mobilenet_v3_small",)},
)

if __name__ == "__main__":
    ls.main(SWEEP)
