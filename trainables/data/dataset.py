"""A prepared data set: found once, copied into this machine's cache, then split by each trial's seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data import cache
from trainables.data.arrays import Images, ImageSet, Labels, Rows, Sets
from trainables.data.leftovers import remove_leftovers
from trainables.data.pictures import variants
from trainables.data.pictures.picture_list import Fitting
from trainables.data.pictures.variants import PictureOptions
from trainables.data.sources import PictureSource, Say, log, source
from trainables.data.splits import (
    TEST_SEED,
    Needs,
    Sizes,
    check_classes,
    check_part,
    round_half_up,
    select_classes,
    sizes,
    stratified_order,
)  # fmt: skip
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
        validation_rows: the number of last rows of the training file that are the data set's own validation part,
            which every seed has; 0 if each seed draws one.
        native: width and height of most pictures, if trials may have them in several sizes (`fitted`); None for a data
            set whose images are stored as they are.
        mixed: whether other pictures have other sizes.
        problem: why trials cannot have the whole data set, but perhaps a part of it; empty if they can.
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
    validation_rows: int = 0
    native: tuple[int, int] | None = None
    mixed: bool = False
    problem: str = ""

    def fitted(self, image_size: int = 0, fit: str = "stretch", resizing: str = "bilinear") -> "Data":
        """The same data set with its pictures as a trial with these keys needs them: the same rows, another size.

        Data sets of which there is only one size stay as they are: the network resizes their images.
        """
        if self.native is None:
            return self
        fitting = Fitting(image_size=image_size, fit=fit, resizing=resizing)
        size = variants.stored_size(fitting, self.native, mixed=self.mixed)
        folder = self.folder.with_name(variants.folder_name(self.name, self.fingerprint, fitting, size))
        return replace(self, folder=folder, image_shape=(*size[::-1], self.image_shape[-1]))

    def limited(self, images: int) -> "Data":
        """The data set with this number of training images; the validation and test sets shrink in proportion.

        They keep at least as many images as there are classes (one of each, where classes are of equal size).

        Raises:
            DataError: if there are not so many, or fewer than classes.
        """
        available, _ = self._available(len(self.labels("train")) - self.validation_rows, self.validation_rows)
        if not len(self.classes) <= images <= available:
            raise DataError(
                f"images={images} is not valid for {self.name}; valid: {len(self.classes)} to {available:,} training "
                "images"
            )
        return replace(self, share=Fraction(images, available))._with_sizes()

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
            DataError: if a class has too few images for this part, or the data set has a validation part of its own,
                and another one is asked for.
        """
        if self.validation_rows and (folds or holdout is not None):
            raise DataError(
                f"{self.name} has a validation part of its own, with {self.validation_rows:,} images, which every "
                "trial uses as it is; valid: --folds 0 without validation_share, or its images in the training part"
            )
        class_indices = self.class_indices if class_indices is None else class_indices
        holdout = self.holdout if holdout is None else holdout
        if (class_indices, train_share, holdout, folds) == (self.class_indices, Fraction(1), self.holdout, 0):
            if self.problem:
                raise DataError(self.problem)
            return self
        part = replace(self, holdout=holdout, fold=fold, folds=folds, problem="")
        names = tuple(self.classes[self.class_indices.index(index)] for index in class_indices)
        set_sizes = part._sizes(class_indices, train_share)
        part._check(class_indices, set_sizes.train_images)
        return replace(part, **vars(set_sizes), classes=names, class_indices=class_indices)

    def split(self, seed: int) -> Sets:
        """The sets of a seed: the same in every process, and a larger set contains the smaller one.

        The seed draws the validation images from the training file, stratified by class, unless the data set has a
        validation part; the test set is the same for every seed. Images stay in the cache until they are accessed.

        Raises:
            DataError: if the seed is negative, or the data set is not in this machine's cache.
        """
        if seed < 0:
            raise DataError(f"seed {seed} is not valid; valid: 0 or more")
        if self.problem:
            raise DataError(self.problem)
        places, labels = select_classes(self._training_labels, self.class_indices)
        permutation = stratified_order(labels, seed)
        first, pool = self._validation(len(labels))
        permutation = np.roll(permutation, -first)
        train, validation = permutation[pool : pool + self.train_images], permutation[: self.validation_images]
        validation_places, validation_labels = places[validation], labels[validation]
        if self.validation_rows:
            first_row = len(self.labels("train")) - self.validation_rows
            given_places, given_labels = select_classes(self._validation_labels, self.class_indices)
            validation = stratified_order(given_labels, TEST_SEED)[: self.validation_images]
            validation_places, validation_labels = first_row + given_places[validation], given_labels[validation]
        test_places, test_labels = select_classes(self.labels("test"), self.class_indices)
        test = stratified_order(test_labels, TEST_SEED)[: self.test_images]
        return Sets(
            train=self._rows("train", places[train], labels[train]),
            validation=self._rows("train", validation_places, validation_labels),
            test=self._rows("test", test_places[test], test_labels[test]),
        )

    def labels(self, file: str) -> Labels:
        """All labels of a file of the whole data set, `train` or `test`.

        Raises:
            DataError: if the data set is not in this machine's cache.
        """
        return self._array(f"{file}_labels")

    def images(self, file: str) -> Images:
        """All images of a file of the whole data set, `train` or `test`; only those that are read take memory.

        Raises:
            DataError: if the data set is not in this machine's cache.
        """
        return self._array(f"{file}_images")

    @property
    def _training_labels(self) -> Labels:
        """The labels of the training file without its given validation part."""
        labels = self.labels("train")
        return labels[: len(labels) - self.validation_rows]

    @property
    def _validation_labels(self) -> Labels:
        """The labels of the given validation part."""
        labels = self.labels("train")
        return labels[len(labels) - self.validation_rows :]

    def _with_sizes(self) -> "Data":
        """The whole data set with its sizes, or with the problem that forbids it."""
        whole = replace(self, **vars(self._sizes(self.class_indices)), problem="")
        try:
            whole._check(self.class_indices, whole.train_images)
        except DataError as error:
            return replace(whole, problem=str(error))
        return whole

    def _labels_of(self, class_indices: tuple[int, ...]) -> tuple[Labels, Labels, Labels]:
        """The labels of these classes' images for training, in the given validation part, and for the test."""
        train, validation, test = (
            select_classes(labels, class_indices)[1]
            for labels in (self._training_labels, self._validation_labels, self.labels("test"))
        )
        return train, validation, test

    def _sizes(self, class_indices: tuple[int, ...], train_share: Fraction = Fraction(1)) -> Sizes:
        """The sizes of the sets with these classes."""
        labels, validation, test = self._labels_of(class_indices)
        return sizes(
            validation if self.validation_rows else labels,
            test,
            share=self.share,
            available=self._available(len(labels), len(validation)),
            train_share=train_share,
        )

    def _check(self, class_indices: tuple[int, ...], train_images: int) -> None:
        """Refuses these classes if one has too few images for this number of training images.

        Raises:
            DataError: names the class, and what is valid.
        """
        labels, validation, test = self._labels_of(class_indices)
        names = [self.classes[self.class_indices.index(index)] for index in class_indices]
        check_classes(self.name, labels, names, needs=self._needs(len(labels)), train=train_images)
        if self.validation_rows:
            check_part(self.name, "validation", validation, names)
        if self.native is not None:
            check_part(self.name, "test", test, names)

    def _needs(self, images: int) -> Needs:
        """What each class needs, of this number of images in the training file."""
        if self.validation_rows:
            return Needs(images=1, reason="training")
        if self.folds:
            return Needs(images=self.folds, reason=f"{self.folds} folds")
        return Needs(
            images=math.ceil(1 / min(self.holdout, 1 - self.holdout)),
            reason=f"validation_share={float(self.holdout):g}",
            validation=round_half_up(images * self.holdout),
        )

    def _available(self, images: int, validation_rows: int) -> tuple[int, int]:
        """The numbers of images for training and for validation, of this number in the training file.

        Args:
            images: of the training file without its given validation part.
            validation_rows: of that part.
        """
        if self.validation_rows:
            return images, validation_rows
        if self.folds:
            return images - -(-images // self.folds), images // self.folds
        validation = round_half_up(images * self.holdout)
        return images - validation, validation

    def _validation(self, images: int) -> tuple[int, int]:
        """The first validation image in the permutation, and the number of validation images."""
        if self.validation_rows:
            return 0, 0
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
    pictures: PictureOptions = PictureOptions(),  # noqa: B008 (it is frozen)
) -> Data:
    """Finds a data set, copies it into this machine's cache once, and returns it with its sizes.

    Args:
        name: a module in trainables/data/datasets.
        folder: the only place to look for its files; by default the module's own places.
        images: number of training images, all by default (`Data.limited`).
        strict: whether a damaged image is an error; else it is named and left out.
        say: takes short sentences about work that takes time.
        pictures: the sizes that pictures are decoded to, which `Data.fitted` then has, the first of them in what is
            returned; and how a table of pictures is read. For other data sets these do not matter.

    Raises:
        DataError: if the name or number is not valid, the files are missing or damaged, or the cache cannot be written.
    """
    data_source = source(name, folder)
    try:
        with cache.preparation_lock(data_source.NAME, say):
            remove_leftovers(data_source.NAME)
            place = data_source.find(folder, say=say)
            if isinstance(data_source, PictureSource):
                folder = variants.folder_of(data_source, place, pictures, strict, say)
            else:
                folder = cache.folder_of(data_source, place, strict, say)
    except OSError as error:
        raise DataError(
            f"the cache {cache.cache_root()} cannot be used: {error}. Set {cache.ENVIRONMENT} to another folder"
        ) from error
    data = _data(data_source.NAME, folder)
    return data if images is None else data.limited(images)


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


def _data(name: str, folder: Path) -> Data:
    facts = cache.Facts.of(folder)
    _, height, width, channels = cache.open_array(folder, "train_images").shape
    data = Data(
        name=name,
        folder=folder,
        fingerprint=folder.name.removeprefix(f"{name}-").partition("-")[0],
        classes=facts.classes,
        image_shape=(height, width, channels),
        train_images=0,
        validation_images=0,
        test_images=0,
        majority_share=0.0,
        class_indices=tuple(range(len(facts.classes))),
        validation_rows=facts.validation_rows,
        native=facts.native,
        mixed=facts.mixed,
    )
    return data._with_sizes()
