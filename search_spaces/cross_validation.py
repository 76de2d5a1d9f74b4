"""Three optimizers, compared on folds; any other key may vary instead."""

from typing import Final

SPACES: Final = [
    {"optimizer": ["adam", "nadam", "sgd"]},
]
