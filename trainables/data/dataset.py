"""A data set's way from its files to a trial: found, brought into this node's cache once, then split by seed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data import cache
from trainables.data.arrays import ImageSet, Labels, Rows, Sets
from trainables.data.sources import Say, log, source
from trainables.data.splits import TEST_SEED, check_classes, round_half_up, select_classes, sizes, stratified_order
from trainables.errors import DataError

VALIDATION_SHARE: Final = Fraction(1, 6)
"""Of the training file: the 60,000 images of Fashion-MNIST give 50,000 to train and 10,000 to validate."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A prepared data set: small and picklable, valid on the node whose cache it names.

    The fingerprint, 16 hexadecimal digits, is that of the whole data set, whatever part was asked for. A label is an
    index into the classes; the shape is height, width, channels; the sizes are numbers of images. The majority share is
    that of the largest class among the training file's labels: what always naming this class gets right.

    Attributes:
        chosen: the classes' indices in the whole data set.
        share: the share of the training images that the command asked for.
        validating: the share of the training file that validates.
        fold: the part of the training file that validates instead, of `folds` equal parts; None for no folds.
    """

    name: str
    folder: Path
    fingerprint: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    train_images: int
    validation_images: int
    test_images: int
    majority_share: float
    chosen: tuple[int, ...] = ()
    share: Fraction = Fraction(1)
    validating: Fraction = VALIDATION_SHARE
    fold: int | None = None
    folds: int = 0

    def narrowed(
        self,
        *,
        chosen: tuple[int, ...] | None = None,
        train_share: Fraction = Fraction(1),
        validating: Fraction | None = None,
        fold: int | None = None,
        folds: int = 0,
    ) -> "Data":
        """The part of the data set that a trial sees; what is None stays as it is.

        A smaller share of the training images is part of a larger one; the sets to validate and test stay.

        Raises:
            DataError: if a class is too small for it.
        """
        chosen = self.chosen if chosen is None else chosen
        validating = self.validating if validating is None else validating
        if (chosen, train_share, validating, folds) == (self.chosen, Fraction(1), self.validating, 0):
            return self
        labels, test = (select_classes(self.labels(file), chosen)[1] for file in ("train", "test"))
        names = tuple(self.classes[self.chosen.index(index)] for index in chosen)
        sized = sizes(labels, test, share=self.share, validating=validating, folds=folds, train_share=train_share)
        check_classes(self.name, labels, names, validating=validating, train=sized.train_images, folds=folds)
        return replace(
            self,
            **vars(sized),
            classes=names,
            chosen=chosen,
            validating=validating,
            fold=fold,
            folds=folds,
        )

    def split(self, seed: int) -> Sets:
        """Return the sets of a seed: the same in every process, and larger sizes contain the smaller.

        Validation images come from the training file, drawn by the seed and stratified; the test set is the same for
        every seed. Images stay in the cache until they are asked for.

        Raises:
            DataError: The seed is negative, or the cache is not (or no longer) on this node.
        """
        if seed < 0:
            raise DataError(f"seed {seed} is not valid; valid: 0 or more")
        places, labels = select_classes(self.labels("train"), self.chosen)
        order = stratified_order(labels, seed)
        first, pool = self._validation(len(labels))
        order = np.roll(order, -first)
        test_places, test_labels = select_classes(self.labels("test"), self.chosen)
        test = stratified_order(test_labels, TEST_SEED)[: self.test_images]
        train, validation = order[pool : pool + self.train_images], order[: self.validation_images]
        return Sets(
            train=self._rows("train", places[train], labels[train]),
            validation=self._rows("train", places[validation], labels[validation]),
            test=self._rows("test", test_places[test], test_labels[test]),
        )

    def labels(self, file: str) -> Labels:
        """All labels of a file of the whole data set, `train` or `test`.

        Raises:
            DataError: if the cache is not (or no longer) on this node.
        """
        return self._open(f"{file}_labels")

    def _validation(self, images: int) -> tuple[int, int]:
        """Where the images that validate begin in the order, and how many they are."""
        if self.fold is None:
            return 0, round_half_up(images * self.validating)
        first, end = (images * part // self.folds for part in (self.fold, self.fold + 1))
        return first, end - first

    def _rows(self, file: str, rows: npt.NDArray[np.int64], labels: Labels) -> ImageSet:
        return ImageSet(images=Rows(self._open(f"{file}_images"), rows), labels=labels)

    def _open(self, array: str) -> npt.NDArray[Any]:
        try:
            return cache.open_array(self.folder, array)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name} is not in this machine's cache ({error}); call prepare here first") from error


def prepare(
    name: str,
    *,
    folder: Path | None = None,
    images: int | None = None,
    strict: bool = False,
    say: Say = log,
) -> Data:
    """Find a data set, bring it into this node's cache once, and return its sizes.

    Args:
        name: A module of trainables/data/datasets.
        folder: The only place to look for its files; by default the module's own places.
        images: Number of training images, all by default; validation and test shrink in the same proportion, and keep
            at least as many images as there are classes (one of each, where classes are of equal size).
        strict: Whether a damaged image is an error; else it is named and left out.
        say: Told in short sentences what takes time.

    Raises:
        DataError: The name or number is not valid, the files are not found or damaged, or the cache cannot be written.
    """
    its = source(name)
    try:
        with cache.preparation_lock(name, say):
            folder = cache.folder_of(its, its.find(folder, say=say), strict, say)
    except OSError as error:
        raise DataError(
            f"the cache {cache.cache_root()} cannot be used: {error}. Set {cache.ENVIRONMENT} to another folder"
        ) from error
    return _data(its.NAME, folder, images)


def brought(data: Data, piece: Callable[[Path, int], bytes]) -> Data:
    """A data set that another machine has prepared, in this machine's cache; brought here once, if it is not there.

    Args:
        data: the data set, valid on the other machine.
        piece: gives the bytes of a file of that machine from an offset on; none behind its end.

    Raises:
        OSError: if it cannot be read there, or not be written here.
        DataError: if it arrives damaged.
    """
    if cache.is_intact(data.folder):
        return data
    with cache.preparation_lock(data.name, log):
        return replace(data, folder=cache.fetch(data.folder, piece))


def _data(name: str, cached: Path, images: int | None) -> Data:
    names = cache.class_names(cached)
    _, height, width, channels = cache.open_array(cached, "train_images").shape
    labels, test = cache.open_array(cached, "train_labels"), cache.open_array(cached, "test_labels")
    whole = len(labels) - round_half_up(len(labels) * VALIDATION_SHARE)
    train = whole if images is None else images
    if not len(names) <= train <= whole:
        raise DataError(f"images={train} is not valid for {name}; valid: {len(names)} to {whole:,} training images")
    share = Fraction(train, whole)
    check_classes(name, labels, names, validating=VALIDATION_SHARE, train=train)
    return Data(
        **vars(sizes(labels, test, share=share, validating=VALIDATION_SHARE)),
        name=name,
        folder=cached,
        fingerprint=cached.name.rpartition("-")[2],
        classes=names,
        image_shape=(height, width, channels),
        chosen=tuple(range(len(names))),
        share=share,
    )
