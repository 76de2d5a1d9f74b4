"""Two CNNs at their defaults, and a search over all important keys of one of them."""

from typing import Final

from search_spaces.ranges import Range

SPACES: Final = [
    {"family": ["cifar_cnn", "cifar100_cnn"]},
]

TUNED: Final[list[dict[str, list[str] | list[int] | list[bool] | Range]]] = [
    {
        "optimizer": ["sgd", "adam", "nadam", "rmsprop"],
        "learning_rate": Range(1e-4, 1e-1, log=True),
        "batch_size": [32, 64, 128],
        "batch_normalization": [True, False],
        "flip": ["none", "horizontal"],
        "shift": Range(0.0, 0.15),
        "dropout": Range(0.0, 0.5),
        "blocks": [2, 3],
    },
]
