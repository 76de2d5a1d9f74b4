"""AutoKeras' oracles on residual and plain networks at the images' own size, and two fixed networks."""

from typing import Final

SPACES: Final = [
    {"family": ["fashion_cnn", "residual_cnn"]},
]

TUNED: Final = [
    {"oracle": ["greedy", "bayesian", "hyperband", "random"], "block": ["vanilla+resnet"]},
]
