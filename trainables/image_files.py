"""Image files to arrays: decoded by all cores, damaged ones named."""

import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError
from trainables.fork_server import threads
from trainables.hardware import cores

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
LARGEST: Final = 256
"""The larger side of images of several sizes, pixels, at most."""

_CHUNK: Final = 500
_GREY: Final = frozenset({"1", "L", "LA", "I;16"})
_NAMED: Final = 5

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """Images (n, height, width, channels) of the files at these places (n,) of the list; the rest was damaged."""

    images: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What a file says of itself, or why it cannot be read."""

    size: tuple[int, int] = (0, 0)
    grey: bool = False
    damage: str | None = None


def files_below(folder: Path) -> list[Path]:
    """The image files of a folder, at any depth, in the order of their names; hidden ones are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def decoded(paths: Sequence[Path], *, strict: bool, say: Callable[[str], None]) -> Decoded:
    """All images as one array: grey ones have one channel if all are grey, else all have three.

    Images of several sizes are brought to the most frequent one, at most `LARGEST` pixels on its larger side
    (bilinear), and that is said. A damaged file is named and left out.

    Raises:
        DataError: if strict and a file is damaged, or if no file can be read.
    """
    if not paths:
        raise DataError("there are no image files")
    headers = [header for some in _by_all_cores(_headers, paths) for header in some]
    sound = [index for index, header in enumerate(headers) if header.damage is None]
    if not sound:
        raise DataError(f"none of {len(paths)} image files can be read; the first: {paths[0]}: {headers[0].damage}")
    sizes = Counter(headers[index].size for index in sound)
    size = _brought_to(sizes)
    if set(sizes) != {size}:
        say(f"images of {len(sizes)} sizes are brought to {size[0]}x{size[1]} pixels")
    channels = 1 if all(headers[index].grey for index in sound) else 3
    images = np.empty((len(sound), size[1], size[0], channels), dtype=np.uint8)
    say(f"decoding {len(sound):,} images …")
    damages = {index: header.damage for index, header in enumerate(headers) if header.damage is not None}
    whole, done, said = [], 0, 0
    parts = _by_all_cores(partial(_images, size=size, grey=channels == 1), [paths[index] for index in sound])
    for some, broken in parts:
        for offset, damage in broken.items():
            damages[sound[done + offset]] = damage
        images[done : done + len(some)] = some
        whole += [done + offset for offset in range(len(some)) if offset not in broken]
        done += len(some)
        if done * 10 // len(sound) > said:
            said = done * 10 // len(sound)
            say(f"  {said * 10} %")
    _tell(paths, damages, strict=strict, say=say)
    kept = images if len(whole) == len(images) else images[whole]
    return Decoded(images=kept, places=np.array([sound[index] for index in whole], dtype=np.int64))


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


def _by_all_cores(function: Callable[[list[A]], B], values: Iterable[A]) -> Iterator[B]:
    """What the function makes of each chunk of values, in their order, on every core."""
    chunks = _chunks(list(values))
    if len(chunks) == 1 or cores() == 1:
        yield from map(function, chunks)
        return
    # A fork starts at once, and is safe where there is one thread; else Python starts anew.
    way = "fork" if sys.platform == "linux" and threads() == 1 else "spawn"
    with ProcessPoolExecutor(min(cores(), len(chunks)), multiprocessing.get_context(way)) as pool:
        yield from pool.map(function, chunks)


def _chunks(values: list[A]) -> list[list[A]]:
    return [values[first : first + _CHUNK] for first in range(0, len(values), _CHUNK)]


def _headers(paths: list[Path]) -> list[_Header]:
    from PIL import Image

    found = []
    for path in paths:
        try:
            with Image.open(path) as image:
                found.append(_Header(size=image.size, grey=image.mode in _GREY))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            found.append(_Header(damage=_plain(error)))
    return found


def _images(paths: list[Path], *, size: tuple[int, int], grey: bool) -> tuple[npt.NDArray[np.uint8], dict[int, str]]:
    """Images (n, height, width, channels) of these files, zero where one is damaged, and the damages by place."""
    from PIL import Image

    made = np.zeros((len(paths), size[1], size[0], 1 if grey else 3), dtype=np.uint8)
    damages: dict[int, str] = {}
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                eight_bit = image.point(lambda value: value / 256).convert("L") if image.mode == "I;16" else image
                plain = eight_bit.convert("L" if grey else "RGB")
                fitting = plain if plain.size == size else plain.resize(size, Image.Resampling.BILINEAR)
                made[place] = np.asarray(fitting).reshape(made.shape[1:])
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
            damages[place] = _plain(error)
    return made, damages


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
