"""How many of the last layers are worth training again?

Command: `python sweeps/fine_tuning.py`: the `cifar_cnn` of the sweep `source` on classes 5 to 9, in three ways: frozen;
with its last 5, 8, 13 or all layers trained again; and with new random weights. Before layers are trained again, at a
tenth of the learning rate, the head alone is trained for 10 epochs, once for all arms. 3 seeds, 10 epochs. With 5 seeds
and 200 images per class (`--images 2000 --seeds 5`): 35 trainings, 4 min 25 s on 2 cores of an AMD EPYC.

Quick: `python sweeps/fine_tuning.py --quick`: 2 epochs of 500 images, 1 seed, after 2 epochs of the head.

Study: `layersweep study fine_tuning`.
"""

import layersweep as ls
from search_spaces.fine_tuning import SPACES

SWEEP = ls.Sweep(
    name="fine_tuning",
    question="How many of the last layers are worth training again?",
    sections=("costs", "first_phases"),
    train="transfer",
    spaces=SPACES,
    after=["source"],
    quick={"epochs": 2, "seeds": 1, "images": 500, "set": ("head_epochs=2",)},
)

if __name__ == "__main__":
    ls.main(SWEEP)
