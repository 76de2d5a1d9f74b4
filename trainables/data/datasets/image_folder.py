"""Any folder of images: one folder per class, named after it, with PNG or JPEG files.

Either `FOLDER/<class>/*.png`: a sixth (stratified, always the same) is the test set. Or `FOLDER/train/<class>/*.png`
and `FOLDER/test/<class>/*.png`. Images of several sizes are resized to the most frequent size. Damaged images are named
and left out, or refused with --strict.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Arrays
from trainables.data.image_files import decoded, files_below, images_below
from trainables.data.sources import Say, log
from trainables.data.splits import stratified_mask
from trainables.errors import DataError

NAME: Final = "image_folder"
TEST_SHARE: Final = 1 / 6
_FEWEST_CLASSES: Final = 2


def find(folder: Path | None = None, *, say: Say = log) -> Path:  # noqa: ARG001
    """The folder itself, checked.

    Raises:
        DataError: if it is None or missing, or has fewer than two folders with images.
    """
    if folder is None:
        raise DataError("image_folder needs a folder: give --data FOLDER, with a folder of images for each class")
    if not folder.is_dir():
        raise DataError(
            f"--data {folder} is not a folder; valid: a folder that has a folder of PNG or JPEG images for each class"
        )
    if (classes := len(_classes(folder))) < _FEWEST_CLASSES:
        raise DataError(
            f"--data {folder} has {classes} folders of PNG or JPEG images; valid: two or more, one for "
            "each class, or train/ and test/ with the same folders in each"
        )
    return folder


def files(folder: Path) -> list[Path]:
    """The folder's image files."""
    return files_below(folder)


def load(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:
    """The whole data set: images of one size, with one channel if all are grey.

    Raises:
        DataError: if no image can be read, or a class has none; with strict, if one image is damaged.
    """
    classes = _classes(folder)
    folders = [folder / "train", folder / "test"] if _has_test_folder(folder) else [folder]
    places = [
        (path, label, part) for part, root in enumerate(folders) for path, label in _labelled_files(root, classes)
    ]
    decoded_images = decoded([path for path, _, _ in places], strict=strict, say=say)
    labels = np.array([label for _, label, _ in places], dtype=np.int64)[decoded_images.places]
    in_test = np.array([part for _, _, part in places], dtype=bool)[decoded_images.places]
    if not _has_test_folder(folder):
        in_test = stratified_mask(labels, TEST_SHARE)
    for name, mask in (("train", ~in_test), ("test", in_test)):
        _check(folder, name, labels[mask], classes)
    return Arrays.split_by(decoded_images.images, labels, in_test, classes)


def _has_test_folder(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir()


def _classes(folder: Path) -> tuple[str, ...]:
    """The names of the folders that have images, sorted."""
    root = folder / "train" if _has_test_folder(folder) else folder
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return tuple(path.name for path in folders if any(images_below(path)))


def _labelled_files(root: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    return [(path, label) for label, name in enumerate(classes) for path in files_below(root / name)]


def _check(folder: Path, name: str, labels: npt.NDArray[np.int64], classes: tuple[str, ...]) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.min():
        raise DataError(f"{folder}: class {classes[int(counts.argmin())]!r} has no image in the {name} set")
