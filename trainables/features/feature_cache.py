"""Features of images by a frozen base, computed once on a node: for every head of a sweep, and for later sweeps.

A folder in the cache holds those of one data set by one base, named by the content of both: an array for each of the
data set's files, with a row an image, sparse where nobody has asked for it, and a byte an image that says whether its
row is there. Processes that need the same rows share the work without waiting for each other.
"""

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import filelock
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, ImageSet, Rows, Sets
from trainables.data.cache import cache_root, replacement
from trainables.data.dataset import Data
from trainables.errors import DataError

ENVIRONMENT: Final = "LAYERSWEEP_FEATURES_GIB"
LIMIT_GIB: Final = 20.0
"""What all features of a node may take; those that were not used for longest go first. With 0 none are kept: a base is
run in each epoch."""

BATCH: Final = 64
"""Images at a time, always as many: a row does not depend on what else is computed with it."""

_SAVED: Final = 16
"""Batches after which what was computed is written, and then marked as there."""
_GIB: Final = 1 << 30
_BYTES: Final = 4
"""Of a number."""
_LAST: Final = "test_there.npy"
"""The file of a folder that is made last."""
_BLOCK: Final = 512
"""Bytes of what a file system counts by: of a sparse file, what there is of it."""

Base = Callable[[Images], npt.NDArray[np.float32]]
"""Images (batch, height, width, channels) in, features (batch, ...) out."""

