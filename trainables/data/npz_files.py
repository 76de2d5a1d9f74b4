"""Files .npz from strangers: arrays of images and labels, checked before they are read."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, Labels
from trainables.data.pictures.names import in_natural_order, listed, printable
from trainables.data.sources import Say
from trainables.errors import DataError
from trainables.hardware import memory_bytes

_MEMORY_SHARE: Final = 0.5
"""The share of this machine's memory that the arrays may take."""

_CHANNELS: Final = (1, 3)
_LARGEST: Final = 255
_ROWS: Final = 1024
_DAMAGE: Final = (
    OSError, EOFError, ValueError, KeyError, RuntimeError, TypeError, SyntaxError, OverflowError, RecursionError,
    AttributeError, NotImplementedError, zlib.error, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip
"""What zipfile and NumPy, which reads a header as Python, raise of a damaged file."""


def read_arrays(path: Path, names: Collection[str], others: Collection[str] = ()) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a file by name.

    Args:
        path: the file.
        names: those that it must have.
        others: those that it may have.

    Raises:
        DataError: if it is damaged, lacks one, or has objects of Python, or more bytes than memory.
    """
    place = printable(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()}
            if missing := [name for name in names if name not in sizes]:
                raise DataError(
                    f"{place} has no array {missing[0]}, but {listed(list(sizes))}; valid: {', '.join(names)}"
                )
            present = [name for name in (*names, *others) if name in sizes]
            total, limit = sum(sizes[name] for name in present), int(_MEMORY_SHARE * memory_bytes())
            if total > limit:
                raise DataError(f"{place} has arrays of {total:,} bytes; valid: at most {limit:,} on this machine")
            return {name: _array(archive, name, sizes[name]) for name in present}
    except DataError:
        raise
    except _DAMAGE as error:
        text = printable(" ".join(str(error).split()))
        raise DataError(f"{place} is damaged, or is no .npz of numbers: {text}") from error


def _array(archive: zipfile.ZipFile, name: str, size: int) -> npt.NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype.hasobject:
            raise DataError(f"{name} has objects of Python; valid: numbers, saved with allow_pickle=False")
        if math.prod(shape) * dtype.itemsize != size - file.tell():
            raise ValueError(f"{name} is not as long as its header says")
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def whole_images(values: npt.NDArray[Any], like: npt.NDArray[Any], place: str, say: Say) -> Images:
    """Images (n, height, width, channels) of 0 to 255.

    Args:
        values: the array; grey images may lack their channel, or it may come first.
        like: the training images, whose range counts: floats of 0 to 1, or of 0 to 255.
        place: the file and array, for messages.
        say: takes a sentence for each change.

    Raises:
        DataError: if they are no images.
    """
    if values.dtype.kind not in "buif" or values.ndim not in (3, 4) or not values.size:
        raise DataError(
            f"{place} has {values.dtype} of shape {values.shape}; valid: numbers (n, height, width) or (n, height, "
            "width, channels)"
        )
    rows = values[..., np.newaxis] if values.ndim == 3 else values  # noqa: PLR2004 (grey)
    if rows.shape[-1] not in _CHANNELS and rows.shape[1] in _CHANNELS:
        say(f"{place}: the channels come first, and are put last")
        rows = np.moveaxis(rows, 1, -1)
    if rows.shape[-1] not in _CHANNELS:
        raise DataError(f"{place} has {rows.shape[-1]} channels; valid: 1 or 3")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(rows)
    scale = _LARGEST if like.dtype.kind in "bf" and like.max() <= 1 else 1
    say(f"{place}: {values.dtype} of 0 to {_LARGEST // scale} become whole numbers of 0 to {_LARGEST}")
    images = np.empty(rows.shape, np.uint8)
    for first in range(0, len(rows), _ROWS):
        part = rows[first : first + _ROWS].astype(np.float64) * scale
        if not (part.min() >= 0 and part.max() <= _LARGEST):  # also false for what is not a number
            raise DataError(
                f"{place} has values of {part.min() / scale:g} to {part.max() / scale:g}; valid: 0 to 255, or floats "
                "of 0 to 1"
            )
        images[first : first + _ROWS] = np.rint(part)
    return images


def labels(values: npt.NDArray[Any], place: str) -> list[str]:
    """The name of each image's class, from whole numbers or texts (n,) or (n, 1), or rows with a single 1.

    Raises:
        DataError: if they are no labels.
    """
    flat = values.reshape(-1) if values.ndim > 1 and values.size == len(values) else values
    if flat.ndim == 2 and flat.dtype.kind in "buif":  # noqa: PLR2004 (a row of 0 and 1 for each image)
        if not (((flat == 0) | (flat == 1)).all() and (flat.sum(axis=1) == 1).all()):
            raise DataError(f"{place} has several values for each image; valid: one label each, or 0 and a single 1")
        flat = flat.argmax(axis=1)
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == np.rint(flat)).all():
        flat = flat.astype(np.int64)
    if flat.ndim != 1 or flat.dtype.kind not in "buiUS" or not flat.size:
        raise DataError(f"{place} has {values.dtype} of shape {values.shape}; valid: whole numbers or texts (n,)")
    values = (flat.astype(np.int64) if flat.dtype.kind == "b" else flat).tolist()
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]


def indices(
    train: Sequence[str], test: Sequence[str], names: npt.NDArray[Any] | None, place: str
) -> tuple[tuple[str, ...], Labels, Labels]:
    """The classes, and the labels as indices into them; `names`, if there are some, stand for the labels 0, 1, ….

    Raises:
        DataError: if there are fewer than two classes, or a test label that no training image has.
    """
    values = in_natural_order(train)
    if len(values) < 2:  # noqa: PLR2004
        raise DataError(f"{place}: y_train has one class only, {listed(values)}; valid: two or more")
    if strange := in_natural_order(set(test) - set(values)):
        raise DataError(f"{place}: y_test has the class {printable(strange[0])}, which y_train lacks")
    index = {value: label for label, value in enumerate(values)}
    classes = values
    if names is not None:
        if names.dtype.kind != "U" or names.shape != (len(values),) or values != tuple(map(str, range(len(values)))):
            raise DataError(
                f"{place}: class_names are not a text for each label; valid: {len(values)} texts for 0, 1, …"
            )
        classes = tuple(str(name) for name in names)
    train_labels, test_labels = (np.array([index[value] for value in part], dtype=np.int64) for part in (train, test))
    return classes, train_labels, test_labels
