"""Reads the tables back, exactly: no row twice, none missing, also while a sweep writes them.

A damaged part is named, set aside below `results/.state/damaged/`, and the rest is read.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.errors import ResultsError
from layersweep.records.tables import SCHEMA_VERSION, TABLES, TRIALS

_PART: Final = re.compile(r"(\d{8})-(\d{8})\.parquet")
_ATTEMPTS: Final = 100
_Wanted = TypeVar("_Wanted")


class DamagedPartWarning(UserWarning):
    """A part could not be read; it was set aside and the other parts were read."""


def part_name(first: int, last: int) -> str:
    """The name of the part that holds the flushes `first` to `last` of one table of one sweep."""
    return f"{first:08d}-{last:08d}.parquet"


def part_range(path: Path) -> tuple[int, int] | None:
    """The flushes that a part holds, or None if the file is not a part of ours."""
    match = _PART.fullmatch(path.name)
    return (int(match[1]), int(match[2])) if match else None


def parts(folder: Path) -> list[Path]:
    """The parts in a sweep's folder that hold each flush once, in order: a merged part covers its sources."""
    found = sorted((span, path) for path in folder.glob("*.parquet") if (span := part_range(path)))
    return [p for (a, b), p in found if not any(c <= a and b <= d and (a, b) != (c, d) for (c, d), _ in found)]


def superseded(folder: Path, results: Path) -> list[Path]:
    """The parts in a sweep's folder that a merger holds too, if every part that counts is sound."""
    kept = parts(folder)
    covered = sorted(p for p in folder.glob("*.parquet") if part_range(p) and p not in kept)
    return covered if covered and all(read_part(p, results) is not None for p in kept) else []


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
    set_aside: bool = True,
) -> pl.DataFrame:
    """All rows of a table, of one sweep or of all; with `columns` these alone, in their order.

    Columns that only some sweeps have (configuration keys) are null elsewhere. Without rows the frame is empty and has
    the table's fixed columns. The parts are read again when a writer merged them meanwhile. A damaged part is named and
    left out; `set_aside` moves it, too. Damage in a column that is not asked for is left to whoever reads that.

    Raises:
        ResultsError: if the table or a column is unknown, the results were written by a newer schema, or they keep
            changing.
    """
    if table not in TABLES:
        raise ResultsError(f"unknown table {table!r}; valid: {', '.join(TABLES)}")
    asked = None if columns is None else list(columns)
    names = sweeps(results, table) if sweep is None else [sweep]
    frames = [_read_sweep(results, table, name, asked, set_aside=set_aside) for name in names]
    empty = _named(TABLES[table].schema.empty_table())
    whole = pl.concat([empty, *frames], how="diagonal_relaxed")
    return whole if asked is None else whole.select(_known(table, whole.columns, asked))


def _known(table: str, there: Sequence[str], asked: Sequence[str]) -> Sequence[str]:
    if unknown := [name for name in asked if name not in there]:
        valid = ", ".join(TABLES[table].schema.names)
        keys = " and the configurations' keys" if table == TRIALS.name else ""
        raise ResultsError(f"table {table!r} has no column {', '.join(map(repr, unknown))}; valid: {valid}{keys}")
    return asked


def _read_sweep(
    results: Path, table: str, sweep: str, columns: Sequence[str] | None, *, set_aside: bool
) -> pl.DataFrame:
    folder = results / table / sweep
    for _ in range(_ATTEMPTS):
        try:
            newest_first = reversed(parts(folder))  # they are the first to be merged away
            found = [read_part(path, results, columns=columns, set_aside=set_aside) for path in newest_first]
        except FileNotFoundError:  # merged away between listing and reading
            continue
        contents = [content for content in reversed(found) if content is not None]
        return _named(pa.concat_tables(contents, promote_options="default") if contents else pa.table({}))
    raise ResultsError(f"{folder} changed {_ATTEMPTS} times while it was read; try again")


def _named(content: pa.Table) -> pl.DataFrame:
    """The frame of a table, with names as strings: each part has a dictionary of its own."""
    return pl.DataFrame(pl.from_arrow(content)).with_columns(pl.col(pl.Categorical).cast(pl.String))


def read_part(
    path: Path, results: Path, *, columns: Sequence[str] | None = None, set_aside: bool = True
) -> pa.Table | None:
    """One part, or None with a warning if it is damaged: `set_aside` moves it below `results/.state/damaged`.

    With `columns` it has those of them that it holds, and `sweep`, so that no row is lost where it holds none.

    A part of `trials` of schema version 1, which did not count the ends of an attempt, has them as the first.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    wanted = None if columns is None else ["sweep", *columns]
    found = _read(path, results, lambda f: (f.schema_arrow.names, f.read(columns=wanted)), set_aside=set_aside)
    if found is None:
        return None
    there, content = found
    if path.relative_to(results).parts[0] != TRIALS.name or "continuation" in there:
        return content
    field = TRIALS.schema.field("continuation")
    zeros = pa.repeat(pa.scalar(0, field.type), content.num_rows)
    place = content.schema.names.index("attempt") + 1 if wanted is None else content.num_columns
    return content.add_column(place, field, zeros)


def read_schema(path: Path, results: Path) -> pa.Schema | None:
    """The columns of one part as they are written, without its rows; None if the part is damaged, as by `read_part`.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    return _read(path, results, lambda file: file.schema_arrow)


def _read(
    path: Path, results: Path, wanted: Callable[[pq.ParquetFile], _Wanted], *, set_aside: bool = True
) -> _Wanted | None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_version(file.schema_arrow, path)
            return wanted(file)
    except FileNotFoundError:
        raise
    except (ValueError, pa.ArrowNotImplementedError, OSError) as error:  # text or numbers of the footer may be torn
        if isinstance(error, OSError) and error.errno is not None:  # too many open files, no permission: not damage
            raise ResultsError(f"cannot read {path}: {error.strerror}") from error
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
    except OSError as error:  # read-only results: name it and go on with the rest
        warnings.warn(f"{path} stays where it is: {error}", DamagedPartWarning, stacklevel=4)


def _check_version(schema: pa.Schema, path: Path) -> None:
    version = int((schema.metadata or {}).get(b"schema_version", b"0"))
    if version > SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has schema version {version}, this program reads up to {SCHEMA_VERSION}: use a newer Layersweep"
        )
