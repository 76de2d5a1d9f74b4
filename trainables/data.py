"""A data set's way from its files to a trial: cached once a node as plain arrays, then split by seed.

A data set is one file in trainables/datasets (see Source). The cache's content names its folder, so two versions of a
data set never meet; splits and subsets are drawn from the labels alone, and are the same in every process.
"""

import hashlib
import importlib
import json
import logging
import os
import pkgutil
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias, cast

import filelock
import numpy as np
import numpy.typing as npt

from trainables import datasets
from trainables.errors import DataError

VALIDATION_SHARE: Final = Fraction(1, 6)
ENVIRONMENT: Final = "LAYERSWEEP_CACHE"
_LAYOUT: Final = 1
_TEST_SEED: Final = 0

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A whole data set: uint8 images (n, height, width, channels), int64 labels (n,) from 0."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """One set in its order: uint8 images (n, height, width, channels), int64 labels (n,)."""

    images: Images
    labels: Labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """The three sets of a trial; scheduling and choice see validation only."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


class Source(Protocol):
    """What a module in trainables/datasets has: its files are those that, unchanged, need not be read again."""

    NAME: str
    CLASSES: tuple[str, ...]
    FILES: Collection[str]

    def find(self, folder: Path | None = None, *, say: Callable[[str], None]) -> Path:
        """Return the folder with FILES, or raise DataError."""

    def load(self, folder: Path) -> Arrays:
        """Return the whole data set, checked, or raise DataError."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """A prepared data set: small and picklable, valid on the node whose cache it names.

    The fingerprint, 16 hexadecimal digits, is that of the whole data set, whatever the sizes asked for. A label is an
    index into the classes; the shape is height, width, channels; the sizes are numbers of images. The majority share is
    that of the largest class among the training file's labels: what always naming this class gets right.
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

    def split(self, seed: int) -> Sets:
        """Return the sets of a seed: the same arrays in every process, and larger sizes contain the smaller.

        Validation images come from the training file, drawn by the seed and stratified; the test set is the same for
        every seed. All are copies in memory (all of Fashion-MNIST: 55 MB, 0.1 s).

        Raises:
            DataError: The seed is negative, or the cache is not (or no longer) on this node.
        """
        if seed < 0:
            raise DataError(f"seed {seed} is not valid: 0 or more is")
        labels = self._open("train_labels")
        order = stratified_order(labels, seed)
        pool = _nearest(len(labels) * VALIDATION_SHARE)
        test = stratified_order(self._open("test_labels"), _TEST_SEED)
        return Sets(
            train=self._rows("train", order[pool : pool + self.train_images]),
            validation=self._rows("train", order[: self.validation_images]),
            test=self._rows("test", test[: self.test_images]),
        )

    def _rows(self, file: str, rows: npt.NDArray[np.int64]) -> ImageSet:
        return ImageSet(images=self._open(f"{file}_images")[rows], labels=self._open(f"{file}_labels")[rows])

    def _open(self, array: str) -> npt.NDArray[Any]:
        try:
            return _opened(self.folder, array)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name} is not in this node's cache ({error}): call prepare here first") from error


