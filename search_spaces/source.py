"""The network that others are made from: the CNN of the reports on half of the classes, in colour at its own size."""

from typing import Final

from search_spaces.ranges import Space

SPACES: Final[list[Space]] = [
    {"family": ["cifar_cnn"], "image_size": [32], "channels": [3], "classes": ["0-4"]},
]
