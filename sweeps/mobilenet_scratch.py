"""How good does MobileNetV2 get without ImageNet?

Command: `python sweeps/mobilenet_scratch.py`: width 0.5 and 0.9 with RMSprop as in the reports, and a search by
HyperOpt with ASHA over width, learning rate, momentum, weight decay and dropout; 3 seeds, 10 epochs. With `--images
2000 --epochs 4 --trials 2 --seeds 2 --set normalization_momentum=0.9`: 8 trainings, 3 min 2 s on 2 cores of an AMD EPYC
(docs/gallery.md).

Quick: `python sweeps/mobilenet_scratch.py --quick`: a search at the cost of 2 trainings, 1 seed, 2 epochs of 500
images. With 2 seeds: 1 min 7 s on 2 cores of an AMD EPYC. 32 training steps are too few for a comparison.

Study: `layersweep study mobilenet_scratch`.
"""

import layersweep as ls
from search_spaces.mobilenet_scratch import SPACES, TUNED

SWEEP = ls.Sweep(
    name="mobilenet_scratch",
    question="How good does MobileNetV2 get without ImageNet?",
    sections=("costs", "by_class"),
    train="mobilenet_v2",
    spaces=SPACES,
    tuned=TUNED,
    lite=True,
    search="hyperopt",
    quick={"epochs": 2, "seeds": 1, "images": 500, "trials": 2, "set": ("normalization_momentum=0.9",)},
)

if __name__ == "__main__":
    ls.main(SWEEP)
