"""A node's cache of data sets: plain arrays, in a folder that their content names, so that two versions never meet."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import filelock
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import ARRAYS, Arrays
from trainables.data.sources import Say, Source
from trainables.errors import DataError

ENVIRONMENT: Final = "LAYERSWEEP_CACHE"
_META: Final = "meta.json"
"""What the arrays of a cached data set are, and its classes."""
_LAYOUT: Final = 2


def cache_root() -> Path:
    """Return the node-local cache: LAYERSWEEP_CACHE, else XDG_CACHE_HOME/layersweep, else ~/.cache/layersweep."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "layersweep"


def open_array(folder: Path, array: str) -> npt.NDArray[Any]:
    """An array of a cached data set, mapped into memory."""
    return np.load(folder / f"{array}.npy", mmap_mode="r")  # type: ignore[no-any-return]


def class_names(folder: Path) -> tuple[str, ...]:
    """The classes of a cached data set."""
    return tuple(json.loads((folder / _META).read_text())["classes"])


@contextmanager
def preparation_lock(name: str, say: Say) -> Iterator[None]:
    """While inside, no other process of this node prepares the data set."""
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


@contextmanager
def replacement(folder: Path) -> Iterator[Path]:
    """A temporary folder that is renamed once it is written; trials that read a damaged one keep their open files."""
    making, damaged = (folder.with_name(f".{state}-{folder.name}") for state in ("making", "damaged"))
    for leftover in (making, damaged):
        shutil.rmtree(leftover, ignore_errors=True)
    making.mkdir(parents=True)
    yield making
    if folder.exists():
        folder.rename(damaged)
    making.rename(folder)
    shutil.rmtree(damaged, ignore_errors=True)


def folder_of(source: Source, found: Path, strict: bool, say: Say) -> Path:
    """Return the data set's folder in the cache, made where it is missing or damaged; the caller holds the lock."""
    stamp = _stamp(source, found, strict)
    known = stamp.read_text(errors="replace") if stamp.is_file() else "unknown"
    folder = cache_root() / f"{source.NAME}-{known}"
    damage = _damage(folder) if folder.is_dir() else f"{source.NAME} is not in the cache yet"
    if damage is None:
        return folder
    say(f"{damage}; making it from {found} …")
    arrays = source.load(found, strict=strict, say=say)
    fingerprint = _fingerprint(arrays, () if hasattr(source, "CLASSES") else arrays.classes)
    folder = cache_root() / f"{source.NAME}-{fingerprint}"
    if not is_intact(folder):
        write(folder, arrays)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(fingerprint)
    return folder


def fetch(there: Path, piece: Callable[[Path, int], bytes]) -> Path:
    """Return a folder of another machine's cache in this one's, brought where it is missing; the caller holds the lock.

    Raises:
        OSError: if it cannot be read there, or not be written here.
        DataError: if it arrives damaged.
    """
    folder = cache_root() / there.name
    if not is_intact(folder):
        with replacement(folder) as making:
            for name in (*(f"{array}.npy" for array in ARRAYS), _META):
                with _synced(making / name) as file:
                    while part := piece(there / name, file.tell()):
                        file.write(part)
            if damage := _damage(making):
                raise DataError(f"{damage}; it was copied from {there} of another machine")
    return folder


def is_intact(folder: Path) -> bool:
    """Whether a cached data set is there, as it was written."""
    return folder.is_dir() and _damage(folder) is None


def write(folder: Path, arrays: Arrays) -> None:
    """Writes a data set into the cache."""
    with replacement(folder) as making:
        for name, array in arrays.named.items():
            with _synced(making / f"{name}.npy") as file:
                np.save(file, array)
        meta = {name: _state(making, name) for name in ARRAYS} | {"classes": arrays.classes}
        with _synced(making / _META) as file:
            file.write(json.dumps(meta).encode())


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
    values = open_array(folder, array)
    return [(folder / f"{array}.npy").stat().st_size, values.dtype.str, list(values.shape)]


def _damage(folder: Path) -> str | None:
    """Return what of a cached data set is not as it was written, by sizes and headers alone: bytes are not read."""
    try:
        states = json.loads((folder / _META).read_text())
        damaged = [name for name in ARRAYS if _state(folder, name) != states[name]]
        class_names(folder)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        return f"{folder} is damaged ({error})"
    return f"{folder} is damaged ({', '.join(damaged)})" if damaged else None


@contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
