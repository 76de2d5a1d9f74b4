"""The files of CIFAR-10 and CIFAR-100 in their version for Python (Krizhevsky 2009), as Keras and others keep them.

They are pickles, and a pickle may run any code: `number_pickles` reads them.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from trainables.data import number_pickles
from trainables.data.archives import unpack
from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import RemoteFile, download, keras_home
from trainables.data.sources import Say, log
from trainables.errors import DataError

_SHAPE: Final = (3, 32, 32)
_Integer = TypeVar("_Integer", np.uint8, np.int64)
LARGEST_FILE: Final = 1 << 29
"""Bytes; CIFAR-100's training file has 155 million."""


@dataclass(frozen=True, kw_only=True)
class CifarFiles:
    """The names of a data set's files, and where to download them.

    Attributes:
        title: the data set's name for people.
        folder: the folder in its archive.
        archive: the archive's name.
        remote: the archive's address, size and hash.
        train: the files of the training set.
        test: the file of the test set.
        labels: the key of the labels.
        meta: the file that names the classes.
        names: the key of the classes' names.
    """

    title: str
    folder: str
    archive: str
    remote: RemoteFile
    train: tuple[str, ...]
    test: str
    labels: str
    meta: str
    names: str

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of all files."""
        return (*self.train, self.test, self.meta)

    def find(self, folder: Path | None = None, *, say: Say = log) -> Path:
        """The folder with the files: only in `folder` if it is given; else Keras' folder, ours, or a download.

        Raises:
            DataError: if the files are not found; the message says what is valid.
        """
        keras = keras_home() / "datasets"
        places = [folder] if folder else [keras, keras / f"{self.folder}-target", self._downloads]
        for place in places:
            for inner in (place, place / self.folder):
                if all((inner / name).is_file() for name in self.file_names):
                    return inner
        archives = (place / self.archive for place in places)
        archive = next((path for path in archives if path.is_file()), None)
        if archive is None:
            if folder:
                raise DataError(
                    f"{self.title} was not found in {folder}; valid: a folder with {self.archive}, or with "
                    f"{', '.join(self.file_names)}"
                )
            archive = self._downloads / self.archive
            download(self.remote, archive, say=say)
        inner = unpack(archive, self._downloads, say=say) / self.folder
        if missing := [name for name in self.file_names if not (inner / name).is_file()]:
            raise DataError(f"{archive} is not {self.title}'s archive: it lacks {self.folder}/{missing[0]}")
        return inner

    @property
    def _downloads(self) -> Path:
        return cache_root() / "downloads" / self.folder

    def files(self, folder: Path) -> list[Path]:
        """The files of a folder."""
        return [folder / name for name in self.file_names]

    def load(self, folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:
        """The whole data set.

        Raises:
            DataError: if a file is damaged or not in CIFAR's format.
        """
        train = [self._batch(folder / name) for name in self.train]
        test_images, test_labels = self._batch(folder / self.test)
        classes = self._classes(folder / self.meta)
        train_labels = np.concatenate([labels for _, labels in train])
        for labels in (train_labels, test_labels):
            if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
                raise DataError(
                    f"{folder} has labels {labels.min()} to {labels.max()}; valid for its {len(classes)} classes: 0 to "
                    f"{len(classes) - 1}"
                )
        return Arrays(
            train_images=np.concatenate([images for images, _ in train]),
            train_labels=train_labels,
            test_images=test_images,
            test_labels=test_labels,
            classes=classes,
        )

    def _classes(self, path: Path) -> tuple[str, ...]:
        (names,) = self._values(path, self.names)
        if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
            raise DataError(f"{path} is not a file of {self.title}: {self.names} is not a list of names")
        try:
            return tuple(name.decode() for name in names)
        except UnicodeDecodeError as error:
            raise DataError(f"{path} has a class whose name is not UTF-8: {error}") from error

    def _batch(self, path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        pixels, numbers = self._values(path, "data", self.labels)
        data, labels = _whole_numbers(pixels, np.uint8), _whole_numbers(numbers, np.int64)
        if data is None or data.size % math.prod(_SHAPE):
            raise DataError(f"{path} is not a file of {self.title}: data is not an array of images of 3x32x32 bytes")
        if labels is None or labels.ndim != 1:
            raise DataError(f"{path} is not a file of {self.title}: {self.labels} is not a list of whole numbers")
        images = data.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)
        if len(images) != len(labels):
            raise DataError(f"{path} has {len(images)} images but {len(labels)} labels")
        return np.ascontiguousarray(images), labels

    def _values(self, path: Path, *keys: str) -> list[object]:
        """The values of these keys in a file."""
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise DataError(f"{path} has {size:,} bytes; valid for a file of {self.title}: at most {LARGEST_FILE:,}")
        try:
            content = number_pickles.read(path.read_bytes())
        except ValueError as error:
            raise DataError(f"{path} is truncated, damaged or not a CIFAR file: {error}") from error
        try:
            return [content[key.encode()] for key in keys]
        except KeyError as error:
            raise DataError(f"{path} is not a file of {self.title}: {error!r}") from error


def _whole_numbers(values: object, kind: type[_Integer]) -> npt.NDArray[_Integer] | None:
    """An array or a list of whole numbers, as this type; None if it is something else, or a number is out of range."""
    if isinstance(values, list) and all(isinstance(value, int) for value in values):
        numbers = np.array(values, dtype=object)
    elif isinstance(values, number_pickles.Array) and values.values is not None:
        numbers = values.values
    else:
        return None
    limits = np.iinfo(kind)
    in_range = not numbers.size or limits.min <= numbers.min() <= numbers.max() <= limits.max
    return numbers.astype(kind) if in_range else None
