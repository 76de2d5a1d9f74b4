"""The source of other networks: the reports' CNN on half of the classes, in colour at its own image size."""

from typing import Final

from search_spaces.ranges import Space

SPACES: Final[list[Space]] = [
    {"family": ["cifar_cnn"], "image_size": [32], "channels": [3], "classes": ["0-4"]},
]
