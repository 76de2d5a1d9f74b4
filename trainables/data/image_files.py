"""Decodes image files to arrays on all cores, and names the damaged ones."""

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
"""The largest width or height, in pixels, that images of several sizes are resized to."""

_CHUNK: Final = 500
_GREY: Final = frozenset({"1", "L", "LA", "I;16"})
_EXAMPLES: Final = 5
_FEW: Final = 4
_UNREADABLE: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""Pillow's errors for a file that is not an image, or is damaged: SyntaxError for a broken PNG."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Images (n, height, width, channels), and their files' places (n,) in the list; all other files are damaged."""

    images: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]


def images_below(folder: Path) -> Iterator[Path]:
    """The image files of a folder, at any depth, in any order, without hidden ones."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return (path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def files_below(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name."""
    return sorted(images_below(folder))


def decoded(paths: Sequence[Path], *, strict: bool, say: Say) -> Decoded:
    """Decodes all images into one array. It has one channel if all images are grey, else three.

    Images of several sizes are resized (bilinear) to the most frequent size, at most `LARGEST` pixels wide and high;
    they are decoded twice. A damaged file is named and left out. The array lies in an unnamed file of the cache: only
    parts that are read take memory.

    Raises:
        DataError: if strict and a file is damaged, or if no file can be read.
        OSError: if the cache has no room.
    """
    if not paths:
        raise DataError("the list of image files is empty")
    say(f"decoding {len(paths):,} images …")
    with _store(len(paths), _first_size(paths)) as store:
        part, images = _decoded(paths, store, say), store.images()
    size = _common_size(part.sizes)
    if set(part.sizes) != {size} or size != store.size:
        say(f"images of {len(part.sizes)} sizes are resized to {size[0]}x{size[1]} pixels")
        with _store(len(paths), size) as store:
            part, images = _decoded(paths, store, say, resize=True), store.images()
    _report_damage(paths, part.damages, strict=strict, say=say)
    places = np.array([index for index in range(len(paths)) if index not in part.damages], dtype=np.int64)
    images = images[..., :1] if part.grey else images
    return Decoded(images=images[places] if part.damages else np.ascontiguousarray(images), places=places)


@dataclass(frozen=True, kw_only=True)
class _Store:
    """A file for images of one size that processes share: (n, height, width, 3)."""

    path: Path
    shape: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.shape[2], self.shape[1]

    def images(self) -> npt.NDArray[np.uint8]:
        """The images, to read and to write; they stay valid after the file is deleted."""
        return np.memmap(self.path, dtype=np.uint8, mode="r+", shape=self.shape)


@contextlib.contextmanager
def _store(images: int, size: tuple[int, int]) -> Iterator[_Store]:
    """A store with room for this number of images of this width and height."""
    shape = (images, size[1], size[0], 3)
    cache_root().mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".decoding-", dir=cache_root()) as file:
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a full disk is an error here, not a crash later
        yield _Store(path=Path(file.name), shape=shape)


def _first_size(paths: Sequence[Path]) -> tuple[int, int]:
    """Width and height of the first readable file.

    Raises:
        DataError: if no file can be read.
    """
    first = ""
    for path in paths:
        try:
            with Image.open(path) as image:
                return image.size
        except _UNREADABLE as error:
            first = first or _one_line(error)
    raise DataError(f"none of {len(paths)} image files can be read; the first error: {paths[0]}: {first}")


def _common_size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The most frequent size (width, height), the larger one of a tie; at most LARGEST if there are several sizes."""
    (width, height), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if len(sizes) == 1 or max(width, height) <= LARGEST:
        return width, height
    scale = LARGEST / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _report_damage(paths: Sequence[Path], damages: Mapping[int, str], *, strict: bool, say: Say) -> None:
    if not damages:
        return
    examples = "; ".join(f"{paths[index]}: {damages[index]}" for index in sorted(damages)[:_EXAMPLES])
    rest = f"; and {len(damages) - _EXAMPLES} more" if len(damages) > _EXAMPLES else ""
    message = f"{len(damages)} of {len(paths):,} image files cannot be read: {examples}{rest}"
    if strict:
        raise DataError(f"{message}. Without --strict they are left out")
    say(f"{message}. They are left out")


def _decoded(paths: Sequence[Path], store: _Store, say: Say, *, resize: bool = False) -> "_Part":
    """Decodes all files into the store, on every core, and reports each tenth.

    Raises:
        DataError: if no file could be decoded.
    """
    chunks = [(first, list(paths[first : first + _CHUNK])) for first in range(0, len(paths), _CHUNK)]
    fill = partial(_fill, store=store, resize=resize)
    total, tenths = _Part(), 0
    with contextlib.ExitStack() as stack:
        parts: Iterator[_Part] = map(fill, chunks)
        if len(chunks) > 1 and cores() > 1:
            pool = ProcessPoolExecutor(min(cores(), len(chunks)), multiprocessing.get_context(_start_method()))
            parts = stack.enter_context(pool).map(fill, chunks)
        for part in parts:
            total.add(part)
            if len(chunks) > _FEW and total.files * 10 // len(paths) > tenths:
                tenths = total.files * 10 // len(paths)
                say(f"  {tenths * 10} %")
    if not total.sizes:
        raise DataError(
            f"none of {len(paths)} image files can be read; the first error: {paths[0]}: {total.damages[0]}"
        )
    return total


def _start_method() -> str:
    """How decoding processes start: a fork takes no time, but a new Python takes as long as decoding 3,000 images.

    Libraries may have threads (OpenBLAS, Arrow), but their locks do not matter to a child that only decodes and copies.
    If this program itself has another thread, a new Python starts.
    """
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


@dataclass(kw_only=True)
class _Part:
    """The result of decoding some files.

    Attributes:
        files: the number of files.
        sizes: the number of files of each width and height.
        grey: whether all are grey.
        damages: why a file could not be decoded, by its place in the whole list.
    """

    files: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    grey: bool = True
    damages: dict[int, str] = field(default_factory=dict)

    def add(self, other: "_Part") -> None:
        """Adds the result of other files."""
        self.files += other.files
        self.sizes += other.sizes
        self.grey = self.grey and other.grey
        self.damages |= other.damages


def _fill(chunk: tuple[int, list[Path]], *, store: _Store, resize: bool) -> _Part:
    """Decodes some files into their places in the store; an image of another size is resized, or only counted."""
    (first, paths), images = chunk, store.images()
    part = _Part(files=len(paths))
    for place, path in enumerate(paths, start=first):
        try:
            with Image.open(path) as image:
                eight_bit = image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image
                rgb = eight_bit if eight_bit.mode == "RGB" else eight_bit.convert("RGB")
                fits = rgb.size == store.size or not resize
                resized = rgb if fits else rgb.resize(store.size, Image.Resampling.BILINEAR)
                if resized.size == store.size:
                    images[place] = np.asarray(resized)
                part.sizes[rgb.size] += 1
                part.grey = part.grey and image.mode in _GREY
        except _UNREADABLE as error:
            part.damages[place] = _one_line(error)
    return part


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
