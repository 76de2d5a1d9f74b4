"""Stratified splits of a training file: drawn from the labels alone, and the same in every process."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Labels
from trainables.errors import DataError

TEST_SEED: Final = 0


def stratified_order(labels: Labels, seed: int) -> Labels:
    """A permutation (n,) of all indices in which every prefix has each class' share, to within about one image.

    The seed permutes each class, and each class is spread evenly. The draws are raw 64-bit numbers, because NumPy
    promises to keep these the same, but not its own permutations (NEP 19).
    """
    draws = np.random.PCG64(seed).random_raw(2 * len(labels)).reshape(2, len(labels))
    by_class = np.lexsort((draws[0], labels))
    sizes = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    position = (rank + 0.5) / np.repeat(sizes, sizes)
    return by_class[np.lexsort((draws[1], position))].astype(np.int64)


def stratified_mask(labels: Labels, share: float) -> npt.NDArray[np.bool_]:
    """A mask (n,) of the images in a test set of this share: stratified, and always the same."""
    permutation = stratified_order(labels, TEST_SEED)
    mask = np.zeros(len(permutation), dtype=bool)
    mask[permutation[: round(share * len(permutation))]] = True
    return mask


def select_classes(labels: Labels, class_indices: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Labels]:
    """The places of these classes' images, and their labels as indices into `class_indices`; both (n,)."""
    index = np.full(max(int(labels.max(initial=0)), *class_indices) + 1, -1, dtype=np.int64)
    index[list(class_indices)] = np.arange(len(class_indices))
    renamed = index[labels]
    places = np.flatnonzero(renamed >= 0)
    return places, renamed[places]


def round_half_up(number: Fraction) -> int:
    """The nearest whole number; a half is rounded up."""
    return int(number + Fraction(1, 2))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers of images in the three sets, and the largest class' share of the training file."""

    train_images: int
    validation_images: int
    test_images: int
    majority_share: float


def sizes(
    labels: Labels,
    test: Labels,
    *,
    share: Fraction,
    holdout: Fraction,
    folds: int = 0,
    train_share: Fraction = Fraction(1),
) -> Sizes:
    """The sizes of the three sets, each reduced to `share`, but with at least as many images as classes.

    Every fold has these sizes: where folds differ by one image, the larger ones leave one out. The training set is
    reduced further to `train_share`.
    """
    classes, n = len(np.unique(labels)), len(labels)
    validation, largest_validation = (n // folds, -(-n // folds)) if folds else (round_half_up(n * holdout),) * 2
    return Sizes(
        train_images=max(classes, round_half_up(round_half_up((n - largest_validation) * share) * train_share)),
        validation_images=min(validation, max(classes, round_half_up(validation * share))),
        test_images=min(len(test), max(classes, round_half_up(len(test) * share))),
        majority_share=float(np.bincount(labels).max(initial=0) / max(1, n)),
    )


def check_classes(
    data_set: str, labels: Labels, names: Sequence[str], *, holdout: Fraction, train: int, folds: int = 0
) -> None:
    """Refuses a split in which a class has no image for training or validation.

    Raises:
        DataError: names the smallest class, and how many images are needed.
    """
    counts = np.bincount(labels, minlength=len(names))
    smallest = int(counts.argmin())
    minimum = folds or math.ceil(1 / min(holdout, 1 - holdout))
    if counts[smallest] < minimum:
        split = f"{folds} folds" if folds else f"validation_share={float(holdout):g}"
        raise DataError(
            f"class {names[smallest]!r} of {data_set} has {counts[smallest]} training images, too few for {split}; "
            f"valid: {minimum} or more images of each class"
        )
    if train * int(counts[smallest]) < len(labels):
        raise DataError(
            f"{train} training images of {data_set} have no image of class {names[smallest]!r}; valid: "
            f"{math.ceil(len(labels) / int(counts[smallest]))} or more training images"
        )
