"""A file .npz of arrays with Keras' names: x_train, y_train and, if there are, x_test and y_test."""

import os
from pathlib import Path
from typing import Final

from trainables.data.arrays import Arrays
from trainables.data.npz_files import indices, labels, read_arrays, whole_images
from trainables.data.pictures.names import printable
from trainables.data.sources import Say, log
from trainables.data.splits import stratified_mask
from trainables.errors import DataError

NAME: Final = "npz"
TEST_SHARE: Final = 1 / 6

_VALID: Final = "valid: --data FILE.npz with x_train, y_train and, if there are, x_test and y_test"


def find(folder: Path | None = None, *, say: Say = log) -> Path:  # noqa: ARG001
    """The file itself, or the only .npz of a folder.

    Raises:
        DataError: if there is none.
    """
    if folder is None:
        raise DataError(f"npz needs a file; {_VALID}")
    if os.path.isdir(folder):
        inner = sorted(folder.glob("*.npz"))
        if len(inner) != 1:
            raise DataError(f"--data {printable(str(folder))} has {len(inner)} files .npz; {_VALID}")
        return inner[0]
    if not os.path.isfile(folder):
        raise DataError(f"--data {printable(str(folder))} is no file; {_VALID}")
    if not os.access(folder, os.R_OK):
        raise DataError(f"--data {printable(str(folder))} may not be read; valid: a file that you may read")
    return folder


def files(folder: Path) -> list[Path]:
    """The file."""
    return [folder]


def load(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:  # noqa: ARG001
    """The whole data set; floats become whole numbers, and a missing test part is a sixth of the training part.

    Raises:
        DataError: if the file is damaged, has no such arrays, or they are no images and labels.
    """
    place = printable(str(folder))
    arrays = read_arrays(folder, ("x_train", "y_train"), ("x_test", "y_test", "class_names"))
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{place} has only one of x_test and y_test; {_VALID}")
    names = [name for name in ("train", "test") if f"x_{name}" in arrays]
    images, texts = [], []
    for name in names:
        images.append(whole_images(arrays[f"x_{name}"], arrays["x_train"], f"{place}: x_{name}", say))
        texts.append(labels(arrays[f"y_{name}"], f"{place}: y_{name}"))
        if len(images[-1]) != len(texts[-1]):
            raise DataError(
                f"{place}: x_{name} has {len(images[-1]):,} images, but y_{name} has {len(texts[-1]):,} labels"
            )
    if images[0].shape[1:] != images[-1].shape[1:]:
        raise DataError(f"{place}: images of {images[0].shape[1:]} to train, but of {images[1].shape[1:]} to test")
    classes, train, test = indices(texts[0], texts[-1], arrays.get("class_names"), place)
    if len(images) == 1:
        say(f"{place} has no x_test: a sixth of x_train is the test set")
        return Arrays.split_by(images[0], train, stratified_mask(train, TEST_SHARE), classes)
    return Arrays(train_images=images[0], train_labels=train, test_images=images[1], test_labels=test, classes=classes)
