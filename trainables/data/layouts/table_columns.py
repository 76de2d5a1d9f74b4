"""Which columns of a table are file names, labels and parts: by their usual names, or as the only ones that fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trainables.data.layouts.file_index import FileIndex
from trainables.data.layouts.label_tables import (
    FILE_NAMES,
    LABEL_NAMES,
    OTHER_LABEL_NAMES,
    PART_NAMES,
    Table,
)
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.names import listed, part_named, part_of, printable
from trainables.errors import DataError

_SAMPLE: Final = 60
_ONE: Final = frozenset({"1", "1.0"})
_ZERO: Final = frozenset({"0", "0.0", ""})


@dataclass(frozen=True, kw_only=True)
class LabelledTable:
    """A table of which the columns are known.

    Attributes:
        table: the table.
        file: the column of file names.
        label: the column of labels; of several columns, one for each class, the only one with a 1 says the class.
        part: the column of parts, or None.
    """

    table: Table
    file: int
    label: tuple[int, ...]
    part: int | None = None

    @property
    def labels(self) -> list[str]:
        """The class of each row; empty if a row says none."""
        if len(self.label) == 1:
            return _without_fractions(self.table.column(self.label[0]))
        names = self.table.names
        return [names[next(index for index in self.label if row[index].strip() in _ONE)] for row in self.table.rows]

    @property
    def how(self) -> str:
        """How the labels are found, for the line that says how the data set was understood."""
        label = self.table.names[self.label[0]] if len(self.label) == 1 else f"{len(self.label)} columns of 0 and 1"
        columns = [
            self.table.names[self.file],
            label,
            *([self.table.names[self.part]] if self.part is not None else []),
        ]
        return f"by {printable(self.table.path.name)} (columns {listed(columns)})"


def labelled_table(table: Table, files: FileIndex, columns: Columns) -> LabelledTable:
    """A table with its columns.

    Args:
        table: the table; its first row may be no names but data.
        files: the files that its rows may name.
        columns: the names of columns that a person gave.

    Raises:
        DataError: if it has no column of file names or of labels, or several that could be.
    """
    if len(table.names) < 2:  # noqa: PLR2004 (file names and labels)
        raise DataError(
            f"{printable(str(table.path))} has one column only; valid: columns of file names and labels, with a comma, "
            "semicolon or tab between them"
        )
    first = _hits(table.without_names(), files, rows=[0])
    if any(strong for strong, _ in first) and not columns.file and not columns.label:
        table = table.without_names()
    file = _file_column(table, files, columns)
    part = _part_column(table, columns, file)
    label = (table.index(columns.label),) if columns.label else _label_columns(table, {file, part})
    return LabelledTable(table=table, file=file, label=label, part=part)


def _hits(table: Table, files: FileIndex, rows: Sequence[int]) -> list[tuple[int, int]]:
    """For each column, how many of some cells are the name of a file: with its suffix, and at all."""
    hits = []
    for index in range(len(table.names)):
        names = [files.cleaned(table.rows[row][index].strip()) or "" for row in rows]
        existing = [name for name in names if name and files.files(name)]
        hits.append((sum(name.rpartition("/")[2] in files.by_name for name in existing), len(existing)))
    return hits


def _file_column(table: Table, files: FileIndex, columns: Columns) -> int:
    if columns.file:
        return table.index(columns.file)
    rows = range(0, len(table.rows), -(-len(table.rows) // _SAMPLE))
    hits = _hits(table, files, rows)
    usual = [index for index in table.usual(FILE_NAMES) if hits[index][1]]
    if usual:
        return max(usual, key=lambda index: (hits[index][1] == len(rows), -usual.index(index)))
    best = max(hits)
    if best[1] and hits.count(best) == 1:
        return hits.index(best)
    if best[1]:
        names = listed([name for name, own in zip(table.names, hits, strict=True) if own == best])
        raise DataError(f"{printable(str(table.path))}: the columns {names} name files; valid: --columns file=NAME")
    suspect = next(iter(table.usual(FILE_NAMES)), 0)
    example = printable(table.rows[0][suspect])
    raise DataError(
        f"{printable(str(table.path))} names no file below {printable(str(files.root))} (column "
        f"{printable(table.names[suspect])}: {example!r}, …); valid: file names below this folder, in a column that "
        "--columns file=NAME can name"
    )


def _part_column(table: Table, columns: Columns, file: int) -> int | None:
    """The column of parts; one that has other values than parts counts only if a person named it."""
    if columns.part:
        index = table.index(columns.part)
        strange = next((row for row, cell in enumerate(table.column(index)) if not part_named(cell)), None)
        if strange is not None:
            cell = printable(table.rows[strange][index])
            raise DataError(f"{table.place(strange)}: {cell!r} is no part; valid: train, validation or test")
        return index
    usual = [index for index in table.usual(sorted(PART_NAMES)) if index != file]
    return next((index for index in usual if all(part_named(cell) for cell in table.column(index))), None)


def _label_columns(table: Table, others: set[int | None]) -> tuple[int, ...]:
    rest = [index for index in range(len(table.names)) if index not in others]
    for names in (LABEL_NAMES, OTHER_LABEL_NAMES):
        if usual := [index for index in table.usual(names) if index in rest]:
            return (_same_labels(table, usual),)
    if len(rest) == 1 and part_of(table.names[rest[0]]) is None:
        return (rest[0],)
    if len(rest) > 1 and all(_one_of(row, rest) for row in table.rows):
        return tuple(rest)
    fitting = [index for index in rest if 1 < len(set(table.column(index))) <= len(table.rows) / 2]
    if len(fitting) == 1:
        return (fitting[0],)
    shown = listed([table.names[index] for index in rest], 20) or "none besides the file names"
    raise DataError(
        f"{printable(str(table.path))}: no column is plainly the labels ({shown}); valid: one that is named label or "
        "class, or --columns label=NAME"
    )


def _one_of(row: Sequence[str], columns: Sequence[int]) -> bool:
    """Whether exactly one of these cells is 1, and the others are 0."""
    cells = [row[index].strip() for index in columns]
    return sum(cell in _ONE for cell in cells) == 1 and all(cell in _ONE or cell in _ZERO for cell in cells)


def _same_labels(table: Table, columns: Sequence[int]) -> int:
    """One of several columns of labels that mean the same: the one with words, not numbers.

    Raises:
        DataError: if they do not mean the same.
    """
    first = columns[0]
    for other in columns[1:]:
        if not one_to_one(dict.fromkeys(zip(table.column(first), table.column(other), strict=True))):
            names = listed([table.names[index] for index in columns])
            raise DataError(
                f"{printable(str(table.path))}: {names} could all be the labels; valid: --columns label=NAME"
            )
    words = [index for index in columns if not all(cell.lstrip("-").isdecimal() for cell in table.column(index))]
    return next(iter(words), first)


def one_to_one(pairs: Mapping[tuple[str, str], None]) -> bool:
    """Whether in distinct pairs no first and no second name is repeated."""
    return len({first for first, _ in pairs}) == len(pairs) == len({second for _, second in pairs})


def _without_fractions(labels: list[str]) -> list[str]:
    """Labels such as `1.0`, which spreadsheets and pandas write for whole numbers, as whole numbers."""
    whole = [label.rstrip("0").removesuffix(".") if "." in label else "" for label in labels]
    return whole if all(label.lstrip("-").isdecimal() for label in whole) else labels
