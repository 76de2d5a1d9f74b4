"""Which network does AutoKeras find when every slot trains candidates, and ASHA stops those that fall behind?

Command: `python sweeps/nas_candidates.py --time-budget 1h`: the greedy oracle searches for one hour on all slots, also
those of a cluster. Then its best network is compared with `fashion_cnn` and `residual_cnn` on 3 new seeds; 10 epochs of
50,000 images.

Other oracles and spaces as in `sweeps/nas.py`: `--set oracle=...`, `--set block=...`.

Quick: `python sweeps/nas_candidates.py --quick`: 2 minutes, 1 seed, 3 epochs of 2,000 images, only plain networks.

Study: `layersweep study nas_candidates`.
"""

import layersweep as ls
from search_spaces.nas_candidates import SPACES, TUNED
from trainables import hardware
from trainables.nas import autokeras
from trainables.worker.training_server import WarmUp

SWEEP = ls.Sweep(
    name="nas_candidates",
    question="Which way of searching finds the better network in the same time, on all slots?",
    sections=("best_so_far", "sizes", "networks", "refusals", "by_class"),
    train="autokeras",
    spaces=SPACES,
    tuned=TUNED,
    search="oracle",
    timed_searches=True,
    control="fashion_cnn",
    keep_weights="best",
    warm_up=WarmUp(imports=autokeras.imports, device=hardware.device),
    quick={"epochs": 3, "seeds": 1, "images": 2_000, "set": ("block=vanilla",), "time_budget": 120.0},
)

if __name__ == "__main__":
    ls.main(SWEEP)
