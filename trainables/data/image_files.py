"""Image files to arrays: decoded by all cores, damaged ones named."""

import contextlib
import math
import multiprocessing
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from trainables.data.cache import cache_root
from trainables.data.sources import Say
from trainables.errors import DataError
from trainables.hardware import cores

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LARGEST: Final = 256
"""The larger side of images of several sizes, pixels, at most."""

_CHUNK: Final = 500
_GREY: Final = frozenset({"1", "L", "LA", "I;16"})
_NAMED: Final = 5
_FEW: Final = 4
_UNREADABLE: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for a file that is no image, or a damaged one: SyntaxError for a broken PNG."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Images (n, height, width, channels) of the files at these places (n,) of the list; the rest was damaged."""

    images: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]


def images_below(folder: Path) -> Iterator[Path]:
    """The image files of a folder, at any depth, in any order; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def files_below(folder: Path) -> list[Path]:
    """The same in the order of their names."""
    return sorted(images_below(folder))


def decoded(paths: Sequence[Path], *, strict: bool, say: Say) -> Decoded:
    """All images as one array: grey ones have one channel if all are grey, else all have three.

    Images of several sizes are brought to the most frequent one, at most `LARGEST` pixels on its larger side
    (bilinear), and that is said; they are decoded twice. A damaged file is named and left out. The array lies in a file
    of the cache that has no name any more: it takes memory only where it is read.

    Raises:
        DataError: if strict and a file is damaged, or if no file can be read.
        OSError: if the cache has no room for it.
    """
    if not paths:
        raise DataError("the list of image files is empty")
    say(f"decoding {len(paths):,} images …")
    with _store(len(paths), _first_size(paths)) as store:
        found, images = _decoded(paths, store, say), store.open()
    size = _brought_to(found.sizes)
    if set(found.sizes) != {size} or size != store.size:
        say(f"images of {len(found.sizes)} sizes are resized to {size[0]}x{size[1]} pixels")
        with _store(len(paths), size) as store:
            found, images = _decoded(paths, store, say, resize=True), store.open()
    _tell(paths, found.damages, strict=strict, say=say)
    places = np.array([index for index in range(len(paths)) if index not in found.damages], dtype=np.int64)
    kept = images[..., :1] if found.grey else images
    return Decoded(images=kept[places] if found.damages else np.ascontiguousarray(kept), places=places)


@dataclass(frozen=True, kw_only=True)
class _Store:
    """A file for images of one size, which processes share: (n, height, width, 3)."""

    path: Path
    shape: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.shape[2], self.shape[1]

    def open(self) -> npt.NDArray[np.uint8]:
        """The images, to read and to write; they stay when the file has lost its name."""
        return np.memmap(self.path, dtype=np.uint8, mode="r+", shape=self.shape)


@contextlib.contextmanager
def _store(images: int, size: tuple[int, int]) -> Iterator[_Store]:
    """A store with room for so many images of that width and height."""
    shape = (images, size[1], size[0], 3)
    cache_root().mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".decoding-", dir=cache_root()) as file:
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a full disk is an error here, not a crash later
        yield _Store(path=Path(file.name), shape=shape)


def _first_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Width and height of the first file that says so.

    Raises:
        DataError: if none does.
    """
    first = ""
    for path in paths:
        try:
            with Image.open(path) as image:
                return image.size
        except _UNREADABLE as error:
            first = first or _plain(error)
    raise DataError(f"none of {len(paths)} image files can be read; the first error: {paths[0]}: {first}")


def _brought_to(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The most frequent size (width, height); the larger of two, and at most LARGEST where there are several."""
    (width, height), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if len(sizes) == 1 or max(width, height) <= LARGEST:
        return width, height
    scale = LARGEST / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tell(paths: Sequence[Path], damages: Mapping[int, str], *, strict: bool, say: Say) -> None:
    if not damages:
        return
    named = "; ".join(f"{paths[index]}: {damages[index]}" for index in sorted(damages)[:_NAMED])
    more = f"; and {len(damages) - _NAMED} more" if len(damages) > _NAMED else ""
    said = f"{len(damages)} of {len(paths):,} image files cannot be read: {named}{more}"
    if strict:
        raise DataError(f"{said}. Without --strict they are left out")
    say(f"{said}. They are left out")


def _decoded(paths: Sequence[Path], store: _Store, say: Say, *, resize: bool = False) -> "_Part":
    """Decodes all files into the store, on every core; says each tenth of it.

    Raises:
        DataError: if none could be decoded.
    """
    chunks = [(first, list(paths[first : first + _CHUNK])) for first in range(0, len(paths), _CHUNK)]
    fill = partial(_fill, store=store, resize=resize)
    whole, said = _Part(), 0
    with contextlib.ExitStack() as stack:
        parts: Iterator[_Part] = map(fill, chunks)
        if len(chunks) > 1 and cores() > 1:
            pool = ProcessPoolExecutor(min(cores(), len(chunks)), multiprocessing.get_context(_way()))
            parts = stack.enter_context(pool).map(fill, chunks)
        for part in parts:
            whole.add(part)
            if len(chunks) > _FEW and whole.files * 10 // len(paths) > said:
                said = whole.files * 10 // len(paths)
                say(f"  {said * 10} %")
    if not whole.sizes:
        raise DataError(
            f"none of {len(paths)} image files can be read; the first error: {paths[0]}: {whole.damages[0]}"
        )
    return whole


def _way() -> str:
    """How processes that decode are started: a fork is there at once, where a new Python takes as long as 3,000 images.

    Libraries may have threads (OpenBLAS, Arrow), but their locks do not matter to a child that only decodes and copies;
    where this program itself has another thread, Python starts anew.
    """
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


@dataclass(kw_only=True)
class _Part:
    """What became of some files.

    Attributes:
        files: how many they were.
        sizes: how many were of each width and height.
        grey: whether none has colours.
        damages: why a file could not be decoded, by its place among all.
    """

    files: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    grey: bool = True
    damages: dict[int, str] = field(default_factory=dict)

    def add(self, other: "_Part") -> None:
        """Counts other files in."""
        self.files += other.files
        self.sizes += other.sizes
        self.grey = self.grey and other.grey
        self.damages |= other.damages


def _fill(chunk: tuple[int, list[Path]], *, store: _Store, resize: bool) -> _Part:
    """Decodes some files into their places in the store; one of another size is brought to its own, or only counted."""
    (first, paths), images = chunk, store.open()
    part = _Part(files=len(paths))
    for place, path in enumerate(paths, start=first):
        try:
            with Image.open(path) as image:
                eight_bit = image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image
                plain = eight_bit if eight_bit.mode == "RGB" else eight_bit.convert("RGB")
                fits = plain.size == store.size or not resize
                fitting = plain if fits else plain.resize(store.size, Image.Resampling.BILINEAR)
                if fitting.size == store.size:
                    images[place] = np.asarray(fitting)
                part.sizes[plain.size] += 1
                part.grey = part.grey and image.mode in _GREY
        except _UNREADABLE as error:
            part.damages[place] = _plain(error)
    return part


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
