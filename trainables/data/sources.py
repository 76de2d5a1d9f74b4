"""Where data sets come from: a module in trainables/data/datasets each, found by its name."""

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
"""Is told in short sentences what takes time."""

log: Say = logging.getLogger(__name__).info


class Source(Protocol):
    """What a module in trainables/data/datasets has."""

    NAME: str

    def find(self, folder: Path | None = None, *, say: Say) -> Path:
        """Return the folder or archive that holds the data set, or raise DataError."""

    def files(self, found: Path) -> Iterable[Path]:
        """Return the files that, unchanged, need not be read again."""

    def load(self, found: Path, *, strict: bool, say: Say) -> Arrays:
        """Return the whole data set, checked, or raise DataError; if strict, a damaged image is an error, too."""


def source(name: str) -> Source:
    """The module of that name.

    Raises:
        DataError: if there is none; the message lists those that there are.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(datasets.__path__))
    if name not in names:
        raise DataError(f"data set {name!r} is not known; valid: {', '.join(names)}")
    return cast(Source, importlib.import_module(f"{datasets.__name__}.{name}"))
