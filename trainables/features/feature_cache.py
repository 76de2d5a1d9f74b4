"""Features of images by a frozen base, computed once per machine: for every head of a sweep, and for later sweeps.

Each machine has a folder of its own, named after it: the cache may be in a home that machines share, but a page of a
file that two of them have mapped into memory and written to would lose the rows of one.

A folder in the cache has the features of one data set by one base, and is named after the content of both. It has an
array for each of the data set's files, one row per image, and one byte per image that says whether its row is computed.
The arrays are sparse files: rows that are not computed take no space. Processes that need the same rows share the work
without waiting for each other.
"""

import contextlib
import hashlib
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import filelock
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, ImageSet, Rows, Sets
from trainables.data.cache import cache_root, host_name, replacement
from trainables.data.dataset import Data
from trainables.errors import DataError

ENVIRONMENT: Final = "LAYERSWEEP_FEATURES_GIB"
LIMIT_GIB: Final = 20.0
"""The disk space for all features of a machine; the least recently used are deleted first. With 0 nothing is stored,
and a base runs in each epoch."""

BATCH: Final = 64
"""Images per batch. All batches have this size, so that a row does not depend on the other images of its batch."""

_BATCHES_PER_FLUSH: Final = 16
"""The number of batches after which the new rows are written to disk, and then marked as computed."""
_GIB: Final = 1 << 30
_BYTES: Final = 4
"""Bytes of a float32 number."""
_FORGOTTEN_SECONDS: Final = 30 * 24 * 3600
_LAST_FILE: Final = "test_there.npy"
"""The file of a folder that is made last."""
_BLOCK: Final = 512
"""Bytes per block in `st_blocks`, which counts only the stored blocks of a sparse file."""

Base = Callable[[Images], npt.NDArray[np.float32]]
"""Takes images (batch, height, width, channels), returns features (batch, ...)."""

AugmentedBase = Callable[[Images, int, int], npt.NDArray[np.float32]]
"""The same for images that are first augmented at random; it also takes the numbers of the view and the batch."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """The features of one data set's images by one base.

    Args:
        folder: the folder with the arrays.
        shape: the shape of one image's features.
        arrays: the arrays of each of the data set's files, and the marks of their computed rows. They are open, so that
            they stay readable here when another process deletes them to make room.
    """

    folder: Path
    shape: tuple[int, ...]
    arrays: Mapping[str, Any]

    @classmethod
    def of(cls, data: Data, digest: str, shape: tuple[int, ...], *, precision: str) -> "Features":
        """The features of a data set by the base with this digest; the folder is made if it does not exist.

        Raises:
            DataError: if the cache cannot be written.
        """
        folder = root() / f"{data.folder.name}-{precision}-{digest}"
        images = {name: len(data.labels(name)) for name in ("train", "test")}
        try:
            root().mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(root() / "lock"):
                if not (folder / _LAST_FILE).is_file():
                    make_room(sum(images.values()) * math.prod(shape) * _BYTES)
                    _make(folder, images, shape)
                os.utime(folder)
                names = [name for file in images for name in (file, f"{file}_there")]
                arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", "r+") for name in names}
        except OSError as error:
            raise DataError(f"features cannot be stored in {root()}: {error.strerror or error}") from error
        return cls(folder=folder, shape=shape, arrays=arrays)

    def sets(self, sets: Sets, base: Base, *, training: bool = True) -> Sets:
        """The same sets with features in place of images; missing features are computed.

        Without `training`, the training set keeps its images.
        """
        return Sets(
            train=self._set("train", sets.train, base) if training else sets.train,
            validation=self._set("train", sets.validation, base),
            test=self._set("test", sets.test, base),
        )

    def views(self, images: ImageSet, base: AugmentedBase, views: int) -> list[ImageSet]:
        """This number of views of a training set, each with its own augmentation, the same in every process.

        They belong to these images in this order: heads share them, but seeds do not.
        """
        assert isinstance(images.images, Rows)
        array, rows = images.images.array, images.images.rows
        digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]
        view_sets = []
        with filelock.FileLock(root() / "lock"):
            missing_views = [view for view in range(views) if not (self.folder / f"view_{digest}_{view}.npy").is_file()]
            make_room(len(missing_views) * len(rows) * math.prod(self.shape) * _BYTES, protected=self.folder)
            self.folder.mkdir(exist_ok=True)
        for view in range(views):
            path = self.folder / f"view_{digest}_{view}.npy"
            with filelock.FileLock(path.with_suffix(".lock")):  # waits if another process computes it
                if not path.is_file():
                    part_path = path.with_name(f".making-{path.name}")
                    new_features = np.lib.format.open_memmap(part_path, "w+", np.float32, (len(rows), *self.shape))
                    for first in range(0, len(rows), BATCH):
                        batch = np.resize(rows[first : first + BATCH], BATCH)
                        rows_of_batch = new_features[first : first + BATCH]
                        rows_of_batch[:] = base(array[batch], view, first // BATCH)[: len(rows_of_batch)]
                    new_features.flush()
                    part_path.rename(path)
            features = np.lib.format.open_memmap(path, "r")
            view_sets.append(replace(images, images=Rows(features, np.arange(len(rows)))))
        return view_sets

    def _set(self, file: str, images: ImageSet, base: Base) -> ImageSet:
        assert isinstance(images.images, Rows)
        self._fill(file, images.images, base)
        return replace(images, images=Rows(self.arrays[file], images.images.rows))

    def _fill(self, file: str, images: Rows, base: Base) -> None:
        """Computes the missing rows. Each process begins at another row, so that they do not repeat the same work."""
        marks, features = self.arrays[f"{file}_there"], self.arrays[file]
        missing = np.unique(images.rows[marks[images.rows] == 0])
        missing = np.roll(missing, -int(np.random.default_rng(os.getpid()).integers(len(missing) or 1)))
        computed_rows: list[npt.NDArray[np.int64]] = []
        for first in range(0, len(missing), BATCH):
            rows = missing[first : first + BATCH]
            rows = rows[marks[rows] == 0]  # another process may have computed some meanwhile
            if len(rows):
                padded = np.resize(rows, BATCH)
                features[rows] = base(images.array[padded])[: len(rows)]
                computed_rows.append(rows)
            if len(computed_rows) == _BATCHES_PER_FLUSH or first + BATCH >= len(missing):
                features.flush()
                for rows in computed_rows:
                    marks[rows] = 1
                computed_rows.clear()


def _make(folder: Path, images: Mapping[str, int], shape: tuple[int, ...]) -> None:
    """Makes empty arrays."""
    with replacement(folder) as new_folder:
        for file, number in images.items():
            np.lib.format.open_memmap(new_folder / f"{file}.npy", "w+", np.float32, (number, *shape))
            np.lib.format.open_memmap(new_folder / f"{file}_there.npy", "w+", np.uint8, (number,))


def space_problem(images: int, shape: tuple[int, ...]) -> str | None:
    """The reason why the features of this number of images cannot be stored: no space; None if there is enough."""
    needed_bytes = images * math.prod(shape) * _BYTES
    existing_folder = next(path for path in (root(), *root().parents) if path.is_dir())
    limit_bytes = min(_limit(), shutil.disk_usage(existing_folder).free / 2)
    if needed_bytes <= limit_bytes:
        return None
    return (
        f"features of {images:,} images need {needed_bytes / _GIB:.1f} GiB, but they may take only "
        f"{limit_bytes / _GIB:.1f} GiB (the limit is {ENVIRONMENT}, or half of the free disk space); "
        "the frozen base runs in each epoch"
    )


def root() -> Path:
    """The folder of this machine's features."""
    return cache_root() / "features" / host_name()


