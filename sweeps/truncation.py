"""How much of MobileNetV2 can go before accuracy does?

Command: `python sweeps/truncation.py`: MobileNetV2 whole and cut after either of two blocks, with a first stride of 1,
with learned upsampling, and the smaller families; 3 seeds, 10 epochs. With `--images 2000 --epochs 4 --seeds 2
--set learning_rate=0.001 --set normalization_momentum=0.9`: 14 trainings, each converted by LiteRT, 4 min 26 s on
2 cores of an AMD EPYC (docs/gallery.md).

Quick: `python sweeps/truncation.py --quick`: 2 epochs of 500 images, 1 seed. It shows everything that is recorded, but
32 training steps are too few for a comparison.

Study: `layersweep study truncation`.
"""

import layersweep as ls
from search_spaces.truncation import SPACES

SWEEP = ls.Sweep(
    name="truncation",
    question="How much of MobileNetV2 can go before accuracy does?",
    sections=("costs", "by_class"),
    train="mobilenet_v2",
    spaces=SPACES,
    lite=True,
    quick={
        "epochs": 2,
        "seeds": 1,
        "images": 500,
        "set": ("learning_rate=0.001", "normalization_momentum=0.9"),
    },
)

if __name__ == "__main__":
    ls.main(SWEEP)
