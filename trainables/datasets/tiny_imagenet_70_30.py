"""Tiny-ImageNet-200 with the reports' own test set: 30 % of its images to train, always the same, by class."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainables import tiny_imagenet_files
from trainables.data import Arrays

NAME: Final = "tiny_imagenet_70_30"
TEST_SHARE: Final = 0.3

_log = logging.getLogger(__name__)


def find(folder: Path | None = None, *, say: Callable[[str], None] = _log.info) -> Path:
    """Return the official folder; `trainables.tiny_imagenet_files.find` says where it is looked for."""
    return tiny_imagenet_files.find(folder, say=say)


def files(found: Path) -> list[Path]:
    """Return its files."""
    return tiny_imagenet_files.files(found)


def load(found: Path, *, strict: bool = False, say: Callable[[str], None] = _log.info) -> Arrays:
    """Return the whole data set: images (70,000 and 30,000, 64, 64, 3).

    Raises:
        DataError: A file is missing, or does not hold what it should; if strict, an image is damaged.
    """
    return tiny_imagenet_files.parted(found, share=TEST_SHARE, strict=strict, say=say)
