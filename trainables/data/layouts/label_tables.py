"""Tables as text: CSV with any usual delimiter, TSV, and lines of JSON, and which of their columns is which."""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainables.data.pictures.names import listed, printable
from trainables.errors import DataError

SUFFIXES: Final = frozenset({".csv", ".tsv", ".jsonl"})
LARGEST_TABLE: Final = 1 << 28
"""Bytes: a table of some millions of rows."""

FILE_NAMES: Final = tuple(
    "file_name filename file filepath file_path filepaths image_path path image_file image_name image img picture "  # noqa: SIM905
    "photo filenames images img_path image_id img_id id_code id_image picture_id photo_id file_id id name key".split()
)
"""Usual names of the column of file names; the first is preferred."""

LABEL_NAMES: Final = tuple(
    "label labels class classes class_name classname class_label label_name category category_name target targets "  # noqa: SIM905
    "species breed diagnosis dx class_id label_id category_id".split()
)
"""Usual names of the column of labels."""

OTHER_LABEL_NAMES: Final = tuple(
    "y type kind tag disease variety cultivar genus family emotion expression style genre scene object ground_truth gt "  # noqa: SIM905
    "annotation answer".split()
)
"""Names that a column of labels has, too; they count if there is none of the usual ones."""

PART_NAMES: Final = frozenset("split part set subset data_set dataset partition usage phase".split())  # noqa: SIM905
"""Usual names of the column of parts."""

_DELIMITERS: Final = ",;\t|"
_SAMPLE: Final = 30


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text.

    Attributes:
        path: its file.
        names: the names of its columns; without a first row of names, `1`, `2`, …
        rows: its rows; each has a cell for each column.
        lines: the line of the file that each row begins at.
    """

    path: Path
    names: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]

    def without_names(self) -> "Table":
        """The same table, if its first row has no names of columns but the first data."""
        return Table(
            path=self.path,
            names=tuple(str(number) for number in range(1, len(self.names) + 1)),
            rows=[self.names, *self.rows],
            lines=[1, *self.lines],
        )

    def column(self, index: int) -> list[str]:
        """The cells of a column."""
        return [row[index].strip() for row in self.rows]

    def place(self, row: int) -> str:
        """Where a row is, for messages."""
        return f"{printable(str(self.path))}, line {self.lines[row]}"

    def index(self, name: str) -> int:
        """The column of a name that a person has given.

        Raises:
            DataError: if there is none, or more than one.
        """
        exact = [index for index, own in enumerate(self.names) if own == name]
        places = exact or [index for index, own in enumerate(self.names) if usual_form(own) == usual_form(name)]
        if len(places) != 1:
            number = f"{len(places)} columns" if places else "no column"
            raise DataError(f"{printable(str(self.path))} has {number} {name!r}; valid: {listed(self.names, 20)}")
        return places[0]

    def usual(self, names: Collection[str]) -> list[int]:
        """The columns with one of these names, in the order of the names if they have one."""
        own = [usual_form(name) for name in self.names]
        return [index for name in names for index, form in enumerate(own) if form == name]


def usual_form(name: str) -> str:
    """A column's name in lower case, with `_` between words: `File Name` and `fileName` are `file_name`."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\W_]+", "_", separated).strip("_").casefold()


def read_table(path: Path) -> Table:
    """Reads a table of text; its first row has the names of its columns.

    Raises:
        DataError: if the file is too large, no table, or a row has another number of cells than the first.
    """
    text = _text(path)
    rows = list(_json_rows(path, text) if path.suffix.lower() == ".jsonl" else _csv_rows(path, text))
    if len(rows) < 2:  # noqa: PLR2004 (names and a row)
        raise DataError(f"{printable(str(path))} has {len(rows)} rows; valid: a row of names, and one for each picture")
    width = len(rows[0][1])
    cells = []
    for line, row in rows:
        if len(row) < width or any(row[width:]):
            raise DataError(
                f"{printable(str(path))}, line {line}: {len(row)} cells, but the first row has {width}; valid: as many "
                "in each row"
            )
        cells.append(row[:width])
    return Table(
        path=path, names=tuple(name.strip() for name in cells[0]), rows=cells[1:], lines=[line for line, _ in rows[1:]]
    )


def _text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark."""
    name = printable(str(path))
    try:
        size = path.stat().st_size
        if size > LARGEST_TABLE:
            raise DataError(f"{name} has {size:,} bytes; valid: tables of at most {LARGEST_TABLE:,}")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{name} cannot be read: {error.strerror or error}; valid: a table that you may read"
        ) from error
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{name}, line {line}: not in UTF-8; valid: a table of text, saved as UTF-8") from error
    if "\0" in text:
        raise DataError(f"{name} is no table but binary; valid: CSV, TSV or lines of JSON")
    return text


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, with their lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text, path.suffix.lower()))
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{printable(str(path))}, line {line}: {error}; valid: a table such as CSV") from error


def _delimiter(text: str, suffix: str) -> str:
    """The delimiter that gives rows of one width; the widest ones, if several do; of words if none does."""
    order = "\t" + _DELIMITERS.replace("\t", "") if suffix == ".tsv" else _DELIMITERS
    head = "".join(text.splitlines(keepends=True)[:_SAMPLE])
    widths: dict[str, tuple[bool, int]] = {}
    for delimiter in (*order, " "):
        try:
            rows = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter) if row]
        except csv.Error:
            continue
        widths[delimiter] = (min(rows, default=0) == max(rows, default=0), min(rows, default=0))
    usual = {delimiter: width for delimiter, width in widths.items() if delimiter != " " and width[1] > 1}
    if usual:
        return max(usual, key=usual.__getitem__)
    even = widths.get(" ", (False, 0))
    return " " if even[0] and even[1] > 1 else order[0]


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The names of the values, then a row for each line."""
    records = []
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                record = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{printable(str(path))}, line {line}: {error}; valid: an object of JSON") from error
            if not isinstance(record, dict):
                raise DataError(f"{printable(str(path))}, line {line}: no object; valid: an object of JSON")
            records.append((line, record))
    names = list(dict.fromkeys(name for _, record in records for name in record))
    if records:
        yield 1, names
    for line, record in records:
        yield line, [_cell(record.get(name)) for name in names]


def _cell(value: object) -> str:
    return "" if value is None or isinstance(value, list | dict) else str(value)
