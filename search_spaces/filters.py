"""32 or 64 filters in each convolution: every combination, 16 arms."""

from typing import Final

CHOICES: Final = [32, 64]

SPACES: Final[list[dict[str, list[int] | list[str]]]] = [
    {
        "filters_1": CHOICES,
        "filters_2": CHOICES,
        "filters_3": CHOICES,
        "filters_4": CHOICES,
        "optimizer": ["nadam"],
    },
]
