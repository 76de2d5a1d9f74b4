"""Tiny-ImageNet-200: 100,000 colour 64x64 images of 200 kinds to train; its 10,000 labelled validation images test."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainables import tiny_imagenet_files
from trainables.data import Arrays

NAME: Final = "tiny_imagenet"

_log = logging.getLogger(__name__)


def find(folder: Path | None = None, *, say: Callable[[str], None] = _log.info) -> Path:
    """Return the official folder; `trainables.tiny_imagenet_files.find` says where it is looked for."""
    return tiny_imagenet_files.find(folder, say=say)


def files(found: Path) -> list[Path]:
    """Return its files."""
    return tiny_imagenet_files.files(found)


def load(found: Path, *, strict: bool = False, say: Callable[[str], None] = _log.info) -> Arrays:
    """Return the whole data set: images (100,000 and 10,000, 64, 64, 3).

    Raises:
        DataError: A file is missing, or does not hold what it should; if strict, an image is damaged.
    """
    return tiny_imagenet_files.official(found, strict=strict, say=say)
