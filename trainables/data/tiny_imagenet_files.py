"""The files of Tiny-ImageNet-200: colour images of 64x64, 200 classes of 500 training and 50 validation images.

The official folder: `wnids.txt` (one class per line), `words.txt` (their names), `train/<class>/images/*.JPEG` and
`val/images/*.JPEG` with `val/val_annotations.txt` (file, class and box per line). Its test images have no labels.
(Le & Yang 2015, Tiny ImageNet visual recognition challenge, a part of ImageNet.)
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables.data.archives import unpack
from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import RemoteFile, download
from trainables.data.image_files import Decoded, decoded, files_below
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
        *files_below(folder / "train"),
        *files_below(folder / "val" / "images"),
    ]


@dataclass(frozen=True, kw_only=True)
class _LabelledImages:
    """Images without damaged ones, and their labels (n,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    @classmethod
    def of(cls, labels: list[int], decoded_images: Decoded) -> "_LabelledImages":
        """The decoded images, and their labels out of those of all files."""
        return cls(images=decoded_images.images, labels=np.array(labels, dtype=np.int64)[decoded_images.places])


def official(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:
    """The training images, with the labelled validation images as the test set.

    Raises:
        DataError: if a file is missing or damaged.
    """
    ids = _classes(folder)
    paths, labels = _annotated(folder, ids)
    train = _train(folder, ids, strict=strict, say=say)
    say(f"reading {len(paths):,} test images …")
    test = _LabelledImages.of(labels, decoded(paths, strict=strict, say=say))
    return _arrays(folder, ids, train, test)


def with_own_test_set(folder: Path, *, share: float, strict: bool = False, say: Say = log) -> Arrays:
    """The training images alone: a share of them (stratified, always the same) is the test set.

    Raises:
        DataError: if a file is missing or damaged.
    """
    ids = _classes(folder)
    images = _train(folder, ids, strict=strict, say=say)
    return Arrays.split_by(images.images, images.labels, stratified_mask(images.labels, share), _names(folder, ids))


def _train(folder: Path, ids: list[str], *, strict: bool, say: Say) -> _LabelledImages:
    by_class = [files_below(folder / "train" / name) for name in ids]
    empty = [name for name, paths in zip(ids, by_class, strict=True) if not paths]
    if empty:
        others = f" ({len(empty) - 1} other classes have none either)" if len(empty) > 1 else ""
        raise DataError(f"{folder / 'train' / empty[0]} has no images{others}")
    paths = [path for class_paths in by_class for path in class_paths]
    labels = [index for index, class_paths in enumerate(by_class) for _ in class_paths]
    say(f"reading {len(paths):,} training images …")
    return _LabelledImages.of(labels, decoded(paths, strict=strict, say=say))


def _classes(folder: Path) -> list[str]:
    ids = _text(folder / "wnids.txt").split()
    if not ids:
        raise DataError(f"{folder / 'wnids.txt'} names no class; valid: one class per line")
    if invalid := next((name for name in ids if not _is_file_name(name)), None):
        raise DataError(f"{folder / 'wnids.txt'}: {invalid!r} is not the name of a folder")
    return ids


def _annotated(folder: Path, ids: list[str]) -> tuple[list[Path], list[int]]:
    """The validation images and their labels."""
    index = {name: place for place, name in enumerate(ids)}
    paths, labels = [], []
    for number, line in enumerate(_text(folder / _ANNOTATIONS).splitlines(), start=1):
        words = line.split("\t")
        if len(words) < 2 or words[1] not in index or not _is_file_name(words[0]):  # noqa: PLR2004 (file and class)
            raise DataError(
                f"{folder / _ANNOTATIONS}, line {number}: expected a file and a class of wnids.txt, got {line!r}"
            )
        paths.append(folder / "val" / "images" / words[0])
        labels.append(index[words[1]])
    return paths, labels


def _arrays(folder: Path, ids: list[str], train: _LabelledImages, test: _LabelledImages) -> Arrays:
    """The arrays; if one set is grey, it gets the channels of the other."""
    channels = max(train.images.shape[-1], test.images.shape[-1])
    if train.images.shape[1:3] != test.images.shape[1:3]:
        raise DataError(
            f"training images have {train.images.shape[1:3]} pixels, but test images have {test.images.shape[1:3]}"
        )
    return Arrays(
        train_images=_with_channels(train.images, channels),
        train_labels=train.labels,
        test_images=_with_channels(test.images, channels),
        test_labels=test.labels,
        classes=_names(folder, ids),
    )


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


def _with_channels(images: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    return images if images.shape[-1] == channels else np.repeat(images, channels, axis=-1)
