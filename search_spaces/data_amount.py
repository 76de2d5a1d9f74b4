"""A head on a frozen network, and the whole network with new weights, on growing shares of the images."""

from typing import Final

from search_spaces.feature_extraction import OTHERS
from search_spaces.ranges import Space

HEAD: Final[Space] = {"pooling": ["flatten"], "dense_units": [512], "train_share": [0.1, 0.25, 0.5, 1.0]}

SPACES: Final[list[Space]] = [
    {**OTHERS, **HEAD},
    {**OTHERS, **HEAD, "begin": ["scratch"], "trained": ["all"]},
]
