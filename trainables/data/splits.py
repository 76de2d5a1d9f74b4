"""Stratified splits of a training file: drawn from the labels alone, and the same in every process."""

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from layersweep.formatting import count
from trainables.data.arrays import Labels
from trainables.errors import DataError

TEST_SEED: Final = 0
FEWEST_CLASSES: Final = 2
"""A classifier needs two."""


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
    available: tuple[int, int],
    train_share: Fraction = Fraction(1),
) -> Sizes:
    """The sizes of the three sets, each reduced to `share`, but with at least as many images as classes.

    Args:
        labels: those from which the validation set is drawn, or which are the given one.
        test: the labels of the test file.
        share: the share of the training images that the command uses.
        available: the numbers of images for training and for validation. Every fold has these sizes: where folds
            differ by one image, the larger ones leave one out.
        train_share: the training set is reduced further to this share.
    """
    classes, (train, validation) = len(np.unique(labels)), available
    return Sizes(
        train_images=max(classes, round_half_up(round_half_up(train * share) * train_share)),
        validation_images=min(validation, max(classes, round_half_up(validation * share))),
        test_images=min(len(test), max(classes, round_half_up(len(test) * share))),
        majority_share=float(np.bincount(labels).max(initial=0) / max(1, len(labels))),
    )


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What each class needs to be split.

    Attributes:
        images: a number of training images that always suffices.
        reason: what needs them.
        validation: the number of validation images, if they are a first part of the stratified order: a class may then
            have fewer images, as long as one is among them.
    """

    images: int
    reason: str
    validation: int = 0

    def too_small(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The classes with too few images, of which there are these numbers."""
        return np.array([k for k, size in enumerate(counts) if size < self.images and not self._suffices(size, counts)])

    def fewest(self, counts: npt.NDArray[np.int64]) -> int:
        """The fewest images of each class, if the larger ones of these numbers stay as they are."""

        def suffices(size: int) -> bool:
            larger_counts = np.maximum(counts, size)
            more = larger_counts.sum() / counts.sum()
            return replace(self, validation=int(self.validation * more))._suffices(size, larger_counts)

        return next((size for size in range(2, self.images) if suffices(size)), self.images)

    def _suffices(self, size: int, counts: npt.NDArray[np.int64]) -> bool:
        """Whether the first image of a class of this size is among those for validation, whatever the seed."""
        return size > 1 and int(np.floor(counts / (2 * size) + 0.5).sum()) <= self.validation


def check_classes(data_set: str, labels: Labels, names: Sequence[str], *, needs: Needs, train: int) -> None:
    """Refuses training images in which a class has too few.

    Args:
        data_set: its name.
        labels: those of the training file.
        names: the classes' names.
        needs: what each class needs to be split.
        train: the number of images that are trained on.

    Raises:
        DataError: names the smallest class, and how many images are needed.
    """
    counts = np.bincount(labels, minlength=len(names))
    smallest = int(counts.argmin())
    small_classes = needs.too_small(counts)
    if len(small_classes):
        size = count(int(counts[smallest]), "training image")
        raise DataError(
            f"class {names[smallest]!r} of {data_set} has {size}, too few for {needs.reason}; valid: "
            f"{needs.fewest(counts)} or more training images of each class{without(names, small_classes)}"
        )
    if train * int(counts[smallest]) < len(labels):
        raise DataError(
            f"{train} training images of {data_set} have no image of class {names[smallest]!r}; valid: "
            f"{math.ceil(len(labels) / int(counts[smallest]))} or more training images{without(names, [smallest])}"
        )


def check_part(data_set: str, part: str, labels: Labels, names: Sequence[str]) -> None:
    """Refuses a part of the data in which a class has no image.

    Raises:
        DataError: names the class.
    """
    counts = np.bincount(labels, minlength=len(names))
    if not counts.min():
        raise DataError(
            f"class {names[int(counts.argmin())]!r} of {data_set} has no image in the {part} part; valid: more "
            f"images of it{without(names, np.flatnonzero(counts == 0))}"
        )


def without(names: Sequence[str], small_classes: Iterable[int]) -> str:
    """How to leave out classes that are too small; empty if too few classes would remain."""
    small_names = [names[index] for index in small_classes]
    if len(names) - len(small_names) < FEWEST_CLASSES:
        return ""
    words = "INDEX" if any("," in name for name in small_names) else "+".join(small_names)
    return f", or leave out what is smaller: --set {shlex.quote(f'classes=without:{words}')}"
