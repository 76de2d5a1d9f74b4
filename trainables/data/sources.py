"""The sources of data sets: each is a module in trainables/data/datasets, found by its name."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast, runtime_checkable

from trainables.data import datasets
from trainables.data.arrays import Arrays
from trainables.errors import DataError

Say = Callable[[str], None]
"""Takes a short sentence about work that takes time."""

if TYPE_CHECKING:
    from trainables.data.pictures.columns import Columns
    from trainables.data.pictures.picture_list import PictureList

PICTURES: Final = "image_folder"
"""The name of people's own pictures, whether in folders or in a table."""

ARRAYS: Final = "npz"
"""The name, and the suffix, of files of arrays. People give them as `image_folder`, too."""

log: Say = logging.getLogger(__name__).info


class ArraySource(Protocol):
    """The protocol of a module in trainables/data/datasets whose images are stored as they are."""

    NAME: str

    def find(self, folder: Path | None = None, *, say: Say) -> Path:
        """The folder that holds the data set; raises DataError if there is none."""

    def files(self, folder: Path) -> Iterable[Path]:
        """The data set's files; while they do not change, they are not read again."""

    def load(self, folder: Path, *, strict: bool, say: Say) -> Arrays:
        """The whole data set, checked; raises DataError if it is damaged. With strict, so does one damaged image."""


@runtime_checkable
class PictureSource(Protocol):
    """The protocol of a module in trainables/data/datasets whose pictures are decoded to the sizes that trials need."""

    NAME: str

    def find(self, folder: Path | None = None, *, say: Say) -> Path:
        """The folder or table that lists the pictures; raises DataError if there is none."""

    def pictures(self, folder: Path, *, columns: "Columns | None", say: Say) -> "PictureList":
        """All pictures with their labels; reads none of them. Raises DataError if there are none, or a label lacks."""


Source: TypeAlias = ArraySource | PictureSource


def source(name: str, folder: Path | None = None) -> Source:
    """The module with this name; for a file of arrays in place of a folder of pictures, the one that reads it.

    Raises:
        DataError: if there is none; the message lists the valid names.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    if name not in names:
        raise DataError(f"data set {name!r} is not known; valid: {', '.join(names)}")
    if name == PICTURES and folder is not None and folder.suffix.lower() == f".{ARRAYS}":
        name = ARRAYS
    return cast(Source, importlib.import_module(f"{datasets.__name__}.{name}"))
