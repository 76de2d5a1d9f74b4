"""The sources of data sets: each is a module in trainables/data/datasets, found by its name."""

import importlib
import logging
import pkgutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

from trainables.data import datasets
from trainables.data.arrays import Arrays
from trainables.errors import DataError

Say = Callable[[str], None]
"""Takes a short sentence about work that takes time."""

log: Say = logging.getLogger(__name__).info


class Source(Protocol):
    """The protocol of a module in trainables/data/datasets."""

    NAME: str

    def find(self, folder: Path | None = None, *, say: Say) -> Path:
        """The folder that holds the data set; raises DataError if there is none."""

    def files(self, folder: Path) -> Iterable[Path]:
        """The data set's files; while they do not change, they are not read again."""

    def load(self, folder: Path, *, strict: bool, say: Say) -> Arrays:
        """The whole data set, checked; raises DataError if it is damaged. With strict, so does one damaged image."""


def source(name: str) -> Source:
    """The module with this name.

    Raises:
        DataError: if there is none; the message lists the valid names.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    if name not in names:
        raise DataError(f"data set {name!r} is not known; valid: {', '.join(names)}")
    return cast(Source, importlib.import_module(f"{datasets.__name__}.{name}"))
