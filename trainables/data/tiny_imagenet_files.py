"""The files of Tiny-ImageNet-200: colour images of 64x64, 200 classes of 500 training and 50 validation images.

The official folder: `wnids.txt` (one class per line), `words.txt` (their names), `train/<class>/images/*.JPEG` and
`val/images/*.JPEG` with `val/val_annotations.txt` (file, class and box per line). Its test images have no labels.
(Le & Yang 2015, Tiny ImageNet visual recognition challenge, a part of ImageNet.)
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from trainables.data.archives import unpack
from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import RemoteFile, download
from trainables.data.pictures.decoding import decoded_arrays
from trainables.data.pictures.picture_list import Picture, PictureList
from trainables.data.pictures.survey import survey
from trainables.data.sources import Say, log
from trainables.data.splits import stratified_mask
from trainables.errors import DataError

FOLDER: Final = "tiny-imagenet-200"
ARCHIVE: Final = f"{FOLDER}.zip"
REMOTE: Final = RemoteFile(
    address=f"https://cs231n.stanford.edu/{ARCHIVE}",
    bytes=248_100_043,
    sha256="6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
)
"""The university publishes no hash. Size and SHA-256 are those of a published copy (huggingface.co, cnak47/cv-datasets,
beside CIFAR's archives with their known hashes); eight other repositories that had the file from this address list the
same. Its MD5 is 90528d7ca1a48142e341f4ef8d21d0de, which data loaders for PyTorch check.
"""
ENVIRONMENT: Final = "LAYERSWEEP_TINY_IMAGENET"

LARGEST_LIST: Final = 32 << 20
"""Bytes; `words.txt`, the largest one, has 3 million."""

_ANNOTATIONS: Final = Path("val") / "val_annotations.txt"
_SUFFIXES: Final = frozenset({".jpeg", ".jpg", ".png"})
_LISTS: Final = (Path("wnids.txt"), Path("words.txt"), _ANNOTATIONS)


def find(folder: Path | None = None, *, say: Say = log) -> Path:
    """The official folder: in `folder`, or in LAYERSWEEP_TINY_IMAGENET, if either is set; else ours, or a download.

    If there is a zip instead, it is unpacked into the cache.

    Raises:
        DataError: if the folder is not found, or the zip is damaged.
    """
    user_path = folder or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    downloads = cache_root() / "downloads" / FOLDER
    for place in [user_path] if user_path else sorted(downloads.glob("unpacked*")):
        for inner in (place, place / FOLDER):
            if all((inner / name).is_file() for name in _LISTS):
                return inner
    archive = (user_path if user_path.suffix == ".zip" else user_path / ARCHIVE) if user_path else downloads / ARCHIVE
    if not archive.is_file():
        if user_path:
            raise DataError(
                f"Tiny-ImageNet was not found in {user_path}; valid: a folder with train/, "
                f"{', '.join(map(str, _LISTS))}, or with {ARCHIVE}"
            )
        download(REMOTE, archive, say=say)
    folder = unpack(archive, downloads, say=say)
    inner = folder / FOLDER if (folder / FOLDER).is_dir() else folder
    if missing := [str(name) for name in _LISTS if not (inner / name).is_file()]:
        raise DataError(f"{archive} is not Tiny-ImageNet's archive: it lacks {missing[0]}")
    return inner


def files(folder: Path) -> list[Path]:
    """All files of the data set."""
    return [
        *(folder / name for name in _LISTS),
        *_images(folder / "train"),
        *_images(folder / "val" / "images"),
    ]


def official(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:
    """The training images, with the labelled validation images as the test set.

    Raises:
        DataError: if a file is missing or damaged.
    """
    ids = _classes(folder)
    pictures = [*_train(folder, ids), *_annotated(folder, ids)]
    listed = PictureList(pictures=pictures, classes=_names(folder, ids), layout="")
    return decoded_arrays(listed, survey(listed, say), strict=strict, say=say)


def with_own_test_set(folder: Path, *, share: float, strict: bool = False, say: Say = log) -> Arrays:
    """The training images alone: a share of them (stratified, always the same) is the test set.

    Raises:
        DataError: if a file is missing or damaged.
    """
    ids = _classes(folder)
    listed = PictureList(pictures=_train(folder, ids), classes=_names(folder, ids), layout="")
    summary = survey(listed, say)
    sound = [place for place, digest in enumerate(summary.digests) if digest]
    in_test = stratified_mask(np.array([listed.pictures[place].label for place in sound], dtype=np.int64), share)
    test = {sound[place] for place in np.flatnonzero(in_test)}
    parted = [replace(picture, part="test") if k in test else picture for k, picture in enumerate(listed.pictures)]
    return decoded_arrays(replace(listed, pictures=parted), summary, strict=strict, say=say)


def _train(folder: Path, ids: list[str]) -> list[Picture]:
    by_class = [_images(folder / "train" / name) for name in ids]
    empty = [name for name, paths in zip(ids, by_class, strict=True) if not paths]
    if empty:
        others = f" ({len(empty) - 1} other classes have none either)" if len(empty) > 1 else ""
        raise DataError(f"{folder / 'train' / empty[0]} has no images{others}")
    return [Picture(path=path, label=label) for label, paths in enumerate(by_class) for path in paths]


def _images(folder: Path) -> list[Path]:
    """The images below a folder, sorted by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.name[0] != ".")


def _classes(folder: Path) -> list[str]:
    ids = _text(folder / "wnids.txt").split()
    if not ids:
        raise DataError(f"{folder / 'wnids.txt'} names no class; valid: one class per line")
    if invalid := next((name for name in ids if not _is_file_name(name)), None):
        raise DataError(f"{folder / 'wnids.txt'}: {invalid!r} is not the name of a folder")
    return ids


def _annotated(folder: Path, ids: list[str]) -> list[Picture]:
    """The validation images with their labels: the test part."""
    index = {name: place for place, name in enumerate(ids)}
    pictures = []
    for number, line in enumerate(_text(folder / _ANNOTATIONS).splitlines(), start=1):
        words = line.split("\t")
        if len(words) < 2 or words[1] not in index or not _is_file_name(words[0]):  # noqa: PLR2004 (file and class)
            raise DataError(
                f"{folder / _ANNOTATIONS}, line {number}: expected a file and a class of wnids.txt, got {line!r}"
            )
        path = folder / "val" / "images" / words[0]
        pictures.append(Picture(path=path, label=index[words[1]], part="test"))
    return pictures


def _names(folder: Path, ids: list[str]) -> tuple[str, ...]:
    """The first name of each class."""
    lines = (line.partition("\t") for line in _text(folder / "words.txt").splitlines())
    words = {name: names.split(",")[0] for name, _, names in lines}
    return tuple(words.get(name, name) for name in ids)


def _text(path: Path) -> str:
    if (size := path.stat().st_size) > LARGEST_LIST:
        raise DataError(f"{path} has {size:,} bytes; valid: at most {LARGEST_LIST:,}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _is_file_name(name: str) -> bool:
    """Whether this names a file of a folder, and no other place."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name
