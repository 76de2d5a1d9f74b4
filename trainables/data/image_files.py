"""Decodes image files to arrays on all cores, and names the damaged ones."""

import contextlib
import io
import math
import multiprocessing
import os
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from trainables.data.cache import cache_root
from trainables.data.sources import Say
from trainables.errors import DataError
from trainables.hardware import cores, memory_bytes

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LARGEST: Final = 256
"""The largest width or height, in pixels, that images of several sizes are resized to."""

FORMATS: Final = ("JPEG", "PNG")
"""The formats that are decoded, whatever a file's name says; Pillow would run Ghostscript for others."""
MEMORY_SHARE: Final = 0.75
"""The share of this machine's memory that a data set's images may take."""

_Chunk: TypeAlias = tuple[int, list[Path]]
"""Some files, and the place of the first in the whole list."""

_CHUNK: Final = 500
_GIB: Final = 1 << 30
_GREY: Final = frozenset({"1", "L", "LA", "I;16"})
_EXAMPLES: Final = 5
_FEW: Final = 4
_UNREADABLE: Final = (
    OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning
)  # fmt: skip
"""Pillow's errors for a file that is no image, is damaged (SyntaxError: a broken PNG) or has very many pixels."""


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

    Images of several sizes are resized (bilinear) to the most frequent size, at most `LARGEST` pixels wide and high.
    The sizes are read first, from the files' headers. A damaged file is named and left out, and so is one of more
    pixels than Pillow's limit. The array lies in an unnamed file of the cache: only parts that are read take memory.

    Raises:
        DataError: if strict and a file is damaged, if no file can be read, or if all take more memory than there is.
        OSError: if the cache has no room.
    """
    if not paths:
        raise DataError("the list of image files is empty")
    say(f"decoding {len(paths):,} images …")
    size = _common_size(paths, _all_parts(paths, _read))
    part, images = _decoded(paths, size, say)
    if (decoded_size := _common_size(paths, part)) != size:  # some files have a sound header, but nothing after it
        part, images = _decoded(paths, decoded_size, say)
    if len(part.sizes) > 1:
        say(f"images of {len(part.sizes)} sizes are resized to {images.shape[2]}x{images.shape[1]} pixels")
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
    cache_root().mkdir(mode=0o770, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".decoding-", dir=cache_root()) as file:
        os.posix_fallocate(file.fileno(), 0, math.prod(shape))  # a full disk is an error here, not a crash later
        yield _Store(path=Path(file.name), shape=shape)


def _common_size(paths: Sequence[Path], part: "_Part") -> tuple[int, int]:
    """The most frequent size (width, height), the larger one of a tie; at most LARGEST if there are several sizes.

    Raises:
        DataError: if no file can be read, or all images of this size take more memory than this machine has for them.
    """
    if not part.sizes:
        first = f"{paths[0]}: {part.damages[0]}"
        raise DataError(f"none of {len(paths)} image files can be read; the first error: {first}")
    (width, height), _ = max(part.sizes.items(), key=lambda item: (item[1], item[0]))
    if len(part.sizes) > 1 and max(width, height) > LARGEST:
        scale = LARGEST / max(width, height)
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    memory, limit = len(paths) * width * height * (1 if part.grey else 3), int(MEMORY_SHARE * memory_bytes())
    if memory > limit:
        raise DataError(
            f"{len(paths):,} images of {width}x{height} pixels ({paths[0]}, …) take {memory / _GIB:,.2f} GiB of "
            f"memory; valid: at most {limit / _GIB:,.2f} GiB on this machine"
        )
    return width, height


def _report_damage(paths: Sequence[Path], damages: Mapping[int, str], *, strict: bool, say: Say) -> None:
    if not damages:
        return
    examples = "; ".join(f"{paths[index]}: {damages[index]}" for index in sorted(damages)[:_EXAMPLES])
    rest = f"; and {len(damages) - _EXAMPLES} more" if len(damages) > _EXAMPLES else ""
    message = f"{len(damages)} of {len(paths):,} image files cannot be read: {examples}{rest}"
    if strict:
        raise DataError(f"{message}. Without --strict they are left out")
    say(f"{message}. They are left out")


def _decoded(paths: Sequence[Path], size: tuple[int, int], say: Say) -> tuple["_Part", npt.NDArray[np.uint8]]:
    """Decodes all files into a new store of images of this size, and reports each tenth."""
    with _store(len(paths), size) as store:
        return _all_parts(paths, partial(_fill, store=store), say), store.images()


def _all_parts(paths: Sequence[Path], read: Callable[[_Chunk], "_Part"], say: Say | None = None) -> "_Part":
    """Reads all files, on every core."""
    chunks = [(first, list(paths[first : first + _CHUNK])) for first in range(0, len(paths), _CHUNK)]
    total, tenths = _Part(), 0
    with contextlib.ExitStack() as stack:
        parts: Iterator[_Part] = map(read, chunks)
        if len(chunks) > 1 and cores() > 1:
            pool = ProcessPoolExecutor(min(cores(), len(chunks)), multiprocessing.get_context(_start_method()))
            parts = stack.enter_context(pool).map(read, chunks)
        for part in parts:
            total.add(part)
            if say and len(chunks) > _FEW and total.files * 10 // len(paths) > tenths:
                tenths = total.files * 10 // len(paths)
                say(f"  {tenths * 10} %")
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


class _File(io.BufferedReader):
    """A file of which a read takes as much memory as there are bytes, not as the header of a part says."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes, or all of them."""
        if size is None or size <= io.DEFAULT_BUFFER_SIZE:
            return super().read(size)
        return super().read(min(size, max(0, os.fstat(self.fileno()).st_size - self.tell())))


def _opened(file: IO[bytes]) -> Image.Image:
    """An image of which the header is read; raises an error if it has more pixels than Pillow's limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file, formats=FORMATS)


def _read(chunk: _Chunk, use: Callable[[int, Image.Image], None] | None = None) -> _Part:
    """Opens some files, which reads their headers, and gives each image to `use`, with its place in the list."""
    first, paths = chunk
    part = _Part(files=len(paths))
    for place, path in enumerate(paths, start=first):
        try:
            with _File(path) as file, _opened(file) as image:
                if use:
                    use(place, image)
                part.sizes[image.size] += 1
                part.grey = part.grey and image.mode in _GREY
        except UnidentifiedImageError:
            part.damages[place] = f"it is not in the format {' or '.join(FORMATS)}"
        except _UNREADABLE as error:
            part.damages[place] = _one_line(error)
    return part


def _fill(chunk: _Chunk, *, store: _Store) -> _Part:
    """Decodes some files into their places in the store; an image of another size is resized."""
    images = store.images()

    def write(place: int, image: Image.Image) -> None:
        eight_bit = image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image
        rgb = eight_bit if eight_bit.mode == "RGB" else eight_bit.convert("RGB")
        images[place] = np.asarray(rgb if rgb.size == store.size else rgb.resize(store.size, Image.Resampling.BILINEAR))

    return _read(chunk, write)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
