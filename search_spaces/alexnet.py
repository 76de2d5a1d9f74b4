"""Adam and SGD, on all classes and on the first two."""

from typing import Final

OPTIMIZERS: Final = ["adam", "sgd"]

SPACES: Final = [
    {"optimizer": OPTIMIZERS},
    {"optimizer": OPTIMIZERS, "classes": ["0-1"]},
]
