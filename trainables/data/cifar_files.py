"""The files of CIFAR-10 and CIFAR-100 in their version for Python (Krizhevsky 2009), as Keras and others keep them.

They are pickles, and a pickle may run any code. So an unpickler reads them that makes arrays and nothing else.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import download, keras_home, unpack
from trainables.data.sources import Say, log
from trainables.errors import DataError

_SHAPE: Final = (3, 32, 32)
_ARRAYS: Final = frozenset(
    {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }
)

_BROKEN: Final = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError, ImportError,
    OverflowError, MemoryError,
)  # fmt: skip
"""The errors that a damaged pickle may raise."""


@dataclass(frozen=True, kw_only=True)
class CifarFiles:
    """The names of a data set's files, and where to download them.

    Attributes:
        title: the data set's name for people.
        folder: the folder in its archive.
        archive: the archive's name.
        address: the archive's address.
        sha256: the archive's SHA-256.
        train: the files of the training set.
        test: the file of the test set.
        labels: the key of the labels.
        meta: the file that names the classes.
        names: the key of the classes' names.
    """

    title: str
    folder: str
    archive: str
    address: str
    sha256: str
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
            download(self.address, archive, sha256=self.sha256, say=say)
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
        try:
            return tuple(name.decode() for name in _unpickle(path)[self.names.encode()])
        except (KeyError, AttributeError, TypeError) as error:
            raise DataError(f"{path} is not a file of {self.title}: {error!r}") from error

    def _batch(self, path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        content = _unpickle(path)
        try:
            images = np.asarray(content[b"data"], dtype=np.uint8).reshape(-1, *_SHAPE).transpose(0, 2, 3, 1)
            labels = np.asarray(content[self.labels.encode()], dtype=np.int64)
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} is not a file of {self.title}: {error!r}") from error
        if len(images) != len(labels):
            raise DataError(f"{path} has {len(images)} images but {len(labels)} labels")
        return np.ascontiguousarray(images), labels


class _ArraysOnly(pickle.Unpickler):
    """Makes arrays, numbers, texts, lists and dicts; refuses every other class that a pickle names."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which image data does not need")
        return super().find_class(module, name)


def _unpickle(path: Path) -> dict[bytes, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except _BROKEN as error:
        raise DataError(f"{path} is truncated, damaged or not a CIFAR file: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a CIFAR file: it holds a {type(content).__name__}, not a dict")
    return content
