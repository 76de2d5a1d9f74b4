"""A folder with everything below it, read once: pictures, folders, and what is neither. No pixel is decoded."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from trainables.data.pictures.appearance import may_be_picture
from trainables.data.pictures.names import natural_key, printable
from trainables.errors import DataError

_SYSTEM_NAMES: Final = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"}
)
"""What systems leave beside pictures, in lower case; names that begin with a dot are hidden, too."""

_DEEPEST: Final = 40
_MOST_FOLDERS: Final = 200_000


@dataclass(kw_only=True)
class Folder:
    """A folder as it was read; names are in natural order.

    Attributes:
        pictures: the names of its files that may be pictures: by their suffix, or else by their first bytes.
        others: the names of its other files.
        hidden: the names of hidden files and folders, and of what systems leave; these are not read.
    """

    path: Path
    folders: "list[Folder]" = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @cached_property
    def picture_count(self) -> int:
        """The number of pictures at any depth."""
        return len(self.pictures) + sum(folder.picture_count for folder in self.folders)

    @property
    def filled_folders(self) -> "list[Folder]":
        """The folders in it that have pictures."""
        return [folder for folder in self.folders if folder.picture_count]

    def every_folder(self) -> "Iterator[Folder]":
        """The folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.every_folder()

    def every_picture(self) -> Iterator[Path]:
        """All pictures at any depth."""
        return (folder.path / name for folder in self.every_folder() for name in folder.pictures)

    def every_other(self) -> list[Path]:
        """All files at any depth that are no pictures, but for hidden ones."""
        return [folder.path / name for folder in self.every_folder() for name in folder.others]


def read_tree(path: Path) -> Folder:
    """Reads the names of a folder and of all folders below it; links to folders are followed.

    Raises:
        DataError: if a folder or file may not be read, a name is not UTF-8, or a link leads in a circle.
    """
    return _Reader().read(path, ())


@dataclass
class _Reader:
    folders: int = 0

    def read(self, path: Path, above: tuple[tuple[int, int], ...]) -> Folder:
        """A folder; `above` identifies the folders that it lies in."""
        self.folders += 1
        if len(above) > _DEEPEST or self.folders > _MOST_FOLDERS:
            raise DataError(
                f"{printable(str(path))} lies too deep, or is one of too many folders; valid: at most "
                f"{_DEEPEST} folders within each other, and {_MOST_FOLDERS:,} in all"
            )
        try:
            with os.scandir(path) as unordered:
                entries = sorted(unordered, key=lambda entry: natural_key(entry.name))
            state = path.stat()
        except OSError as error:
            raise DataError(
                f"{printable(str(path))} cannot be read: {error.strerror or error}; valid: folders that you may read"
            ) from error
        identity = (state.st_dev, state.st_ino)
        if identity in above:
            raise DataError(
                f"{printable(str(path))} is a link to a folder that it lies in: a circle; valid: links without circles"
            )
        folder = Folder(path=path)
        for entry in entries:
            self._add(folder, entry, (*above, identity))
        return folder

    def _add(self, folder: Folder, entry: os.DirEntry[str], above: tuple[tuple[int, int], ...]) -> None:
        """Puts an entry of a folder where it belongs."""
        if entry.name.startswith(".") or entry.name.casefold() in _SYSTEM_NAMES:
            folder.hidden.append(entry.name)
            return
        path = folder.path / entry.name
        _check_name(path)
        if _holds(entry.is_dir):
            folder.folders.append(self.read(path, above))
        elif not _holds(entry.is_file):
            if _holds(entry.is_symlink) and not path.exists():
                raise DataError(f"{printable(str(path))} is a link to nothing; valid: links to files or folders")
            folder.others.append(entry.name)  # a pipe or a device: it is never opened
        elif not os.access(path, os.R_OK):
            raise DataError(f"{printable(str(path))} may not be read; valid: files that you may read")
        elif may_be_picture(path):
            folder.pictures.append(entry.name)
        else:
            folder.others.append(entry.name)


def _check_name(path: Path) -> None:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise DataError(f"{printable(str(path))}: its name is not UTF-8; valid: names in UTF-8") from None


def _holds(test: Callable[[], bool]) -> bool:
    """Whether a test of an entry holds; nothing holds for a link to itself."""
    with contextlib.suppress(OSError):
        return test()
    return False
