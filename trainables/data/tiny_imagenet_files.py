"""The files of Tiny-ImageNet-200: 200 kinds of things, 500 colour images of 64x64 of each to train, 50 to validate.

The official folder: `wnids.txt` (a class a line), `words.txt` (their names), `train/<class>/images/*.JPEG` and
`val/images/*.JPEG` with `val/val_annotations.txt` (file, class and a box a line). Its test images have no labels.
(Le & Yang 2015, Tiny ImageNet visual recognition challenge, a part of ImageNet.)
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import download, unpacked
from trainables.data.image_files import Decoded, decoded, files_below
from trainables.data.sources import Say, log
from trainables.data.splits import stratified_mask
from trainables.errors import DataError

FOLDER: Final = "tiny-imagenet-200"
ARCHIVE: Final = f"{FOLDER}.zip"
ADDRESS: Final = f"https://cs231n.stanford.edu/{ARCHIVE}"
ENVIRONMENT: Final = "LAYERSWEEP_TINY_IMAGENET"

_ANNOTATIONS: Final = Path("val") / "val_annotations.txt"
_NEEDED: Final = (Path("wnids.txt"), Path("words.txt"), _ANNOTATIONS)


def find(folder: Path | None = None, *, say: Say = log) -> Path:
    """The official folder: below `folder` or what LAYERSWEEP_TINY_IMAGENET names, where given; else ours, or fetched.

    A zip in its place is unpacked into the cache.

    Raises:
        DataError: if it is nowhere, or the zip is damaged.
    """
    named = folder or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    own = cache_root() / "downloads" / FOLDER
    for place in [named] if named else sorted(own.glob("unpacked*")):
        for inner in (place, place / FOLDER):
            if all((inner / name).is_file() for name in _NEEDED):
                return inner
    archive = (named if named.suffix == ".zip" else named / ARCHIVE) if named else own / ARCHIVE
    if not archive.is_file():
        if named:
            raise DataError(
                f"Tiny-ImageNet was not found in {named}; valid: a folder with {', '.join(map(str, _NEEDED))} and "
                f"train/, or with {ARCHIVE}"
            )
        download(ADDRESS, archive, sha256=None, say=say)
    folder = unpacked(archive, own, say=say)
    inner = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if missing := [str(name) for name in _NEEDED if not (inner / name).is_file()]:
        raise DataError(f"{archive} is not Tiny-ImageNet's archive: it lacks {missing[0]}")
    return inner


def files(found: Path) -> list[Path]:
    """The files that the data set is made of."""
    return [*(found / name for name in _NEEDED), *files_below(found / "train"), *files_below(found / "val" / "images")]


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """Images, damaged ones left out, with their labels (n,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: list[int], found: Decoded) -> "_Listed":
        """Those that could be decoded."""
        return cls(images=found.images, labels=np.array(labels, dtype=np.int64)[found.places])


def official(found: Path, *, strict: bool = False, say: Say = log) -> Arrays:
    """Its images to train, and its labelled validation images as the test set.

    Raises:
        DataError: if a file is missing or does not hold what it should.
    """
    ids = _classes(found)
    paths, labels = _annotated(found, ids)
    train = _train(found, ids, strict=strict, say=say)
    say(f"reading {len(paths):,} images to test …")
    test = _Listed.of(labels, decoded(paths, strict=strict, say=say))
    return _arrays(found, ids, train, test)


def parted(found: Path, *, share: float, strict: bool = False, say: Say = log) -> Arrays:
    """Its images to train, a share of which (stratified, always the same) becomes the test set.

    Raises:
        DataError: if a file is missing or does not hold what it should.
    """
    ids = _classes(found)
    every = _train(found, ids, strict=strict, say=say)
    return Arrays.parted(every.images, every.labels, stratified_mask(every.labels, share), _names(found, ids))


def _train(found: Path, ids: list[str], *, strict: bool, say: Say) -> _Listed:
    by_class = [files_below(found / "train" / name) for name in ids]
    empty = [name for name, paths in zip(ids, by_class, strict=True) if not paths]
    if empty:
        others = f" ({len(empty) - 1} other classes have none either)" if len(empty) > 1 else ""
        raise DataError(f"{found / 'train' / empty[0]} has no images{others}")
    paths = [path for some in by_class for path in some]
    labels = [index for index, some in enumerate(by_class) for _ in some]
    say(f"reading {len(paths):,} images to train …")
    return _Listed.of(labels, decoded(paths, strict=strict, say=say))


def _classes(found: Path) -> list[str]:
    ids = (found / "wnids.txt").read_text(encoding="utf-8").split()
    if not ids:
        raise DataError(f"{found / 'wnids.txt'} names no class; valid: one class per line")
    return ids


def _annotated(found: Path, ids: list[str]) -> tuple[list[Path], list[int]]:
    """The validation images and their labels."""
    index = {name: place for place, name in enumerate(ids)}
    paths, labels = [], []
    for number, line in enumerate((found / _ANNOTATIONS).read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split("\t")
        if len(words) < 2 or words[1] not in index:  # noqa: PLR2004 (file and class)
            raise DataError(
                f"{found / _ANNOTATIONS}, line {number}: expected a file and a class of wnids.txt, got {line!r}"
            )
        paths.append(found / "val" / "images" / words[0])
        labels.append(index[words[1]])
    return paths, labels


def _arrays(found: Path, ids: list[str], train: _Listed, test: _Listed) -> Arrays:
    """The arrays, grey images given the channels of the others."""
    channels = max(train.images.shape[-1], test.images.shape[-1])
    if train.images.shape[1:3] != test.images.shape[1:3]:
        raise DataError(
            f"training images have {train.images.shape[1:3]} pixels, but test images have {test.images.shape[1:3]}"
        )
    return Arrays(
        train_images=_coloured(train.images, channels),
        train_labels=train.labels,
        test_images=_coloured(test.images, channels),
        test_labels=test.labels,
        classes=_names(found, ids),
    )


def _names(found: Path, ids: list[str]) -> tuple[str, ...]:
    """The first name of each class."""
    lines = (line.partition("\t") for line in (found / "words.txt").read_text(encoding="utf-8").splitlines())
    words = {name: said.split(",")[0] for name, _, said in lines}
    return tuple(words.get(name, name) for name in ids)


def _coloured(images: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    return images if images.shape[-1] == channels else np.repeat(images, channels, axis=-1)
