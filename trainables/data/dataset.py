"""A data set's way from its files to a trial: cached once a node as plain arrays, then split by seed.

A data set is one file in trainables/data/datasets (see Source). The cache's content names its folder, so two versions
of a data set never meet; splits and subsets are drawn from the labels alone, and are the same in every process.
"""

import hashlib
import importlib
import json
import logging
import math
import os
import pkgutil
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeAlias, cast

import filelock
import numpy as np
import numpy.typing as npt

from trainables.data import datasets
from trainables.errors import DataError

VALIDATION_SHARE: Final = Fraction(1, 6)
_META: Final = "meta.json"
"""What the arrays of a cached data set are, and its classes."""

ENVIRONMENT: Final = "LAYERSWEEP_CACHE"
_LAYOUT: Final = 2
_TEST_SEED: Final = 0

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    """A whole data set: uint8 images (n, height, width, channels), int64 labels (n,) from 0, the classes' names."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]

    @property
    def named(self) -> Mapping[str, npt.NDArray[Any]]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in ARRAYS}


ARRAYS: Final = ("train_images", "train_labels", "test_images", "test_labels")
"""What of a data set is an array, and a file in the cache."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows (n,) of an array in the cache, read when they are asked for: processes share what the system has read."""

    array: Images
    rows: npt.NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the rows together."""
        return (len(self.rows), *self.array.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: slice | npt.NDArray[np.int64]) -> Images:
        """Those at these places, as a copy."""
        return self.array[self.rows[key]]

    def __array__(self, dtype: npt.DTypeLike | None = None, *, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of them, as NumPy asks for them."""
        return np.asarray(self.array[self.rows], dtype=dtype)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSet:
    """One set in its order: uint8 images (n, height, width, channels), int64 labels (n,)."""

    images: Images | Rows
    labels: Labels


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """The three sets of a trial; scheduling and choice see validation only."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


class Source(Protocol):
    """What a module in trainables/data/datasets has."""

    NAME: str

    def find(self, folder: Path | None = None, *, say: Callable[[str], None]) -> Path:
        """Return the folder or archive that holds the data set, or raise DataError."""

    def files(self, found: Path) -> Iterable[Path]:
        """Return the files that, unchanged, need not be read again."""

    def load(self, found: Path, *, strict: bool, say: Callable[[str], None]) -> Arrays:
        """Return the whole data set, checked, or raise DataError; if strict, a damaged image is an error, too."""


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
        labels, test = (_only(self._open(f"{name}_labels"), chosen)[1] for name in ("train", "test"))
        names = [self.classes[self.chosen.index(index)] for index in chosen]
        sizes = _sizes(labels, test, self.share, validating, folds)
        train = max(len(chosen), _nearest(sizes.train * train_share))
        _check_classes(self.name, labels, names, validating=validating, train=train, folds=folds)
        return replace(
            self,
            classes=tuple(names),
            train_images=train,
            validation_images=sizes.validation,
            test_images=sizes.test,
            majority_share=float(np.bincount(labels).max() / len(labels)),
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
            raise DataError(f"seed {seed} is not valid: 0 or more is")
        places, labels = _only(self._open("train_labels"), self.chosen)
        order = stratified_order(labels, seed)
        first, pool = self._validation(len(labels))
        order = np.roll(order, -first)
        test_places, test_labels = _only(self._open("test_labels"), self.chosen)
        test = stratified_order(test_labels, _TEST_SEED)[: self.test_images]
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
            return 0, _nearest(images * self.validating)
        first, end = (images * part // self.folds for part in (self.fold, self.fold + 1))
        return first, end - first

    def _rows(self, file: str, rows: npt.NDArray[np.int64], labels: Labels) -> ImageSet:
        return ImageSet(images=Rows(self._open(f"{file}_images"), rows), labels=labels)

    def _open(self, array: str) -> npt.NDArray[Any]:
        try:
            return _opened(self.folder, array)
        except (OSError, ValueError) as error:
            raise DataError(f"{self.name} is not in this node's cache ({error}): call prepare here first") from error


def _only(labels: Labels, chosen: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Labels]:
    """The places of the chosen classes' images, and their labels as indices into the chosen; both (n,)."""
    index = np.full(max(int(labels.max(initial=0)), *chosen) + 1, -1, dtype=np.int64)
    index[list(chosen)] = np.arange(len(chosen))
    renamed = index[labels]
    places = np.flatnonzero(renamed >= 0)
    return places, renamed[places]


