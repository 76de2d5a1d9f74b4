"""Unequal classes: an epoch that shows all classes equally often, and weights that make them count equally."""

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Labels


def balanced_rows(labels: Labels, *, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """As many rows (n,) as there are images, with every class equally often, to within one; epochs count from 1.

    Each class has an order of its images that the seed draws. Its images are taken in this order, round after round,
    and an epoch goes on where the epoch before has ended. So within an epoch and over all epochs, no image of a class
    is used more than once more than another.
    """
    n, order = len(labels), np.random.default_rng([seed, 0]).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    sizes = np.bincount(labels)
    classes = [rows for rows in np.split(by_class, np.cumsum(sizes)[:-1]) if len(rows)]
    k = len(classes)
    epoch_parts = []
    for number, rows in enumerate(classes):  # (m + number) // k of the first m images: together they are m
        first, end = ((m + number) // k for m in ((epoch - 1) * n, epoch * n))
        epoch_parts.append(rows[np.arange(first, end) % len(rows)])
    return np.concatenate(epoch_parts)


def class_weights(labels: Labels, classes: int, *, oversample: bool) -> npt.NDArray[np.float32]:
    """The weight (classes,) of each class' images, with which all classes count equally in the loss of an epoch.

    It is n / (k * n_c) for n images of k classes of which class c has n_c, as in scikit-learn: 1 on average. Where an
    epoch shows all classes equally often, each weight is 1.
    """
    sizes = np.bincount(labels, minlength=classes)
    if oversample:
        return np.ones(classes, dtype=np.float32)
    return (len(labels) / (np.count_nonzero(sizes) * np.maximum(sizes, 1))).astype(np.float32)
