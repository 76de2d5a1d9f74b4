"""MNIST: 70,000 grey images of 28x28, ten digits (LeCun, Cortes, Burges 1998), as keras.datasets has it."""

import os
from pathlib import Path
from typing import Final

from trainables.data.arrays import Arrays
from trainables.data.datasets import npz
from trainables.data.download import RemoteFile, download, keras_home
from trainables.data.sources import Say, log
from trainables.errors import DataError

NAME: Final = "mnist"
CLASSES: Final = tuple(str(digit) for digit in range(10))
ENVIRONMENT: Final = "LAYERSWEEP_MNIST"
FILE: Final = "mnist.npz"
REMOTE: Final = RemoteFile(
    address=f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{FILE}",
    bytes=11_490_434,
    sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
)
"""Address and SHA-256 are those of keras.datasets.mnist."""


def find(folder: Path | None = None, *, say: Say = log) -> Path:
    """The file: in `folder`, or in LAYERSWEEP_MNIST, if either is set; else Keras' own, which is downloaded if needed.

    Raises:
        DataError: if it is not found; the message says what is valid.
    """
    user_path = folder or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    path = user_path or keras_home() / "datasets" / FILE
    if os.path.isdir(path):
        path /= FILE
    if not os.path.isfile(path):
        if user_path:
            raise DataError(f"MNIST was not found at {path}; valid: --data FOLDER or {ENVIRONMENT}=FOLDER, with {FILE}")
        download(REMOTE, path, say=say)
    return path


def files(folder: Path) -> list[Path]:
    """The file."""
    return [folder]


def load(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:
    """The whole data set: images (60,000 and 10,000, 28, 28, 1), labels 0 to 9.

    Raises:
        DataError: if the file is damaged, or is not MNIST.
    """
    arrays = npz.load(folder, strict=strict, say=say)
    if arrays.classes != CLASSES:
        raise DataError(f"{folder} is not MNIST: it has {len(arrays.classes)} classes; valid: digits 0 to 9")
    return arrays
