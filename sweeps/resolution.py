"""What does a higher resolution buy, and what does it cost?

Command: `python sweeps/resolution.py`: `residual_cnn` on images resized to 32, 64, 96, 128 and 224 pixels, and AlexNet
at 32 and 224 pixels as in the reports; 3 seeds, 10 epochs of 50,000 images. Resizing adds no detail. The images of
`--dataset tiny_imagenet` have 64x64 pixels, so the smallest size loses some.

This takes days on a laptop; `--set family=residual_cnn --images 5000 --seeds 1` is a smaller start. `--set
image_size=…` needs `--set family=…`, because AlexNet has its own sizes.

Quick: `python sweeps/resolution.py --quick`: only `residual_cnn`, up to 96 pixels, 1 seed, 2 epochs of 500
images; 50 s on 2 cores of an AMD EPYC.

Study: `layersweep study resolution`: cost against accuracy.
"""

import layersweep as ls
from search_spaces.resolution import SPACES

SWEEP = ls.Sweep(
    name="resolution",
    question="What does a higher resolution buy, and what does it cost?",
    sections=("costs",),
    train="residual_cnn",
    spaces=SPACES,
    quick={
        "epochs": 2,
        "seeds": 1,
        "images": 500,
        "set": ("family=residual_cnn", "image_size=32,64,96"),
    },
)

if __name__ == "__main__":
    ls.main(SWEEP)
