"""A machine's cache of data sets: plain arrays, in a folder named after their content: versions never mix."""

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import time
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import filelock
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import ARRAYS, Arrays, blocks
from trainables.data.sources import ArraySource, Say
from trainables.errors import DataError

ENVIRONMENT: Final = "LAYERSWEEP_CACHE"
_META: Final = "meta.json"
"""The file with the sizes, types and shapes of a cached data set's arrays, and its classes."""
_LAYOUT: Final = 2
_FORMAT: Final = b"\x93NUMPY\x01\x00"
"""How an array's file begins: NumPy's format 1.0, in which np.save writes arrays of numbers."""
TEMPORARY: Final = ("making", "damaged")
LEFTOVER_SECONDS: Final = 7 * 24 * 3600
"""After so long without a new file, a temporary folder of another machine is taken for one of a killed process."""


def cache_root() -> Path:
    """Return the node-local cache: LAYERSWEEP_CACHE, else XDG_CACHE_HOME/layersweep, else ~/.cache/layersweep."""
    if folder := os.environ.get(ENVIRONMENT):
        return Path(folder).absolute()
    cache_home = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache_home) if cache_home else Path.home() / ".cache") / "layersweep"


def open_array(folder: Path, array: str) -> npt.NDArray[Any]:
    """An array of a cached data set, mapped into memory.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is damaged.
    """
    path = folder / f"{array}.npy"
    with path.open("rb") as file:
        if file.read(len(_FORMAT)) != _FORMAT:
            raise ValueError(f"{path} is not an array of NumPy's format 1.0")  # in later ones, a header may have 4 GB
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (tokenize.TokenError, SyntaxError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error  # NumPy reads its header as Python


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the arrays of a cached data set do not say themselves.

    Attributes:
        classes: the names of the classes.
        native: width and height of most pictures; None for a data set whose images are stored as they are.
        mixed: whether other pictures have other sizes.
        validation_rows: the number of last rows of the training file that are its given validation part.
        damage: which pictures could not be decoded, and are left out.
    """

    classes: tuple[str, ...]
    native: tuple[int, int] | None = None
    mixed: bool = False
    validation_rows: int = 0
    damage: str = ""

    @classmethod
    def of(cls, folder: Path) -> "Facts":
        """The facts of a cached data set."""
        meta = json.loads((folder / _META).read_text())
        native = meta.get("native")
        return cls(
            classes=tuple(meta["classes"]),
            native=None if native is None else (int(native[0]), int(native[1])),
            mixed=bool(meta.get("mixed", False)),
            validation_rows=int(meta.get("validation_rows", 0)),
            damage=str(meta.get("damage", "")),
        )


@contextmanager
def preparation_lock(name: str, say: Say) -> Iterator[None]:
    """Holds a lock, so that no other process of this machine prepares the data set."""
    cache_root().mkdir(mode=0o770, parents=True, exist_ok=True)
    lock = filelock.FileLock(cache_root() / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(f"waiting for another process that is preparing {name} …")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def host_name() -> str:
    """The name of this machine, for names of files and folders."""
    return re.sub(r"[^\w.-]", "_", platform.node()).strip(".") or "unnamed"


@contextmanager
def replacement(folder: Path) -> Iterator[Path]:
    """A temporary folder that replaces `folder` once it is written; trials that still read the old files keep them.

    The caller holds the lock of the cache. Other machines may share the cache, and locks may not reach them: each has
    temporary folders of its own, and a folder that another one has made meanwhile stays, because it may be in use.
    """
    new_folder, damaged = (folder.with_name(f".{state}-{folder.name}-{host_name()}") for state in TEMPORARY)
    for leftover in (new_folder, damaged, *_old_leftovers(folder)):
        shutil.rmtree(leftover, ignore_errors=True)
    old_folder = _inode(folder)
    new_folder.mkdir(parents=True)
    try:
        yield new_folder
        if old_folder is not None and _inode(folder) == old_folder:
            folder.rename(damaged)
        try:
            new_folder.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    finally:  # also after Ctrl-C, and on a full disk, which would stay full
        for leftover in (new_folder, damaged):
            shutil.rmtree(leftover, ignore_errors=True)


def _old_leftovers(folder: Path) -> list[Path]:
    """Temporary folders of killed processes of other machines: nothing writes into them any more."""
    old_paths = []
    for path in (path for state in TEMPORARY for path in folder.parent.glob(f".{state}-{folder.name}*")):
        with contextlib.suppress(FileNotFoundError):  # its own machine has moved it
            old_paths += [path] if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS else []
    return old_paths


def _inode(folder: Path) -> int | None:
    return folder.stat().st_ino if folder.exists() else None


def folder_of(source: ArraySource, source_folder: Path, strict: bool, say: Say) -> Path:
    """The data set's folder in the cache; it is made if it is missing or damaged. The caller holds the lock."""
    stamp = _stamp(source, source_folder, strict)
    fingerprint = stamp.read_text(errors="replace") if stamp.is_file() else "unknown"
    folder = cache_root() / f"{source.NAME}-{fingerprint}"
    damage = _damage(folder) if folder.is_dir() else f"{source.NAME} is not in the cache yet"
    if damage is None:
        return folder
    say(f"{damage}; making it from {source_folder} …")
    arrays = source.load(source_folder, strict=strict, say=say)
    fingerprint = _fingerprint(arrays, () if hasattr(source, "CLASSES") else arrays.classes)
    folder = cache_root() / f"{source.NAME}-{fingerprint}"
    if not is_intact(folder):
        write(folder, arrays)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(fingerprint)
    return folder


def fetch(remote_folder: Path, read_piece: Callable[[Path, int], bytes]) -> Path:
    """Copies a folder of another machine's cache into this one's, if it is missing here; the caller holds the lock.

    Raises:
        OSError: if it cannot be read on that machine or written on this one.
        DataError: if the copy is damaged.
    """
    folder = cache_root() / remote_folder.name
    if not is_intact(folder):
        with replacement(folder) as new_folder:
            for name in (*(f"{array}.npy" for array in ARRAYS), _META):
                with _synced(new_folder / name) as file:
                    while block := read_piece(remote_folder / name, file.tell()):
                        file.write(block)
            if damage := _damage(new_folder):
                raise DataError(f"{damage}; it was copied from {remote_folder} of another machine")
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a cached data set exists and is as it was written."""
    return folder.is_dir() and _damage(folder) is None


def write(folder: Path, arrays: Arrays) -> None:
    """Writes a data set into the cache."""
    with replacement(folder) as new_folder:
        for name, array in arrays.by_name.items():
            with _synced(new_folder / f"{name}.npy") as file:
                facts = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
                np.lib.format.write_array_header_1_0(file, facts)
                for block in blocks(array):
                    file.write(block.data)
        _write_meta(new_folder, Facts(classes=arrays.classes))


def seal(folder: Path, facts: Facts) -> None:
    """Completes a folder into which others have written the arrays: they are synced, and their states are written."""
    for name in ARRAYS:
        with (folder / f"{name}.npy").open("rb+") as file:
            os.fsync(file.fileno())
    _write_meta(folder, facts)


def _write_meta(folder: Path, facts: Facts) -> None:
    optional = {key: value for key, value in vars(facts).items() if value and key != "classes"}
    meta = {name: _state(folder, name) for name in ARRAYS} | {"classes": facts.classes} | optional
    with _synced(folder / _META) as file:
        file.write(json.dumps(meta).encode())


def _stamp(source: ArraySource, source_folder: Path, strict: bool) -> Path:
    """The file that remembers the fingerprint of the source files in their present state."""
    stats = [(str(path), path.stat()) for path in source.files(source_folder)]
    states = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    key = json.dumps([_LAYOUT, source.NAME, strict, str(source_folder.resolve()), states])
    return cache_root() / "stamps" / hashlib.sha256(key.encode()).hexdigest()[:16]


def _fingerprint(arrays: Arrays, names: Sequence[str]) -> str:
    """The fingerprint of the arrays, and of the classes' names where the data set's files give them."""
    digest = hashlib.sha256(json.dumps(names).encode() if names else b"")
    for name, values in arrays.by_name.items():
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        for block in blocks(values):
            digest.update(block.data)
    return digest.hexdigest()[:16]


def _state(folder: Path, array: str) -> list[object]:
    values = open_array(folder, array)
    return [(folder / f"{array}.npy").stat().st_size, values.dtype.str, list(values.shape)]


def _damage(folder: Path) -> str | None:
    """What is damaged in a cached data set, or None. Only sizes and headers are checked, not the content."""
    try:
        states = json.loads((folder / _META).read_text())
        damaged = [name for name in ARRAYS if _state(folder, name) != states[name]]
        Facts.of(folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
        return f"{folder} is damaged ({error})"
    return f"{folder} is damaged ({', '.join(damaged)})" if damaged else None


@contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
