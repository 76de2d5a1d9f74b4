"""One network at five resolutions, and AlexNet at the reports' two resolutions."""

from typing import Final

SPACES: Final[list[dict[str, list[str] | list[int]]]] = [
    {"family": ["residual_cnn"], "image_size": [32, 64, 96, 128, 224]},
    {"family": ["alexnet_32"], "image_size": [32]},
    {"family": ["alexnet"], "image_size": [224]},
]
