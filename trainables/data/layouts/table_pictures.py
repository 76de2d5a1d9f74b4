"""Pictures in folders, labelled by a table of file names and labels that lies beside them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from layersweep.formatting import count
from trainables.data.layouts.class_folders import labelled_by_folders, without_wrappers
from trainables.data.layouts.file_index import FileIndex
from trainables.data.layouts.folder_tree import Folder, read_tree
from trainables.data.layouts.label_tables import SUFFIXES, Table, read_table
from trainables.data.layouts.labelled_rows import LabelledRow, has_a_label_for_each_row, picture_list
from trainables.data.layouts.layout_texts import unused_notes
from trainables.data.layouts.table_columns import LabelledTable, labelled_table, one_to_one
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.names import part_named, part_of, printable, same_for_people
from trainables.data.pictures.picture_list import Part, PictureList
from trainables.errors import DataError

_SUBMISSION: Final = "submission"
"""In the name of a table: its labels are examples of answers, as on Kaggle, and not true."""


@dataclass(kw_only=True)
class _Tables:
    """The tables beside a folder's pictures.

    Attributes:
        labelled: those with file names and labels.
        unlabelled: the files that other tables name, without labels.
        problem: why the first other table could not be used; None if there is no other.
    """

    labelled: list[LabelledTable] = field(default_factory=list)
    unlabelled: set[str] = field(default_factory=set)
    problem: DataError | None = None


def labelled_by_table(path: Path, columns: Columns) -> PictureList:
    """The pictures that a table names; they lie in its folder, or below.

    Raises:
        DataError: if the table is not understood, names files that are missing, or leaves out some of a folder.
    """
    table = read_table(path)
    tree = read_tree(path.parent)
    files = FileIndex.of(tree)
    others = _tables(tree, files, columns, {path})
    return _pictures(tree, files, [labelled_table(table, files, columns)], others.unlabelled)


def labelled_by_tables_in(tree: Folder, columns: Columns | None) -> PictureList | DataError | None:
    """The pictures that a table in their folder labels; None without one, or why a table could not be used.

    Tables that say no more than the folders' names do are not used, unless a person names their columns. If a table is
    of the test or validation part alone, class folders may say the others.

    Raises:
        DataError: if a table labels pictures, but not as it should.
    """
    files = FileIndex.of(tree)
    tables = _tables(tree, files, columns or Columns(), set())
    labelled = [table for table in tables.labelled if not has_a_label_for_each_row(table.labels)]
    if not columns and all(_agrees_with_folders(table, files) for table in labelled):
        return None if tables.labelled else tables.problem
    parts = {_own_part(table, tree) for table in labelled}
    if len(labelled) > 1 and (None in parts or len(parts) < len(labelled)):
        names = ", ".join(printable(table.table.path.name) for table in labelled)
        raise DataError(f"{printable(str(tree.path))} has several tables of labels: {names}; valid: --data TABLE")
    return _pictures(tree, files, labelled, tables.unlabelled, with_folders=True) if labelled else tables.problem


def _tables(tree: Folder, files: FileIndex, columns: Columns, used: set[Path]) -> _Tables:
    """The tables in a folder and in those of its parts, but for those in use."""
    inner = without_wrappers(tree)
    folders = {folder.path: folder for folder in (tree, inner, *inner.folders)}
    paths = [folder.path / name for folder in folders.values() for name in folder.others]
    tables = _Tables()
    for path in (path for path in paths if path.suffix.lower() in SUFFIXES and path not in used):
        try:
            table = read_table(path)
        except DataError as error:
            tables.problem = tables.problem or error
            continue
        try:
            if _SUBMISSION not in path.name.casefold():
                tables.labelled.append(labelled_table(table, files, columns))
                continue
        except DataError as error:
            tables.problem = tables.problem or error
        tables.unlabelled |= _named_files(table, files)
    return tables


def _named_files(table: Table, files: FileIndex) -> set[str]:
    """The files that any cells of a table name."""
    cells = {cell.strip() for row in table.rows for cell in row}
    names = (files.cleaned(cell) for cell in cells)
    return {path for name in names if name for path in files.files(name, "test")}


def _own_part(table: LabelledTable, tree: Folder) -> Part | None:
    """The part that a table is for: by its name, or that of the folder that it lies in."""
    folder = table.table.path.parent
    return part_of(table.table.path.stem) or (part_of(folder.name) if folder != tree.path else None)


def _agrees_with_folders(table: LabelledTable, files: FileIndex) -> bool:
    """Whether the folders of the named files say the labels, and the parts, too."""
    pairs: dict[tuple[str, str], None] = {}
    parts: set[Part | None] = set()
    same = True
    for name, label in zip(table.table.column(table.file), table.labels, strict=True):
        for path in files.files(files.cleaned(name) or "")[:1]:
            above = path.split("/")[:-1]
            pairs[(above[-1] if above else "", label)] = None
            parts |= {part_of(folder) for folder in above}
            same = same and same_for_people(label) in {same_for_people(folder) for folder in above}
    return (same or (one_to_one(pairs) and len(pairs) > 1)) and (table.part is None or parts != {None})


def _pictures(
    tree: Folder, files: FileIndex, tables: Sequence[LabelledTable], unlabelled: set[str], *, with_folders: bool = False
) -> PictureList:
    """The pictures of tables whose columns are known."""
    rows: dict[str, LabelledRow] = {}
    notes: list[str] = []
    for table in tables:
        own, repeated = _rows(table, files, _own_part(table, tree) if table.part is None else None)
        if twice := next((path for path in own if path in rows), None):
            raise DataError(
                f"{printable(str(table.table.path))} names {printable(twice)}, as another table does; valid: one row"
            )
        rows |= own
        if repeated:
            notes.append(f"{printable(table.table.path.name)} repeats {count(repeated, 'row')}: used once")
    names = ", ".join(table.table.path.name for table in tables)
    notes += _without_labels(tree, rows, unlabelled, names)
    in_folders = _rows_of_folders(tree, {row.part for row in rows.values()}) if with_folders else []
    every_row = [*rows.values(), *in_folders]
    why = {folder.path: f"without a label in {printable(names)}" for folder in tree.every_folder()}
    notes += unused_notes(tree, (row.path for row in every_row), why, {table.table.path for table in tables})
    how = [*(["a folder each"] if in_folders else []), *(table.how for table in tables)]
    return picture_list(every_row, tables[0].table.path, " and ".join(how), notes)


def _rows_of_folders(tree: Folder, parts: set[Part | None]) -> list[LabelledRow]:
    """The pictures of class folders in other parts, if tables label none to train with."""
    if parts & {"train", None}:
        return []
    try:
        by_folders = labelled_by_folders(tree)
    except DataError:
        return []
    return [
        LabelledRow(path=one.path, label=by_folders.classes[one.label], part=one.part)
        for one in by_folders.pictures
        if one.part not in parts
    ]


def _without_labels(tree: Folder, rows: Iterable[str], unlabelled: set[str], names: str) -> Iterator[str]:
    """A note on pictures that other tables name, in folders of labelled pictures.

    Raises:
        DataError: if such a folder has pictures that no table names.
    """
    labelled = set(rows)
    folders = {path.rpartition("/")[0] for path in labelled}
    inner = {folder.path: str(folder.path.relative_to(tree.path)) for folder in tree.every_folder()}
    paths = [
        name if place == "." else f"{place}/{name}"
        for folder in tree.every_folder()
        if (place := inner[folder.path]) in folders or (place == "." and "" in folders)
        for name in folder.pictures
    ]
    missing = [path for path in paths if path not in labelled]
    if unknown := [path for path in missing if path not in unlabelled]:
        more = f", and neither have {len(unknown) - 1:,} others" if len(unknown) > 1 else ""
        raise DataError(
            f"{printable(str(tree.path / unknown[0]))} has no row in {printable(names)}{more}; valid: a row for each "
            "picture of a folder"
        )
    if missing:
        yield f"{count(len(missing), 'picture')} that another table names, without labels: not used"


def _rows(table: LabelledTable, files: FileIndex, part: Part | None) -> tuple[dict[str, LabelledRow], int]:
    """The rows by their files, and how many are repetitions.

    Raises:
        DataError: for a row without a file or label, or one that contradicts another.
    """
    rows: dict[str, LabelledRow] = {}
    lines: dict[str, int] = {}
    without_file: list[tuple[int, str]] = []
    labels = table.labels
    for index, name in enumerate(table.table.column(table.file)):
        cell = part_named(table.table.rows[index][table.part]) if table.part is not None else part
        path = _file(table.table, index, name, files, cell)
        if not path:
            without_file.append((index, name))
            continue
        if not labels[index]:
            raise DataError(f"{table.table.place(index)}: {printable(name)} has no label; valid: a label in each row")
        row = LabelledRow(path=files.root / path, label=labels[index], part=cell or _part_of_folders(path))
        if path in rows and rows[path] != row:
            raise DataError(
                f"{table.table.place(index)}: {printable(name)} is {_words(row)}, but {_words(rows[path])} in line "
                f"{table.table.lines[lines[path]]}; valid: one label for each picture"
            )
        rows[path], lines[path] = row, lines.get(path, index)
    if without_file:
        index, name = without_file[0]
        raise DataError(
            f"{table.table.place(index)}: {printable(name)!r} is no file below {printable(str(files.root))} "
            f"({count(len(without_file), 'such row')} of {len(labels):,}); valid: file names below this folder"
        )
    return rows, len(labels) - len(rows)


def _file(table: Table, index: int, name: str, files: FileIndex, part: Part | None) -> str | None:
    """The file that a row names; None if there is none.

    Raises:
        DataError: if the row names no file, several, or one outside the table's folder.
    """
    if not name:
        raise DataError(f"{table.place(index)}: no file name; valid: a file name in each row")
    cleaned = files.cleaned(name)
    if cleaned is None:
        root = printable(str(files.root))
        raise DataError(f"{table.place(index)}: {printable(name)!r} lies outside {root}; valid: files below it")
    paths = files.files(cleaned, part)
    if len(paths) > 1:
        raise DataError(
            f"{table.place(index)}: {printable(name)!r} may be {' or '.join(printable(path) for path in paths[:2])}; "
            "valid: names with their folder"
        )
    return paths[0] if paths else None


def _part_of_folders(path: str) -> Part | None:
    return next((part for folder in path.split("/")[:-1] if (part := part_of(folder))), None)


def _words(row: LabelledRow) -> str:
    return f"{printable(row.label)}{f' in the {row.part} part' if row.part else ''}"
