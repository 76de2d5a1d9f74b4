"""A data set of pictures as people have it: class folders, a table with flat folders, or Parquet and Arrow files."""

import os
from pathlib import Path
from typing import Final

from trainables.data.layouts import label_tables
from trainables.data.layouts.class_folders import labelled_by_folders
from trainables.data.layouts.columnar_pictures import columnar_files_in, labelled_in_files, labelled_in_folder
from trainables.data.layouts.folder_tree import read_tree
from trainables.data.layouts.table_pictures import labelled_by_table, labelled_by_tables_in
from trainables.data.pictures import columnar_files
from trainables.data.pictures.appearance import may_be_picture
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.names import printable
from trainables.data.pictures.picture_list import PictureList
from trainables.errors import DataError

_VALID: Final = "valid: a folder, a table (.csv, .tsv, .jsonl), or a file .parquet, .arrow or .npz"
_ARCHIVES: Final = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
_SPREADSHEETS: Final = frozenset({".xls", ".xlsx", ".ods", ".numbers"})


def pictures_of(path: Path, columns: Columns | None = None) -> PictureList:
    """All labelled pictures of a folder, table or Parquet file; no picture is decoded.

    Args:
        path: a folder, a table (.csv, .tsv, .jsonl), or a .parquet or .arrow file.
        columns: the names of the table's columns.

    Raises:
        DataError: if the files are not understood, or the labels are not complete: one line, with what is valid.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps `..`, Path.resolve leaves links)
    if not os.path.lexists(path):
        raise DataError(f"--data {printable(str(path))} does not exist; {_VALID}")
    return _of_folder(path, columns) if path.is_dir() else _of_file(path, columns or Columns())


def _of_file(path: Path, columns: Columns) -> PictureList:
    name, suffix = printable(str(path)), path.suffix.lower()
    if not path.is_file():
        raise DataError(f"--data {name} is no file or folder; {_VALID}")
    if not os.access(path, os.R_OK):
        raise DataError(f"--data {name} may not be read; valid: a file that you may read")
    if suffix in label_tables.SUFFIXES or suffix == ".txt":
        return labelled_by_table(path, columns)
    if suffix in columnar_files.SUFFIXES:
        return labelled_in_files([path], path, columns)
    if suffix in _ARCHIVES:
        raise DataError(f"--data {name} is an archive; valid: the folder that it unpacks to")
    if suffix in _SPREADSHEETS:
        raise DataError(f"--data {name} is a spreadsheet; valid: the same, saved as CSV")
    what = "a picture, and no folder" if may_be_picture(path) else "a file, and no folder"
    raise DataError(f"--data {name} is {what}; {_VALID}")


def _of_folder(path: Path, columns: Columns | None) -> PictureList:
    tree = read_tree(path)
    if paths := columnar_files_in(tree):
        return labelled_in_folder(tree, paths, columns or Columns())
    by_table = labelled_by_tables_in(tree, columns)
    if isinstance(by_table, PictureList):
        return by_table
    if columns:
        raise by_table or DataError(
            f"{printable(str(path))} has no table for --columns; valid: a table beside pictures"
        )
    try:
        return labelled_by_folders(tree)
    except DataError:
        if by_table and not any(folder.filled_folders for folder in tree.folders):
            raise by_table from None
        raise
