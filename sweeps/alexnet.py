"""Does AlexNet learn from small images with Adam, or only with SGD? And from two classes?

Command: `python sweeps/alexnet.py`: `alexnet_32` with Adam and with SGD, on all classes and on the first two, 3 seeds,
20 epochs of 50,000 images of 32x32. Every epoch is recorded: one run with `--epochs 100` also shows the results after
50 epochs. Trials that stay at chance are named and ended; with `--keep-hopeless` they continue.

As in the reports: `--dataset tiny_imagenet --epochs 100`; a long training on two classes: `--set classes=0-1
--epochs 500`.

Quick: `python sweeps/alexnet.py --quick`: 1 seed, 2 epochs of 1,000 images; 56 s on 2 cores of an AMD EPYC.

Study: `layersweep study alexnet`.
"""

import layersweep as ls
from search_spaces.alexnet import SPACES

SWEEP = ls.Sweep(
    name="alexnet",
    question="Does AlexNet learn from small images with Adam, or only with SGD?",
    sections=(),
    apart={"classes": "all"},
    train="alexnet_32",
    spaces=SPACES,
    epochs=20,
    quick={"epochs": 2, "seeds": 1, "images": 1_000},
)

if __name__ == "__main__":
    ls.main(SWEEP)
