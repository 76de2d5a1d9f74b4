"""Depth and dropout of the seven-convolution CNN; a pooling follows convolutions 2, 4, 6 and 7."""

from typing import Final

SPACES: Final[list[dict[str, list[int] | list[float]]]] = [
    {"convolutions": [3, 4, 6, 7], "dropout": [0.0, 0.2, 0.4], "image_size": [32]},
]
