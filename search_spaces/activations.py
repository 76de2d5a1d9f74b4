"""relu, selu or elu after each convolution: every combination, 81 arms."""

from typing import Final

CHOICES: Final = ["relu", "selu", "elu"]

SPACES: Final = [
    {
        "activation_1": CHOICES,
        "activation_2": CHOICES,
        "activation_3": CHOICES,
        "activation_4": CHOICES,
        "optimizer": ["nadam"],
    },
]
