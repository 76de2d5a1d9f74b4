"""The images of an epoch, in a new random order in each, and batches of them as NumPy arrays."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, ImageSet, Labels
from trainables.training.class_balance import balanced_rows


def epoch_rows(labels: Labels, *, seed: int, epoch: int, oversample: bool = False) -> npt.NDArray[np.int64]:
    """The rows of an epoch in an order drawn from (seed, epoch): each once, or all classes equally often."""
    permutation = np.random.default_rng([seed, epoch]).permutation(len(labels))
    return balanced_rows(labels, seed=seed, epoch=epoch)[permutation] if oversample else permutation


def batches(images: ImageSet, rows: npt.NDArray[np.int64], batch_size: int) -> Iterator[tuple[Images, Labels]]:
    """These rows of a set with their labels, in their order; the last batch may be smaller.

    A step of a small CNN on one core takes a hundred times as long as reading its batch, so nothing is prefetched.
    """
    for first in range(0, len(rows), batch_size):
        batch = rows[first : first + batch_size]
        yield images.images[batch], images.labels[batch].astype(np.int64, copy=False)
