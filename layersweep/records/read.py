"""Reads the tables: each row exactly once, even while a sweep writes them.

A damaged part is reported, and the other parts are read. Whoever holds the sweep's lock also moves it, to
`results/.state/damaged/`: nobody else takes a part from a sweep that may be running.
"""

import errno
import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.errors import ResultsError, reason, results_errors
from layersweep.records.files import sync
from layersweep.records.lock import is_own
from layersweep.records.tables import READABLE, SCHEMA_VERSION, TABLES, TRIALS

_PART: Final = re.compile(r"(\d{8})-(\d{8})\.parquet")
ATTEMPTS: Final = 100
"""How often a folder is read whose parts are merged meanwhile."""
_LATER_KEYS: Final = ("continuation",)
"""Key columns that schema version 1 did not have."""
_GONE: Final = (errno.ENOENT, errno.ESTALE)
"""ESTALE is NFS' answer for a file that another host has deleted."""
_ADVICE: Final = "it stays where it is: read it with another pyarrow or more memory, or, if it is damaged, move it away"
_PIECE_ROWS: Final = 1 << 18
_Content = TypeVar("_Content")


class DamagedPartWarning(UserWarning):
    """A part is damaged; it was set aside or left out, and the other parts were read."""


def part_name(first: int, last: int) -> str:
    """The name of the part that holds the flushes `first` to `last` of one table of one sweep."""
    return f"{first:08d}-{last:08d}.parquet"


def part_range(path: Path) -> tuple[int, int] | None:
    """The first and the last flush of a part; None if the file has another kind of name."""
    match = _PART.fullmatch(path.name)
    return (int(match[1]), int(match[2])) if match else None


def parts(folder: Path) -> list[Path]:
    """The parts in a sweep's folder that hold each flush once, in order: merged parts instead of their sources.

    A folder is listed until a listing has all flushes of the one before: one that is made during a merge may lack the
    merged part, which was not there yet, and its sources, which were gone when their turn came.

    Raises:
        ResultsError: if the folder keeps changing.
    """
    listing = _current(folder.glob("*.parquet"))
    for _ in range(ATTEMPTS):
        previous, listing = listing, _current(folder.glob("*.parquet"))
        if _current({*previous, *listing}) == listing:
            return listing
    raise restless(folder)


def restless(folder: Path) -> ResultsError:
    """The error for a folder that has changed at every attempt to read it."""
    return ResultsError(f"{folder} changed {ATTEMPTS} times while it was read; try again")


def _current(paths: Iterable[Path]) -> list[Path]:
    ranges = sorted((span, path) for path in paths if (span := part_range(path)))
    return [p for (a, b), p in ranges if not any(c <= a and b <= d and (a, b) != (c, d) for (c, d), _ in ranges)]


def superseded(folder: Path, results: Path) -> list[Path]:
    """The parts in a sweep's folder whose rows a merged part has too; none if one of the current parts is damaged.

    The caller holds the sweep's lock, and may delete them: the merged parts are on the disk, with their names.
    """
    paths = [p for p in folder.glob("*.parquet") if part_range(p)]  # once: a lock may not hold on another machine
    current_parts = _current(paths)
    sources = sorted({*paths} - {*current_parts})
    try:
        if not sources or any(read_part(p, results) is None for p in current_parts):
            return []
    except FileNotFoundError:  # of a writer on such a machine
        return []
    sync(folder)
    return sources


