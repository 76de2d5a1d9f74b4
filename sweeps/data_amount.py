"""How many images does a frozen network save?

Command: `python sweeps/data_amount.py`: a head on the frozen `cifar_cnn` of the sweep `source`, and the same network
with new random weights, on a tenth, a quarter, half and all images of classes 5 to 9; 3 seeds, 10 epochs. With 2,000
images: 1 min 42 s on 2 cores of an AMD EPYC, after `fine_tuning` had recorded 6 of the 24 trainings.

Quick: `python sweeps/data_amount.py --quick`: 2 epochs of 500 images, 1 seed.

Study: `layersweep study data_amount`.
"""

import layersweep as ls
from search_spaces.data_amount import SPACES

SWEEP = ls.Sweep(
    name="data_amount",
    question="How many images does a frozen network save?",
    sections=("amounts", "costs"),
    train="transfer",
    spaces=SPACES,
    after=["source"],
    quick={"epochs": 2, "seeds": 1, "images": 500},
)

if __name__ == "__main__":
    ls.main(SWEEP)
