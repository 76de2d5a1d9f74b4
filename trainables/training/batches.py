"""Batches of images as NumPy arrays, in a new random order in each epoch."""

from collections.abc import Iterator

import numpy as np

from trainables.data.arrays import Images, ImageSet, Labels


def batches(images: ImageSet, batch_size: int, *, seed: int, epoch: int) -> Iterator[tuple[Images, Labels]]:
    """All images once, with their labels, in an order drawn from (seed, epoch); the last batch may be smaller.

    A step of a small CNN on one core takes a hundred times as long as reading its batch, so nothing is prefetched.
    """
    permutation = np.random.default_rng([seed, epoch]).permutation(len(images.labels))
    for first in range(0, len(permutation), batch_size):
        rows = permutation[first : first + batch_size]
        yield images.images[rows], images.labels[rows].astype(np.int64, copy=False)
