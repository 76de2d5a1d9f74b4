"""MobileNetV2 with new weights: width, learning rate, momentum and weight decay, with RMSprop."""

from typing import Final

from search_spaces.ranges import Range, Space

SPACES: Final[list[Space]] = [
    {"optimizer": ["rmsprop"], "image_size": [32], "learning_rate": [5e-4], "alpha": [0.5, 0.9]},
]

TUNED: Final[list[Space]] = [
    {
        "optimizer": ["rmsprop"],
        "image_size": [32],
        "learning_rate": Range(1e-4, 1e-2, log=True),
        "momentum": Range(0.0, 0.95),
        "alpha": [0.35, 0.5, 0.75, 0.9],
        "weight_decay": Range(1e-6, 1e-3, log=True),
        "dropout": Range(0.0, 0.5),
    },
]
