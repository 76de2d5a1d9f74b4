"""The last layers of a network, trained again at a lower learning rate after the head was trained alone."""

from typing import Final

from search_spaces.feature_extraction import OTHERS
from search_spaces.ranges import Space

HEAD: Final[Space] = {"pooling": ["flatten"], "dense_units": [512], "dropout": [0.5]}

SPACES: Final[list[Space]] = [
    {**OTHERS, **HEAD, "trained": ["none"]},
    {**OTHERS, **HEAD, "trained": ["5", "8", "13", "all"], "head_epochs": [10], "learning_rate": [1e-4]},
    {**OTHERS, **HEAD, "begin": ["scratch"], "trained": ["all"]},
]
"""Frozen; some of the last layers, or all; and new weights."""