def sweeps(results: Path, table: str = "trials") -> list[str]:
    """The names of the sweeps that have rows in a table, sorted."""
    folder = results / table
    return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def read(
    results: Path,
    table: str,
    sweep: str | None = None,
    *,
    columns: Iterable[str] | None = None,
) -> pl.DataFrame:
    """All rows of a table, of one sweep or of all; `columns` selects columns and sets their order.

    The rows of a sweep come in the order in which they were written, whatever the clock of the machine did meanwhile.
    Columns that only some sweeps have (configuration keys) are null elsewhere. Without rows the frame is empty and has
    the table's fixed columns. If a writer merges parts meanwhile, they are read again. A damaged part causes a warning
    and is left out; if this process holds the sweep's lock, it is also set aside (see `read_part`). Damage is noticed
    only in the columns that are read.

    Raises:
        ResultsError: if the table or a column is unknown, the results were written by a newer schema, or they keep
            changing.
    """
    if table not in READABLE:
        raise ResultsError(f"unknown table {table!r}; valid: {', '.join(READABLE)}")
    selection = None if columns is None else list(columns)
    with results_errors(f"cannot read {results / table}"):
        names = sweeps(results, table) if sweep is None else [sweep]
        frames = [_read_sweep(results, table, name, selection) for name in names]
    empty = to_frame(READABLE[table].schema.empty_table())
    rows = pl.concat([empty, *frames], how="diagonal_relaxed")
    if selection is None:
        return rows
    _check_columns(table, selection, rows.columns)
    return rows.select(selection)


def _check_columns(table: str, selection: Sequence[str], columns: Sequence[str]) -> None:
    if unknown := [name for name in selection if name not in columns]:
        valid = ", ".join(READABLE[table].schema.names)
        keys = " and the configuration keys" if table == TRIALS.name else ""
        raise ResultsError(f"table {table!r} has no column {', '.join(map(repr, unknown))}; valid: {valid}{keys}")


def _read_sweep(results: Path, table: str, sweep: str, columns: Sequence[str] | None) -> pl.DataFrame:
    folder = results / table / sweep
    for _ in range(ATTEMPTS):
        try:
            newest_first = reversed(parts(folder))  # a writer merges the newest parts first
            contents = [read_part(path, results, columns=columns) for path in newest_first]
        except FileNotFoundError:  # a writer merged it after it was listed
            continue
        sound = [content for content in reversed(contents) if content is not None]
        return to_frame(pa.concat_tables(sound, promote_options="default") if sound else pa.table({}))
    raise restless(folder)


def to_frame(content: pa.Table) -> pl.DataFrame:
    """The frame of a part. Categories become strings, because each part has its own dictionary of them."""
    return pl.DataFrame(pl.from_arrow(content)).with_columns(pl.col(pl.Categorical).cast(pl.String))


def read_part(path: Path, results: Path, *, columns: Sequence[str] | None = None) -> pa.Table | None:
    """One part; None with a warning if it is damaged.

    If this process holds the sweep's lock, a damaged part is set aside: it is moved to `results/.state/damaged`.

    With `columns`, the result has those columns that the part has, and always `sweep`: it keeps the number of rows.

    Schema version 1 of `trials` did not count the ends of an attempt; `continuation` is 0 there.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    selection = None if columns is None else ["sweep", *columns]
    result = _open(path, results, lambda f: (f.schema_arrow.names, f.read(columns=selection)))
    if result is None:
        return None
    names, content = result
    if path.relative_to(results).parts[0] != TRIALS.name or "continuation" in names:
        return content
    field = TRIALS.schema.field("continuation")
    zeros = pa.repeat(pa.scalar(0, field.type), content.num_rows)
    place = content.schema.names.index("attempt") + 1 if selection is None else content.num_columns
    return content.add_column(place, field, zeros)


def map_part(
    path: Path, results: Path, function: Callable[[int, pl.DataFrame], _Content], *, columns: Sequence[str]
) -> list[_Content] | None:
    """The results of a function for one piece of a part's rows after another, which need little memory each.

    The function gets the number of the piece's first row, and a frame of these columns, with the types of the table. A
    damaged part causes a warning; it is left where it is, and the result is None.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    table = TABLES[path.relative_to(results).parts[0]]
    fields = [pa.field(name, _value_type(table.schema.field(name).type)) for name in columns]

    def visit(file: pq.ParquetFile) -> list[_Content]:
        first, contents = 0, []
        for batch in file.iter_batches(_PIECE_ROWS, columns=[*columns]):
            contents.append(function(first, to_frame(_with_columns(batch, fields))))
            first += batch.num_rows
        return contents

    return _open(path, results, visit, set_aside=False)


