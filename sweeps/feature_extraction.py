"""Which head on a frozen network learns classes that the network has never seen?

Command: `python sweeps/feature_extraction.py`: six heads on the frozen `cifar_cnn` of the sweep `source`, and the same
network with new random weights, on classes 5 to 9; 3 seeds, 10 epochs. Features are computed once for all heads.
`--set weights=` selects another network: a trial's id, `best:SWEEP` or a file. With 5 seeds and 200 images per class
(`--images 2000 --seeds 5`): 1 min 18 s on 2 cores of an AMD EPYC, after `fine_tuning` had recorded the 5 trainings with
new weights.

Quick: `python sweeps/feature_extraction.py --quick`: 2 epochs of 500 images, 1 seed.

Study: `layersweep study feature_extraction`.
"""

import layersweep as ls
from search_spaces.feature_extraction import SPACES

SWEEP = ls.Sweep(
    name="feature_extraction",
    question="Which head on a frozen network learns classes that the network has never seen?",
    sections=("costs",),
    train="transfer",
    spaces=SPACES,
    after=["source"],
    quick={"epochs": 2, "seeds": 1, "images": 500},
)

if __name__ == "__main__":
    ls.main(SWEEP)
