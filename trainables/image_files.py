"""Image files to arrays: decoded by all cores, damaged ones named."""

import contextlib
import multiprocessing
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError
from trainables.hardware import cores

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LARGEST: Final = 256
"""The larger side of images of several sizes, pixels, at most."""

_CHUNK: Final = 500
_GREY: Final = frozenset({"1", "L", "LA", "I;16"})
_NAMED: Final = 5
_FEW: Final = 4
_BILINEAR: Final = 2
"""Pillow's number for it, known without importing Pillow."""


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Images (n, height, width, channels) of the files at these places (n,) of the list; the rest was damaged."""

    images: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]


def files_below(folder: Path) -> list[Path]:
    """The image files of a folder, at any depth, in the order of their names; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def decoded(paths: Sequence[Path], *, strict: bool, say: Callable[[str], None]) -> Decoded:
    """All images as one array: grey ones have one channel if all are grey, else all have three.

    Images of several sizes are brought to the most frequent one, at most `LARGEST` pixels on its larger side
    (bilinear), and that is said; they are decoded twice. A damaged file is named and left out.

    Raises:
        DataError: if strict and a file is damaged, or if no file can be read.
    """
    if not paths:
        raise DataError("there are no image files")
    say(f"decoding {len(paths):,} images …")
    parts = list(_by_all_cores(_images, paths, len(paths), say))
    sizes = sum((part.sizes for part in parts), Counter[tuple[int, int]]())
    if not sizes:
        raise DataError(f"none of {len(paths)} image files can be read; the first: {paths[0]}: {parts[0].damages[0]}")
    size, grey = _brought_to(sizes), all(part.grey for part in parts)
    if set(sizes) != {size}:
        say(f"images of {len(sizes)} sizes are brought to {size[0]}x{size[1]} pixels")
        parts = list(_by_all_cores(partial(_images, size=size), paths, len(paths), say))
    firsts = np.cumsum([0, *(part.files for part in parts)])
    of_parts = [(int(first), part.damages) for first, part in zip(firsts, parts, strict=False)]
    damages = {first + place: why for first, some in of_parts for place, why in some.items()}
    _tell(paths, damages, strict=strict, say=say)
    images = np.concatenate([part.images[..., :1] if grey else part.images for part in parts if len(part.images)])
    places = [index for index in range(len(paths)) if index not in damages]
    return Decoded(images=np.ascontiguousarray(images), places=np.array(places, dtype=np.int64))


def _brought_to(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """The most frequent size (width, height); the larger of two, and at most LARGEST where there are several."""
    (width, height), _ = max(sizes.items(), key=lambda item: (item[1], item[0]))
    if len(sizes) == 1 or max(width, height) <= LARGEST:
        return width, height
    scale = LARGEST / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tell(paths: Sequence[Path], damages: dict[int, str], *, strict: bool, say: Callable[[str], None]) -> None:
    if not damages:
        return
    named = "; ".join(f"{paths[index]}: {damages[index]}" for index in sorted(damages)[:_NAMED])
    more = f"; and {len(damages) - _NAMED} more" if len(damages) > _NAMED else ""
    said = f"{len(damages)} of {len(paths):,} image files cannot be read: {named}{more}"
    if strict:
        raise DataError(f"{said}. Without --strict they are left out")
    say(f"{said}: left out")


def _by_all_cores(
    function: Callable[[list[Path]], "_Part"], paths: Sequence[Path], total: int, say: Callable[[str], None]
) -> Iterator["_Part"]:
    """What the function makes of each chunk of files, in their order, on every core; says each tenth of it."""
    chunks = [list(paths[first : first + _CHUNK]) for first in range(0, len(paths), _CHUNK)]
    done = said = 0
    with contextlib.ExitStack() as stack:
        parts: Iterator[_Part] = map(function, chunks)
        if len(chunks) > 1 and cores() > 1:
            pool = ProcessPoolExecutor(min(cores(), len(chunks)), multiprocessing.get_context(_way()))
            parts = stack.enter_context(pool).map(function, chunks)
        for part in parts:
            yield part
            done += part.files
            if len(chunks) > _FEW and done * 10 // total > said:
                said = done * 10 // total
                say(f"  {said * 10} %")


def _way() -> str:
    """How processes that decode are started: a fork is there at once, where a new Python takes as long as 3,000 images.

    Libraries may have threads (OpenBLAS, Arrow), but their locks do not matter to a child that only decodes and copies;
    where this program itself has another thread, Python starts anew.
    """
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What became of some files.

    Attributes:
        files: how many they were.
        images: those that were decoded (n, height, width, 3), none if they are of several sizes.
        sizes: how many were of each width and height.
        grey: whether none has colours.
        damages: why a file could not be decoded, by its place.
    """

    files: int
    images: npt.NDArray[np.uint8]
    sizes: Counter[tuple[int, int]]
    grey: bool
    damages: dict[int, str]


def _images(paths: list[Path], size: tuple[int, int] | None = None) -> _Part:
    """Decodes some files, and brings them to a size (width, height), if one is given."""
    from PIL import Image

    found: list[npt.NDArray[np.uint8]] = []
    sizes: Counter[tuple[int, int]] = Counter()
    damages: dict[int, str] = {}
    grey = True
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                eight_bit = image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image
                plain = eight_bit if eight_bit.mode == "RGB" else eight_bit.convert("RGB")
                fitting = plain if size is None or plain.size == size else plain.resize(size, _BILINEAR)
                found.append(np.asarray(fitting))
                sizes[plain.size] += 1
                grey = grey and image.mode in _GREY
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: a broken PNG
            damages[place] = _plain(error)
    alike = len({image.shape for image in found}) == 1
    images = np.stack(found) if alike else np.empty((0, 0, 0, 3), dtype=np.uint8)
    return _Part(files=len(paths), images=images, sizes=sizes, grey=grey, damages=damages)


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
