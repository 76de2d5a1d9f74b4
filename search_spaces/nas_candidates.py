"""AutoKeras' greedy oracle on residual and plain networks at the images' own size, and two fixed networks beside it."""

from typing import Final

SPACES: Final = [
    {"family": ["fashion_cnn", "residual_cnn"]},
]

TUNED: Final = [
    {"oracle": ["greedy"], "block": ["vanilla+resnet"]},
]
