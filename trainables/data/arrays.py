"""A data set in memory: whole arrays, rows of them, and the three sets of a trial."""

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

ARRAYS: Final = ("train_images", "train_labels", "test_images", "test_labels")
"""The names of a data set's arrays; each array is a file in the cache."""

_BLOCK: Final = 8 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A whole data set: uint8 images (n, height, width, channels), int64 labels (n,) from 0, names of the classes."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]

    @classmethod
    def split_by(
        cls, images: Images, labels: Labels, in_test: npt.NDArray[np.bool_], classes: tuple[str, ...]
    ) -> "Arrays":
        """Splits one set into two: `in_test` (n,) says which images belong to the test set."""
        return cls(
            train_images=images[~in_test],
            train_labels=labels[~in_test],
            test_images=images[in_test],
            test_labels=labels[in_test],
            classes=classes,
        )

    @property
    def by_name(self) -> Mapping[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in ARRAYS}


def blocks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """The rows of an array, a few megabytes at a time; those of a mapped file do not stay in memory."""
    mapped = getattr(array, "_mmap", None)
    step = max(1, _BLOCK * len(array) // max(1, array.nbytes))
    for first in range(0, len(array), step):
        yield np.ascontiguousarray(array[first : first + step])
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows (n,) of an array in the cache. They are read on access, so that processes share the system's file cache."""

    array: Images
    rows: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all rows together."""
        return (len(self.rows), *self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: slice | npt.NDArray[np.int64]) -> Images:
        """A copy of the rows with these indices."""
        return self.array[self.rows[key]]

    def __array__(self, dtype: npt.DTypeLike | None = None, *, copy: bool | None = None) -> npt.NDArray[Any]:
        """All rows; NumPy calls this."""
        return np.asarray(self.array[self.rows], dtype=dtype)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """One set in its order: uint8 images (n, height, width, channels), int64 labels (n,)."""

    images: Images | Rows
    labels: Labels

    def first(self, number: int) -> "ImageSet":
        """The first `number` images, or all if there are fewer."""
        return (
            self if number >= len(self.labels) else ImageSet(images=self.images[:number], labels=self.labels[:number])
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """The three sets of a trial; schedulers and searches use the validation set only."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet
