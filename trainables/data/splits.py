"""How a training file is split: drawn from the labels alone, by class, and the same in every process."""

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
    """Return an order (n,) of all indices in which every prefix has each class's share, to within about one image.

    Each class is permuted by the seed and spread evenly over the order. Raw 64-bit draws are used, which NumPy keeps
    the same for ever, as it does not its permutations (NEP 19).
    """
    draws = np.random.PCG64(seed).random_raw(2 * len(labels)).reshape(2, len(labels))
    by_class = np.lexsort((draws[0], labels))
    sizes = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    position = (rank + 0.5) / np.repeat(sizes, sizes)
    return by_class[np.lexsort((draws[1], position))].astype(np.int64)


def stratified_mask(labels: Labels, share: float) -> npt.NDArray[np.bool_]:
    """Which images (n,) are the test set's, where that is a share of all: stratified, and always the same."""
    order = stratified_order(labels, TEST_SEED)
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[: round(share * len(order))]] = True
    return chosen


def select_classes(labels: Labels, chosen: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Labels]:
    """The places of the chosen classes' images, and their labels as indices into the chosen; both (n,)."""
    index = np.full(max(int(labels.max(initial=0)), *chosen) + 1, -1, dtype=np.int64)
    index[list(chosen)] = np.arange(len(chosen))
    renamed = index[labels]
    places = np.flatnonzero(renamed >= 0)
    return places, renamed[places]


def round_half_up(number: Fraction) -> int:
    """The nearest whole number, the larger of two."""
    return int(number + Fraction(1, 2))


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of images, and the share of the largest class in the training file."""

    train_images: int
    validation_images: int
    test_images: int
    majority_share: float


def sizes(
    labels: Labels,
    test: Labels,
    *,
    share: Fraction,
    validating: Fraction,
    folds: int = 0,
    train_share: Fraction = Fraction(1),
) -> Sizes:
    """The sizes of the three sets, of which `share` was asked for; at least as many as there are classes.

    They are those of every fold: where folds differ by an image, the larger ones leave one out. A `train_share` of the
    training set is left of it.
    """
    classes, n = len(np.unique(labels)), len(labels)
    pool, most = (n // folds, -(-n // folds)) if folds else (round_half_up(n * validating),) * 2
    return Sizes(
        train_images=max(classes, round_half_up(round_half_up((n - most) * share) * train_share)),
        validation_images=min(pool, max(classes, round_half_up(pool * share))),
        test_images=min(len(test), max(classes, round_half_up(len(test) * share))),
        majority_share=float(np.bincount(labels).max(initial=0) / max(1, n)),
    )


def check_classes(
    data_set: str, labels: Labels, names: Sequence[str], *, validating: Fraction, train: int, folds: int = 0
) -> None:
    """Refuses a split that leaves a class without an image to train or to validate.

    Raises:
        DataError: naming the smallest class, and how many images are needed.
    """
    counts = np.bincount(labels, minlength=len(names))
    smallest = int(counts.argmin())
    least = folds or math.ceil(1 / min(validating, 1 - validating))
    if counts[smallest] < least:
        asked = f"{folds} folds" if folds else f"validation_share={float(validating):g}"
        raise DataError(
            f"class {names[smallest]!r} of {data_set} has {counts[smallest]} training images, too few for {asked}; "
            f"valid: {least} or more images of each class"
        )
    if train * int(counts[smallest]) < len(labels):
        raise DataError(
            f"{train} training images of {data_set} have no image of class {names[smallest]!r}; valid: "
            f"{math.ceil(len(labels) / int(counts[smallest]))} or more training images"
        )
