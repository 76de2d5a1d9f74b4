"""AutoKeras' greedy oracle on residual and plain networks at the images' own size, and two fixed networks."""

from typing import Final

from search_spaces.nas import SPACES

__all__ = ["SPACES", "TUNED"]

TUNED: Final = [
    {"oracle": ["greedy"], "block": ["vanilla+resnet"]},
]
