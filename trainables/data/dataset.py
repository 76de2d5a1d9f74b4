"""A prepared data set: found once, copied into this machine's cache, then split by each trial's seed."""

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
    """A prepared data set: small and picklable, valid on the machine whose cache it names.

    The fingerprint has 16 hexadecimal digits and stands for the whole data set, whatever part of it is used. A label is
    an index into the classes; the shape is height, width, channels; the sizes are numbers of images. The majority share
    is the largest class' share of the training file: the accuracy of a model that always predicts this class.

    Attributes:
        class_indices: the classes' indices in the whole data set.
        share: the share of the training images that the command uses.
        holdout: the share of the training file that is used for validation.
        fold: the part of the training file that is used for validation instead, one of `folds` equal parts; None
            without folds.
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
    class_indices: tuple[int, ...] = ()
    share: Fraction = Fraction(1)
    holdout: Fraction = VALIDATION_SHARE
    fold: int | None = None
    folds: int = 0

    def part(
        self,
        *,
        class_indices: tuple[int, ...] | None = None,
        train_share: Fraction = Fraction(1),
        holdout: Fraction | None = None,
        fold: int | None = None,
        folds: int = 0,
    ) -> "Data":
        """The part of the data set that a trial uses; an argument of None changes nothing.

        A smaller share of the training images is part of a larger one; the validation and test sets stay the same.

        Raises:
            DataError: if a class has too few images for this part.
        """
        class_indices = self.class_indices if class_indices is None else class_indices
        holdout = self.holdout if holdout is None else holdout
        if (class_indices, train_share, holdout, folds) == (self.class_indices, Fraction(1), self.holdout, 0):
            return self
        labels, test = (select_classes(self.labels(file), class_indices)[1] for file in ("train", "test"))
        names = tuple(self.classes[self.class_indices.index(index)] for index in class_indices)
        set_sizes = sizes(labels, test, share=self.share, holdout=holdout, folds=folds, train_share=train_share)
        check_classes(self.name, labels, names, holdout=holdout, train=set_sizes.train_images, folds=folds)
        return replace(
            self,
            **vars(set_sizes),
            classes=names,
            class_indices=class_indices,
            holdout=holdout,
            fold=fold,
            folds=folds,
        )

    def split(self, seed: int) -> Sets:
        """The sets of a seed: the same in every process, and a larger set contains the smaller one.

        The seed draws the validation images from the training file, stratified by class; the test set is the same for
        every seed. Images stay in the cache until they are accessed.

        Raises:
            DataError: if the seed is negative, or the data set is not in this machine's cache.
        """
        if seed < 0:
            raise DataError(f"seed {seed} is not valid; valid: 0 or more")
        places, labels = select_classes(self.labels("train"), self.class_indices)
        permutation = stratified_order(labels, seed)
        first, pool = self._validation(len(labels))
        permutation = np.roll(permutation, -first)
        test_places, test_labels = select_classes(self.labels("test"), self.class_indices)
        test = stratified_order(test_labels, TEST_SEED)[: self.test_images]
        train, validation = permutation[pool : pool + self.train_images], permutation[: self.validation_images]
        return Sets(
            train=self._rows("train", places[train], labels[train]),
            validation=self._rows("train", places[validation], labels[validation]),
            test=self._rows("test", test_places[test], test_labels[test]),
        )

    def labels(self, file: str) -> Labels:
        """All labels of a file of the whole data set, `train` or `test`.

        Raises:
            DataError: if the data set is not in this machine's cache.
        """
        return self._array(f"{file}_labels")

    def _validation(self, images: int) -> tuple[int, int]:
        """The first validation image in the permutation, and the number of validation images."""
        if self.fold is None:
            return 0, round_half_up(images * self.holdout)
        first, end = (images * part // self.folds for part in (self.fold, self.fold + 1))
        return first, end - first

    def _rows(self, file: str, rows: npt.NDArray[np.int64], labels: Labels) -> ImageSet:
        return ImageSet(images=Rows(self._array(f"{file}_images"), rows), labels=labels)

    def _array(self, array: str) -> npt.NDArray[Any]:
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
    """Finds a data set, copies it into this machine's cache once, and returns it with its sizes.

    Args:
        name: a module in trainables/data/datasets.
        folder: the only place to look for its files; by default the module's own places.
        images: number of training images, all by default. The validation and test sets shrink in the same proportion,
            but keep at least as many images as there are classes (one of each, where classes are of equal size).
        strict: whether a damaged image is an error; else it is named and left out.
        say: takes short sentences about work that takes time.

    Raises:
        DataError: if the name or number is not valid, the files are missing or damaged, or the cache cannot be written.
    """
    data_source = source(name)
    try:
        with cache.preparation_lock(name, say):
            folder = cache.folder_of(data_source, data_source.find(folder, say=say), strict, say)
    except OSError as error:
        raise DataError(
            f"the cache {cache.cache_root()} cannot be used: {error}. Set {cache.ENVIRONMENT} to another folder"
        ) from error
    return _data(data_source.NAME, folder, images)


def local_copy(data: Data, read_piece: Callable[[Path, int], bytes]) -> Data:
    """A data set that another machine has prepared, in this machine's cache; it is copied if it is not here yet.

    Args:
        data: the data set, valid on the other machine.
        read_piece: reads bytes of a file of that machine from an offset on; returns no bytes at its end.

    Raises:
        OSError: if it cannot be read on that machine or written on this one.
        DataError: if the copy is damaged.
    """
    if cache.is_intact(data.folder):
        return data
    with cache.preparation_lock(data.name, log):
        return replace(data, folder=cache.fetch(data.folder, read_piece))


def _data(name: str, folder: Path, images: int | None) -> Data:
    names = cache.class_names(folder)
    _, height, width, channels = cache.open_array(folder, "train_images").shape
    labels, test = cache.open_array(folder, "train_labels"), cache.open_array(folder, "test_labels")
    available = len(labels) - round_half_up(len(labels) * VALIDATION_SHARE)
    train = available if images is None else images
    if not len(names) <= train <= available:
        raise DataError(f"images={train} is not valid for {name}; valid: {len(names)} to {available:,} training images")
    share = Fraction(train, available)
    check_classes(name, labels, names, holdout=VALIDATION_SHARE, train=train)
    return Data(
        **vars(sizes(labels, test, share=share, holdout=VALIDATION_SHARE)),
        name=name,
        folder=folder,
        fingerprint=folder.name.rpartition("-")[2],
        classes=names,
        image_shape=(height, width, channels),
        class_indices=tuple(range(len(names))),
        share=share,
    )
