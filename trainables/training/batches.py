"""How images reach the model: as NumPy arrays, a batch at a time, in an order of each epoch's own."""

from collections.abc import Iterator

import numpy as np

from trainables.data.arrays import Images, ImageSet, Labels


def batches(images: ImageSet, batch_size: int, *, seed: int, epoch: int) -> Iterator[tuple[Images, Labels]]:
    """All images once, with their labels, in an order drawn from (seed, epoch); the last batch has what is left.

    A step of a small CNN on one core takes a hundred times as long as its batch: there is nothing to fetch ahead, and
    no thread that would do so.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(images.labels))
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        yield images.images[rows], images.labels[rows].astype(np.int64, copy=False)
