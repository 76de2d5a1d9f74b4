"""A data set of pictures as people have it: class folders, a table with flat folders, or Parquet and Arrow files."""

from pathlib import Path

from trainables.data.pictures.class_folders import labelled_by_folders
from trainables.data.pictures.folder_tree import read_tree
from trainables.data.pictures.label_tables import Columns
from trainables.data.pictures.picture_list import PictureList


def pictures_of(path: Path, columns: Columns | None = None) -> PictureList:  # noqa: ARG001
    """All labelled pictures of a folder, table or Parquet file; no picture is decoded.

    Args:
        path: a folder, a table (.csv, .tsv, .jsonl), or a .parquet or .arrow file.
        columns: the names of the table's columns.

    Raises:
        DataError: if the files are not understood, or the labels are not complete: one line, with what is valid.
    """
    return labelled_by_folders(read_tree(path))
