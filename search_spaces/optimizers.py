"""Optimizers, each with its default learning rate in Keras, or with a learning rate from a search."""

from typing import Final

from search_spaces.ranges import Range

SPACES: Final = [
    {"optimizer": ["adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd"]},
]

RANGES: Final[dict[str, Range]] = {
    # Zeiler 2012 (arXiv:1212.5701) has no learning rate, which equals a learning rate of 1.
    "adadelta": Range(1e-3, 10.0, log=True),
    # Shazeer & Stern 2018 (arXiv:1804.04235): a step is at most 0.01 of a weight's own size.
    "adafactor": Range(1e-4, 1e-1, log=True),
    # Duchi et al. 2011: 1 in Keras' form; Keras: "tends to benefit from higher initial learning rate values".
    "adagrad": Range(3e-4, 1.0, log=True),
    # Kingma & Ba 2015 (arXiv:1412.6980): 0.001 for Adam, 0.002 for Adamax.
    "adam": Range(3e-5, 1e-2, log=True),
    "adamax": Range(3e-5, 1e-2, log=True),
    # Loshchilov & Hutter 2019 (arXiv:1711.05101): 0.001.
    "adamw": Range(3e-5, 1e-2, log=True),
    # McMahan et al. 2013: steps shrink as in Adagrad.
    "ftrl": Range(3e-4, 1.0, log=True),
    # You et al. 2020 (arXiv:1904.00962): a step is a share of a layer's norm, up to about 0.01 for their batches.
    "lamb": Range(1e-4, 3e-2, log=True),
    # Chen et al. 2023 (arXiv:2302.06675): 3 to 10 times smaller than AdamW's.
    "lion": Range(1e-5, 3e-3, log=True),
    # Liu et al. 2025 (arXiv:2502.16982), whose scaling Keras follows: AdamW's rates; Jordan's own is 0.02.
    "muon": Range(1e-4, 3e-2, log=True),
    # Dozat 2016: 0.002.
    "nadam": Range(3e-5, 1e-2, log=True),
    # Tieleman & Hinton 2012: 0.001.
    "rmsprop": Range(3e-5, 1e-2, log=True),
    # Defazio et al. 2024 (arXiv:2405.15682): 1 to 10 times those of AdamW.
    "schedulefreeadamw": Range(1e-4, 3e-2, log=True),
    # Bengio 2012 (arXiv:1206.5533): 0.01, and less than 1.
    "sgd": Range(1e-3, 1.0, log=True),
}
"""The learning rates to search for each optimizer; each range contains Keras' default."""

EVERY_OPTIMIZER: Final = tuple(RANGES)
"""All optimizers of this version of Keras; `--set optimizer=lion,muon` selects others than the space has."""

TUNED: Final[list[dict[str, list[str] | Range]]] = [
    {"optimizer": [name], "learning_rate": RANGES[name]} for space in SPACES for name in space["optimizer"]
]
