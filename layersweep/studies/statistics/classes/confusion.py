"""Which classes are shown if there are many: those that are most often confused with others."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES: Final = 50
"""So many rows and columns of a confusion matrix can be read."""


def most_confused(counts: NDArray[np.int64], most: int) -> list[int]:
    """The places of the classes with the most errors, as what they are or as what they are taken for, in order.

    Args:
        counts: the number of images of each class (rows) that were classified as each class (columns).
        most: at most so many.
    """
    errors = counts - np.diag(counts.diagonal())
    confused = errors.sum(axis=0) + errors.sum(axis=1)
    places: list[int] = sorted(np.argsort(-confused, kind="stable")[:most].tolist())
    return places
