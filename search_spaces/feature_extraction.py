"""Heads on a frozen network, and the same network with new weights."""

from typing import Final

from search_spaces.ranges import Space

OTHERS: Final[Space] = {
    "weights": ["best:source"],
    "image_size": [32],
    "channels": [3],
    "classes": ["5-9"],
    "normalization_momentum": [0.9],
}
"""The classes that the source was not trained on. Training steps are few: with the default momentum of 0.99, validation
would lag behind."""

SPACES: Final[list[Space]] = [
    {**OTHERS, "pooling": ["flatten", "average"], "dense_units": [0, 128, 512], "dropout": [0.5]},
    {**OTHERS, "begin": ["scratch"], "trained": ["all"], "pooling": ["flatten"], "dense_units": [512]},
]