Augmented = Callable[[Images, int, int], npt.NDArray[np.float32]]
"""The same of images that are augmented at random first, by the number of the view and that of the batch."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of one data set's images by one base.

    Args:
        folder: where they are.
        shape: that of one image's features.
        arrays: those of each of the data set's files, and which of their rows are there; open, so that what another
            process deletes to make room stays as long as it is needed here.
    """

    folder: Path
    shape: tuple[int, ...]
    arrays: Mapping[str, Any]

    @classmethod
    def of(cls, data: Data, digest: str, shape: tuple[int, ...], *, precision: str) -> "Features":
        """Those of a data set by the base with this digest; the folder is made if there is none.

        Raises:
            DataError: if the cache cannot be written.
        """
        folder = root() / f"{data.name}-{data.fingerprint}-{precision}-{digest}"
        images = {name: len(data.labels(name)) for name in ("train", "test")}
        try:
            root().mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(root() / "lock"):
                if not (folder / _LAST).is_file():
                    make_room(sum(images.values()) * math.prod(shape) * _BYTES)
                    _make(folder, images, shape)
                os.utime(folder)
                names = [name for file in images for name in (file, f"{file}_there")]
                arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "r+") for name in names}
        except OSError as error:
            raise DataError(f"features cannot be stored in {root()}: {error.strerror or error}") from error
        return cls(folder=folder, shape=shape, arrays=arrays)

    def sets(self, sets: Sets, base: Base, *, training: bool = True) -> Sets:
        """The same sets with features in place of images; what is not there yet is computed.

        The training set stays as it is where that is not asked for.
        """
        return Sets(
            train=self._set("train", sets.train, base) if training else sets.train,
            validation=self._set("train", sets.validation, base),
            test=self._set("test", sets.test, base),
        )

    def views(self, images: ImageSet, base: Augmented, number: int) -> list[ImageSet]:
        """So many views of a training set, each augmented in another way: the same in every process.

        They belong to these images in this order, so that heads share them, and seeds do not.
        """
        assert isinstance(images.images, Rows)
        array, rows = images.images.array, images.images.rows
        digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]
        found = []
        with filelock.FileLock(root() / "lock"):
            missing = [view for view in range(number) if not (self.folder / f"view_{digest}_{view}.npy").is_file()]
            make_room(len(missing) * len(rows) * math.prod(self.shape) * _BYTES, but=self.folder)
            self.folder.mkdir(exist_ok=True)
        for view in range(number):
            path = self.folder / f"view_{digest}_{view}.npy"
            with filelock.FileLock(path.with_suffix(".lock")):  # another process may be at it: then it is waited for
                if not path.is_file():
                    making = path.with_name(f".making-{path.name}")
                    features = np.lib.format.open_memmap(making, "w+", np.float32, (len(rows), *self.shape))
                    for first in range(0, len(rows), BATCH):
                        batch = np.resize(rows[first : first + BATCH], BATCH)
                        part = features[first : first + BATCH]
                        part[:] = base(array[batch], view, first // BATCH)[: len(part)]
                    features.flush()
                    making.rename(path)
            there = np.lib.format.open_memmap(path, "r")
            found.append(replace(images, images=Rows(there, np.arange(len(rows)))))
        return found

    def _set(self, file: str, images: ImageSet, base: Base) -> ImageSet:
        assert isinstance(images.images, Rows)
        self._fill(file, images.images, base)
        return replace(images, images=Rows(self.arrays[file], images.images.rows))

    def _fill(self, file: str, images: Rows, base: Base) -> None:
        """Computes the rows that are not there, from a place of this process' own: others begin elsewhere."""
        there, features = self.arrays[f"{file}_there"], self.arrays[file]
        missing = np.unique(images.rows[there[images.rows] == 0])
        missing = np.roll(missing, -int(np.random.default_rng(os.getpid()).integers(len(missing) or 1)))
        new: list[npt.NDArray[np.int64]] = []
        for first in range(0, len(missing), BATCH):
            rows = missing[first : first + BATCH]
            rows = rows[there[rows] == 0]  # another process may have been here meanwhile
            if len(rows):
                padded = np.resize(rows, BATCH)
                features[rows] = base(images.array[padded])[: len(rows)]
                new.append(rows)
            if len(new) == _SAVED or first + BATCH >= len(missing):
                features.flush()
                for written in new:
                    there[written] = 1
                new.clear()


def _make(folder: Path, images: Mapping[str, int], shape: tuple[int, ...]) -> None:
    """Makes empty arrays."""
    with replacement(folder) as making:
        for file, number in images.items():
            np.lib.format.open_memmap(making / f"{file}.npy", "w+", np.float32, (number, *shape))
            np.lib.format.open_memmap(making / f"{file}_there.npy", "w+", np.uint8, (number,))


def refused(images: int, shape: tuple[int, ...]) -> str | None:
    """Why the features of so many images are not kept, if so: they would take more than they may, or than there is."""
    needed = images * math.prod(shape) * _BYTES
    there = next(path for path in (root(), *root().parents) if path.is_dir())
    most = min(_limit(), shutil.disk_usage(there).free / 2)
    if needed <= most:
        return None
    return (
        f"features of {images:,} images need {needed / _GIB:.1f} GiB, but they may take only {most / _GIB:.1f} GiB "
        f"(the limit is {ENVIRONMENT}, or half of the free disk space); the frozen base runs in each epoch"
    )


def root() -> Path:
    """Where the features of this node are."""
    return cache_root() / "features"


def kept() -> bool:
    """Whether features are kept at all."""
    return _limit() > 0


def _limit() -> float:
    """Bytes that all features may take.

    Raises:
        DataError: if that is no number.
    """
    said = os.environ.get(ENVIRONMENT, str(LIMIT_GIB))
    try:
        return float(said) * _GIB
    except ValueError:
        raise DataError(
            f"{ENVIRONMENT}={said} is not valid; valid: a number of GiB, such as {LIMIT_GIB:g}, or 0 for none"
        ) from None


def make_room(needed: float, *, but: Path | None = None) -> None:
    """Deletes the features that were not used for longest, until so many bytes more are no more than all may take.

    A training that reads some of them goes on: its files are open.
    """
    sizes = {folder: _size(folder) for folder in root().iterdir() if folder.is_dir()}
    total = needed + sum(size for _, size in sizes.values())
    if but is not None:
        sizes.pop(but, None)
    for folder, (_, size) in sorted(sizes.items(), key=lambda item: item[1]):
        if total <= _limit():
            return
        going = folder.with_name(f".going-{folder.name.removeprefix('.going-')}")
        folder.rename(going)  # a kill leaves no half of it in place
        shutil.rmtree(going, ignore_errors=True)
        total -= size


def _size(folder: Path) -> tuple[float, int]:
    """When a folder was last used, and the bytes that it takes; what goes meanwhile counts as nothing."""
    taken, used = 0, 0.0
    with contextlib.suppress(FileNotFoundError):
        used = folder.stat().st_mtime
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                taken += file.stat().st_blocks * _BLOCK
    return used, taken