def cache_root() -> Path:
    """Return the node-local cache: LAYERSWEEP_CACHE, else XDG_CACHE_HOME/layersweep, else ~/.cache/layersweep."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "layersweep"


def prepare(
    name: str, *, folder: Path | None = None, images: int | None = None, say: Callable[[str], None] = _log.info
) -> Data:
    """Find a data set, bring it into this node's cache (1 s, later 2 ms), and return its sizes.

    Args:
        name: A module of trainables/datasets.
        folder: The only place to look for its files; by default the module's own places.
        images: Number of training images, all by default; validation and test shrink in the same proportion, and keep
            at least as many images as there are classes (one of each, where classes are of equal size).
        say: Told in short sentences what takes time.

    Raises:
        DataError: The name or number is not valid, the files are not found or damaged, or the cache cannot be written.
    """
    source = _source(name)
    try:
        with _alone(name, say):
            cached = _cached(source, source.find(folder, say=say), say)
    except OSError as error:
        raise DataError(f"the cache {cache_root()} cannot be used: {error}. Set {ENVIRONMENT} to a folder") from error
    return _data(source, cached, images)


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


def _source(name: str) -> Source:
    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    if name not in names:
        raise DataError(f"data set {name!r} is not known: valid are {', '.join(names)}")
    return cast(Source, importlib.import_module(f"{datasets.__name__}.{name}"))


def _data(source: Source, cached: Path, images: int | None) -> Data:
    classes = len(source.CLASSES)
    shape = _opened(cached, "train_images").shape
    labels, test = _opened(cached, "train_labels"), len(_opened(cached, "test_labels"))
    pool = _nearest(shape[0] * VALIDATION_SHARE)
    whole = shape[0] - pool
    train = whole if images is None else images
    if not classes <= train <= whole:
        raise DataError(f"images={train} is not valid for {source.NAME}: {classes} to {whole:,} training images are")
    return Data(
        name=source.NAME,
        folder=cached,
        fingerprint=cached.name.rpartition("-")[2],
        classes=source.CLASSES,
        image_shape=(shape[1], shape[2], shape[3]),
        train_images=train,
        validation_images=min(pool, max(classes, _nearest(Fraction(pool * train, whole)))),
        test_images=min(test, max(classes, _nearest(Fraction(test * train, whole)))),
        majority_share=float(np.bincount(labels).max() / len(labels)),
    )


def _nearest(number: Fraction) -> int:
    return int(number + Fraction(1, 2))


def _opened(folder: Path, array: str) -> npt.NDArray[Any]:
    return np.load(folder / f"{array}.npy", mmap_mode="r")  # type: ignore[no-any-return]


@contextmanager
def _alone(name: str, say: Callable[[str], None]) -> Iterator[None]:
    cache_root().mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(cache_root() / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(f"waiting for another process that prepares {name} …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _cached(source: Source, found: Path, say: Callable[[str], None]) -> Path:
    """Return the data set's folder in the cache, made where it is missing or damaged; the caller holds the lock."""
    stamp = _stamp(source, found)
    known = stamp.read_text(errors="replace") if stamp.is_file() else "unknown"
    cached = cache_root() / f"{source.NAME}-{known}"
    damage = _damage(cached) if cached.is_dir() else f"{source.NAME} is not in the cache yet"
    if damage is None:
        return cached
    say(f"{damage}: making it from {found} …")
    arrays = source.load(found)
    fingerprint = _fingerprint(arrays)
    cached = cache_root() / f"{source.NAME}-{fingerprint}"
    if not cached.is_dir() or _damage(cached) is not None:
        _make(cached, arrays)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(fingerprint)
    return cached


def _stamp(source: Source, found: Path) -> Path:
    """Return the file that remembers which content the files, as they are now, were found to hold."""
    stats = [(name, (found / name).stat()) for name in sorted(source.FILES)]
    states = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    key = json.dumps([_LAYOUT, source.NAME, str(found.resolve()), states])
    return cache_root() / "stamps" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _fingerprint(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for field in fields(arrays):
        array = np.ascontiguousarray(getattr(arrays, field.name))
        digest.update(f"{field.name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _state(folder: Path, array: str) -> list[object]:
    opened = _opened(folder, array)
    return [(folder / f"{array}.npy").stat().st_size, opened.dtype.str, list(opened.shape)]


def _damage(cached: Path) -> str | None:
    """Return what of a cached data set is not as it was written, by sizes and headers alone: bytes are not read."""
    try:
        states = json.loads((cached / "meta.json").read_text())
        damaged = [field.name for field in fields(Arrays) if _state(cached, field.name) != states[field.name]]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        return f"{cached} is damaged ({error})"
    return f"{cached} is damaged ({', '.join(damaged)})" if damaged else None


def _make(cached: Path, arrays: Arrays) -> None:
    """Write the arrays into a temporary folder and rename it; trials that read a damaged one keep their open files."""
    making, damaged = (cached.with_name(f".{state}-{cached.name}") for state in ("making", "damaged"))
    for leftover in (making, damaged):
        shutil.rmtree(leftover, ignore_errors=True)
    making.mkdir()
    for field in fields(arrays):
        with _synced(making / f"{field.name}.npy") as file:
            np.save(file, getattr(arrays, field.name))
    states = {field.name: _state(making, field.name) for field in fields(arrays)}
    with _synced(making / "meta.json") as file:
        file.write(json.dumps(states).encode())
    if cached.exists():
        cached.rename(damaged)
    making.rename(cached)
    shutil.rmtree(damaged, ignore_errors=True)


@contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
