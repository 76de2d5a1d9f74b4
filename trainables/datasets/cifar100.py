"""CIFAR-100: 60,000 colour 32x32 images of 100 kinds of things (Krizhevsky 2009, Learning multiple layers)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainables.cifar_files import Files
from trainables.data import Arrays

NAME: Final = "cifar100"

_FILES: Final = Files(
    title="CIFAR-100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    train=("train",),
    test="test",
    labels="fine_labels",
    meta="meta",
    names="fine_label_names",
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
