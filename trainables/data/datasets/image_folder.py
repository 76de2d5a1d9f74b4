"""Pictures of your own: a folder, a table of file names and labels, or Parquet files (docs/your_images.md)."""

from pathlib import Path
from typing import Final

from trainables.data.layouts.layouts import pictures_of
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.picture_list import PictureList
from trainables.data.sources import Say, log
from trainables.errors import DataError

NAME: Final = "image_folder"


def find(folder: Path | None = None, *, say: Say = log) -> Path:  # noqa: ARG001
    """The folder or file itself.

    Raises:
        DataError: if none is given.
    """
    if folder is None:
        raise DataError("image_folder needs a folder: give --data FOLDER, with a folder of pictures for each class")
    return folder


def pictures(folder: Path, *, columns: Columns | None = None, say: Say = log) -> PictureList:  # noqa: ARG001
    """All labelled pictures; none is decoded.

    Raises:
        DataError: if the files are not understood, or the labels are not complete.
    """
    return pictures_of(folder, columns)
