"""How much does tuning everything at once gain over the CNNs as they were published?

Command: `python sweeps/cnn_tuning.py`: HyperOpt with ASHA searches optimizer, learning rate, batch size, batch
normalisation, augmentation, dropout and depth of `cifar100_cnn`, at the cost of 8 full trainings (`--trials`). The best
candidate is compared on 3 new seeds with that CNN and `cifar_cnn` at their defaults; 10 epochs of 50,000 images.

As in the reports: `--dataset tiny_imagenet --set batch_size=32 --epochs 50`.

Quick: `python sweeps/cnn_tuning.py --quick`: a search at the cost of 3 trainings, 1 seed, 2 epochs of 1,000 images;
45 s on 2 cores of an AMD EPYC.

Study: `layersweep study cnn_tuning`.
"""

import layersweep as ls
from search_spaces.cnn_tuning import SPACES, TUNED

SWEEP = ls.Sweep(
    name="cnn_tuning",
    question="How much does tuning everything at once gain over the CNNs as they were published?",
    sections=(),
    train="cifar100_cnn",
    spaces=SPACES,
    tuned=TUNED,
    control="cifar100_cnn",
    search="hyperopt",
    quick={"epochs": 2, "seeds": 1, "images": 1_000, "trials": 3},
)

if __name__ == "__main__":
    ls.main(SWEEP)
