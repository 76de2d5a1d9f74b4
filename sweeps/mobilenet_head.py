"""Which batch size and dropout does a large head on MobileNetV2 want?

Command: `python sweeps/mobilenet_head.py`: two dense layers of 4,096 units on the frozen base;
batch size 256 or 512, dropout 0, 0.4 or 0.5; 3 seeds, 25 epochs. Features are computed once for all arms.

Quick: `python sweeps/mobilenet_head.py --quick`: 2 epochs of 500 images, 1 seed. With 2 seeds and random weights
(`--set weights=none`): 12 trainings, 1 min 2 s on 2 cores of an AMD EPYC.

Study: `layersweep study mobilenet_head`.
"""

import layersweep as ls
from search_spaces.mobilenet_head import SPACES

SWEEP = ls.Sweep(
    name="mobilenet_head",
    question="Which batch size and dropout does a large head on MobileNetV2 want?",
    sections=("costs",),
    train="mobilenet_v2",
    spaces=SPACES,
    epochs=25,
    quick={"epochs": 2, "seeds": 1, "images": 500},
)

if __name__ == "__main__":
    ls.main(SWEEP)