def is_enabled() -> bool:
    """Whether features are stored at all."""
    return _limit() > 0


def _limit() -> float:
    """The bytes that all features may take.

    Raises:
        DataError: if LAYERSWEEP_FEATURES_GIB is not a number.
    """
    text = os.environ.get(ENVIRONMENT, str(LIMIT_GIB))
    try:
        return float(text) * _GIB
    except ValueError:
        raise DataError(
            f"{ENVIRONMENT}={text} is not valid; valid: a number of GiB, such as {LIMIT_GIB:g}, or 0 for none"
        ) from None


def make_room(needed_bytes: float, *, protected: Path | None = None) -> None:
    """Deletes the least recently used features, but not `protected`, until `needed_bytes` more fit into the limit.

    A training that reads deleted features continues: its files are open. This does not hold for other machines, whose
    features are deleted only after a long time.
    """
    for folder in _forgotten_features():
        shutil.rmtree(folder, ignore_errors=True)
    sizes = {folder: _size(folder) for folder in root().iterdir() if folder.is_dir()}
    total = needed_bytes + sum(size for _, size in sizes.values())
    if protected is not None:
        sizes.pop(protected, None)
    for folder, (_, size) in sorted(sizes.items(), key=lambda item: item[1]):
        if total <= _limit():
            return
        doomed = folder.with_name(f".going-{folder.name.removeprefix('.going-')}")
        folder.rename(doomed)  # so that a kill does not leave half a folder
        shutil.rmtree(doomed, ignore_errors=True)
        total -= size


def _forgotten_features() -> list[Path]:
    """Features in this cache, but not of this machine, that were not used for long: that machine may be gone."""
    hosts = [path for path in (cache_root() / "features").glob("*") if path.is_dir() and path != root()]
    folders = [path for host in hosts for path in ([host] if (host / _LAST_FILE).exists() else host.glob("*"))]
    return [path for path in folders if path.is_dir() and time.time() - _size(path)[0] > _FORGOTTEN_SECONDS]


def _size(folder: Path) -> tuple[float, int]:
    """The time of a folder's last use, and its bytes; files that are deleted meanwhile count as 0."""
    size, last_use = 0, 0.0
    with contextlib.suppress(FileNotFoundError):
        last_use = folder.stat().st_mtime
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                size += file.stat().st_blocks * _BLOCK
    return last_use, size