@dataclass(frozen=True, kw_only=True)
class _Sizes:
    """Numbers of images."""

    train: int
    validation: int
    test: int


def _sizes(labels: Labels, test: Labels, share: Fraction, validating: Fraction, folds: int = 0) -> _Sizes:
    """The sizes of the three sets, of which `share` was asked for; at least as many as there are classes.

    They are those of every fold: where folds differ by an image, the larger ones leave one out.
    """
    classes, n = len(np.unique(labels)), len(labels)
    pool, most = (n // folds, -(-n // folds)) if folds else (_nearest(n * validating),) * 2
    return _Sizes(
        train=_nearest((n - most) * share),
        validation=min(pool, max(classes, _nearest(pool * share))),
        test=min(len(test), max(classes, _nearest(len(test) * share))),
    )


def _check_classes(
    data_set: str, labels: Labels, names: Sequence[str], *, validating: Fraction, train: int, folds: int = 0
) -> None:
    """Refuses a split that leaves a class without an image to train or to validate."""
    counts = np.bincount(labels, minlength=len(names))
    smallest = int(counts.argmin())
    least = folds or math.ceil(1 / min(validating, 1 - validating))
    if counts[smallest] < least:
        asked = f"{folds} folds" if folds else f"validation_share={float(validating):g}"
        raise DataError(
            f"class {names[smallest]!r} of {data_set} has {counts[smallest]} training images, too few for {asked}: "
            f"{least} are needed"
        )
    if train * int(counts[smallest]) < len(labels):
        raise DataError(
            f"{train} training images of {data_set} leave class {names[smallest]!r} without one: "
            f"{math.ceil(len(labels) / int(counts[smallest]))} are needed"
        )


def cache_root() -> Path:
    """Return the node-local cache: LAYERSWEEP_CACHE, else XDG_CACHE_HOME/layersweep, else ~/.cache/layersweep."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "layersweep"


def prepare(
    name: str,
    *,
    folder: Path | None = None,
    images: int | None = None,
    strict: bool = False,
    say: Callable[[str], None] = _log.info,
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
    source = _source(name)
    try:
        with _alone(name, say):
            cached = _cached(source, source.find(folder, say=say), strict, say)
    except OSError as error:
        raise DataError(f"the cache {cache_root()} cannot be used: {error}. Set {ENVIRONMENT} to a folder") from error
    return _data(source, cached, images)


def brought(data: Data, piece: Callable[[Path, int], bytes]) -> Data:
    """A data set that another machine has prepared, in this machine's cache; brought here once, if it is not there.

    Args:
        data: the data set, valid on the other machine.
        piece: gives the bytes of a file of that machine from an offset on; none behind its end.

    Raises:
        OSError: if it cannot be read there, or not be written here.
        DataError: if it arrives damaged.
    """
    if data.folder.is_dir() and _damage(data.folder) is None:
        return data
    cached = cache_root() / data.folder.name  # the content names the folder
    with _alone(data.name, _log.info):
        if not cached.is_dir() or _damage(cached) is not None:
            _bring(data.folder, cached, piece)
    return replace(data, folder=cached)


def _bring(there: Path, cached: Path, piece: Callable[[Path, int], bytes]) -> None:
    making = cached.with_name(f".making-{cached.name}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for name in (*(f"{array}.npy" for array in ARRAYS), _META):
        with _synced(making / name) as file:
            while part := piece(there / name, file.tell()):
                file.write(part)
    if damage := _damage(making):
        raise DataError(f"{damage}, brought from {there} of another machine")
    shutil.rmtree(cached, ignore_errors=True)
    making.rename(cached)


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
    names = _classes(cached)
    shape = _opened(cached, "train_images").shape
    labels, test = _opened(cached, "train_labels"), _opened(cached, "test_labels")
    whole = len(labels) - _nearest(len(labels) * VALIDATION_SHARE)
    train = whole if images is None else images
    if not len(names) <= train <= whole:
        raise DataError(f"images={train} is not valid for {source.NAME}: {len(names)} to {whole:,} training images are")
    share = Fraction(train, whole)
    sizes = _sizes(labels, test, share, VALIDATION_SHARE)
    _check_classes(source.NAME, labels, names, validating=VALIDATION_SHARE, train=train)
    return Data(
        name=source.NAME,
        folder=cached,
        fingerprint=cached.name.rpartition("-")[2],
        classes=names,
        image_shape=(shape[1], shape[2], shape[3]),
        train_images=sizes.train,
        validation_images=sizes.validation,
        test_images=sizes.test,
        majority_share=float(np.bincount(labels).max() / len(labels)),
        chosen=tuple(range(len(names))),
        share=share,
    )


def _classes(cached: Path) -> tuple[str, ...]:
    return tuple(json.loads((cached / _META).read_text())["classes"])


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


def _cached(source: Source, found: Path, strict: bool, say: Callable[[str], None]) -> Path:
    """Return the data set's folder in the cache, made where it is missing or damaged; the caller holds the lock."""
    stamp = _stamp(source, found, strict)
    known = stamp.read_text(errors="replace") if stamp.is_file() else "unknown"
    cached = cache_root() / f"{source.NAME}-{known}"
    damage = _damage(cached) if cached.is_dir() else f"{source.NAME} is not in the cache yet"
    if damage is None:
        return cached
    say(f"{damage}: making it from {found} …")
    arrays = source.load(found, strict=strict, say=say)
    fingerprint = _fingerprint(arrays, () if hasattr(source, "CLASSES") else arrays.classes)
    cached = cache_root() / f"{source.NAME}-{fingerprint}"
    if not cached.is_dir() or _damage(cached) is not None:
        _make(cached, arrays)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(fingerprint)
    return cached


def _stamp(source: Source, found: Path, strict: bool) -> Path:
    """Return the file that remembers which content the files, as they are now, were found to hold."""
    stats = [(str(path), path.stat()) for path in source.files(found)]
    states = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    key = json.dumps([_LAYOUT, source.NAME, strict, str(found.resolve()), states])
    return cache_root() / "stamps" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _fingerprint(arrays: Arrays, names: Sequence[str]) -> str:
    """That of the arrays, and of the classes' names where the data set's files give them."""
    digest = hashlib.sha256(json.dumps(names).encode() if names else b"")
    for name, values in arrays.named.items():
        array = np.ascontiguousarray(values)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _state(folder: Path, array: str) -> list[object]:
    opened = _opened(folder, array)
    return [(folder / f"{array}.npy").stat().st_size, opened.dtype.str, list(opened.shape)]


def _damage(cached: Path) -> str | None:
    """Return what of a cached data set is not as it was written, by sizes and headers alone: bytes are not read."""
    try:
        states = json.loads((cached / _META).read_text())
        damaged = [name for name in ARRAYS if _state(cached, name) != states[name]]
        _classes(cached)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        return f"{cached} is damaged ({error})"
    return f"{cached} is damaged ({', '.join(damaged)})" if damaged else None


def _make(cached: Path, arrays: Arrays) -> None:
    """Write the arrays into a temporary folder and rename it; trials that read a damaged one keep their open files."""
    making, damaged = (cached.with_name(f".{state}-{cached.name}") for state in ("making", "damaged"))
    for leftover in (making, damaged):
        shutil.rmtree(leftover, ignore_errors=True)
    making.mkdir()
    for name, array in arrays.named.items():
        with _synced(making / f"{name}.npy") as file:
            np.save(file, array)
    meta = {name: _state(making, name) for name in ARRAYS} | {"classes": arrays.classes}
    with _synced(making / _META) as file:
        file.write(json.dumps(meta).encode())
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
