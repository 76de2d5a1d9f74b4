"""Adam and SGD, on all classes and on the first two."""

from typing import Final

OPTIMIZERS: Final = ["adam", "sgd"]
SIZE: Final = [32]

SPACES: Final[list[dict[str, list[str] | list[int]]]] = [
    {"optimizer": OPTIMIZERS, "image_size": SIZE},
    {"optimizer": OPTIMIZERS, "image_size": SIZE, "classes": ["0-1"]},
]
