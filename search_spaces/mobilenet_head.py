"""Two dense layers on a frozen MobileNetV2: the reports' batch sizes and dropouts."""

from typing import Final

from search_spaces.ranges import Space

SPACES: Final[list[Space]] = [
    {
        "weights": ["imagenet"],
        "trained": ["none"],
        "image_size": [96],
        "dense_layers": [2],
        "dense_units": [4096],
        "batch_size": [256, 512],
        "dropout": [0.0, 0.4, 0.5],
    },
]
