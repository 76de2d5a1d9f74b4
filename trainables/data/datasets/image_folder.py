"""Pictures of one's own: a folder for each class, or a table (a small inside until the layouts are merged)."""

from pathlib import Path
from typing import Final

from trainables.data.pictures.layouts import Columns, pictures_of
from trainables.data.pictures.picture_list import PictureList
from trainables.data.sources import PICTURES, Say, log
from trainables.errors import DataError

NAME: Final = PICTURES


def find(folder: Path | None = None, *, say: Say = log) -> Path:  # noqa: ARG001
    """The folder itself."""
    if folder is None:
        raise DataError("image_folder needs a folder: give --data FOLDER, with a folder of images for each class")
    return folder


def pictures(folder: Path, *, columns: Columns | None = None, say: Say = log) -> PictureList:  # noqa: ARG001
    """Its pictures."""
    return pictures_of(folder, columns)