def visit_part(path: Path, results: Path, function: Callable[[pa.Table], None]) -> bool:
    """Calls a function with one piece of a part's rows after another, all columns; False if the part is damaged.

    A damaged part is left where it is. The function has then been called with its sound pieces.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    errors: list[ValueError] = []  # of the function: they say nothing of the part

    def visit(file: pq.ParquetFile) -> bool:
        for batch in file.iter_batches(_PIECE_ROWS):
            try:
                function(pa.Table.from_batches([batch]))
            except ValueError as error:
                errors.append(error)
                return False
        return True

    is_sound = _open(path, results, visit, set_aside=False)
    if errors:
        raise errors[0]
    return bool(is_sound)


def _with_columns(batch: pa.RecordBatch, fields: Sequence[pa.Field]) -> pa.Table:
    """These columns of a batch, with these types; a missing one is null."""
    names = batch.schema.names
    arrays = [
        batch.column(names.index(field.name)).cast(field.type)
        if field.name in names
        else pa.nulls(batch.num_rows, field.type)
        for field in fields
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def read_schema(path: Path, results: Path) -> pa.Schema | None:
    """The columns of one part, without its rows; None if the part is damaged: then it is set aside, as in `read_part`.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    return _open(path, results, lambda file: file.schema_arrow)


def _open(
    path: Path, results: Path, reader: Callable[[pq.ParquetFile], _Content], *, set_aside: bool = True
) -> _Content | None:
    """Applies a function to a part; None if the part is damaged, which is then set aside if that is allowed.

    Damage is what Parquet's reader says of the content: a ValueError, or an OSError without a number. What the system
    says (an OSError with a number, no memory), or what this version cannot read (NotImplementedError), is no damage.
    """
    try:
        with pa.OSFile(os.fsencode(path)) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            _check_schema(file.schema_arrow, path, READABLE[path.relative_to(results).parts[0]].schema)
            return reader(file)
    except (NotImplementedError, MemoryError) as error:
        raise ResultsError(f"cannot read {path}: {error}; {_ADVICE}") from error
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            if error.errno in _GONE:
                raise FileNotFoundError(errno.ENOENT, reason(error), str(path)) from error
            raise ResultsError(f"cannot read {path}: {reason(error)}") from error
        set_aside = set_aside and is_own(results, path.parent.name)
        aside = results / ".state" / "damaged" / path.relative_to(results)
        what = f"set aside as {aside}" if set_aside else "left out"
        warnings.warn(f"{path} is damaged ({error}); {what}", DamagedPartWarning, stacklevel=3)
        if set_aside:
            _set_aside(path, aside)
        return None


def _set_aside(path: Path, aside: Path) -> None:
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
    except OSError as error:  # read-only results: report it and read the other parts
        warnings.warn(f"{path} cannot be moved: {error}", DamagedPartWarning, stacklevel=4)


def _check_schema(schema: pa.Schema, path: Path, expected: pa.Schema) -> None:
    """Checks the version of a part, and the columns that its table always has.

    Raises:
        ResultsError: if a newer version wrote it.
        ValueError: if it is damaged, or no part of this table.
    """
    version = int((schema.metadata or {}).get(b"schema_version", b"0"))
    if version > SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has schema version {version}, but this program reads up to version {SCHEMA_VERSION}: "
            "use a newer Layersweep"
        )
    for field in expected:
        count, place = schema.names.count(field.name), schema.get_field_index(field.name)
        if count == 1 and _value_type(schema.field(place).type) != _value_type(field.type):
            raise ValueError(f"its column {field.name!r} has another type than its table's")
        if count > 1 or (count == 0 and not field.nullable and field.name not in _LATER_KEYS):
            raise ValueError(f"it has {count} columns {field.name!r}")


def _value_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values: that of a dictionary is the type of its entries."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind
