"""CIFAR-10: 60,000 colour 32x32 images of 10 kinds of things (Krizhevsky 2009, Learning multiple layers)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainables.cifar_files import Files
from trainables.data import Arrays

NAME: Final = "cifar10"

_FILES: Final = Files(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels="labels",
    meta="batches.meta",
    names="label_names",
)

_log = logging.getLogger(__name__)


def find(folder: Path | None = None, *, say: Callable[[str], None] = _log.info) -> Path:
    """Return the folder of the unpacked files: in `folder`, else in Keras' or our own, else fetched.

    Raises:
        DataError: They are nowhere, and could not be fetched.
    """
    return _FILES.find(folder, say=say)


def files(found: Path) -> list[Path]:
    """Return the files of a folder."""
    return [found / name for name in _FILES.every]


def load(found: Path, *, strict: bool = False, say: Callable[[str], None] = _log.info) -> Arrays:  # noqa: ARG001
    """Return the whole data set: images (50,000 and 10,000, 32, 32, 3).

    Raises:
        DataError: A file is damaged, or not in CIFAR's format.
    """
    return _FILES.load(found)
