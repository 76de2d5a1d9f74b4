"""Which of AutoKeras' ways of searching finds the better network in the same time?

Command: `python sweeps/nas.py --time-budget 1h`: the oracles greedy, bayesian, hyperband and random search for one hour
each. Each trains one candidate after another in one slot, for as long as AutoKeras would. Then the best network of each
oracle is compared with `fashion_cnn` and `residual_cnn` on 3 new seeds; 10 epochs of 50,000 images.

Other spaces: `--set block=any`, `resnet`, `vanilla`, `xception`, `efficient` or several joined by +; `--set
normalize=on`, `--set augment=off`; `--set oracle=greedy,random`. With `--set enlarge=true` candidates may enlarge
images to ImageNet's 224 pixels; with `--set pretrained=true` they may start with ImageNet's weights.

Quick: `python sweeps/nas.py --quick`: 1 minute each, 1 seed, 3 epochs of 2,000 images, only plain networks.

Study: `layersweep study nas`.
"""

import layersweep as ls
from search_spaces.nas import SPACES, TUNED
from trainables import hardware
from trainables.nas import autokeras
from trainables.worker.training_server import WarmUp

SWEEP = ls.Sweep(
    name="nas",
    question="Which way of searching finds the better network in the same time?",
    sections=("best_so_far", "sizes", "networks", "refusals", "by_class"),
    train="autokeras",
    spaces=SPACES,
    tuned=TUNED,
    search="oracle",
    in_turn=True,
    timed_searches=True,
    control="fashion_cnn",
    keep_weights="best",
    warm_up=WarmUp(imports=autokeras.imports, device=hardware.device),
    quick={"epochs": 3, "seeds": 1, "images": 2_000, "set": ("block=vanilla",), "time_budget": 60.0},
)

if __name__ == "__main__":
    ls.main(SWEEP)
