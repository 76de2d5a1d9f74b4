"""Reads the tables back, exactly: no row twice, none missing, also while a sweep writes them.

A damaged part is named, set aside below `results/.state/damaged/`, and the rest is read.
"""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from records.errors import ResultsError
from records.tables import SCHEMA_VERSION, TABLES, TRIALS

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


def read(results: Path, table: str, sweep: str | None = None, *, set_aside: bool = True) -> pl.DataFrame:
    """All rows of a table, of one sweep or of all.

    Columns that only some sweeps have (configuration keys) are null elsewhere. Without rows the frame is empty and has
    the table's fixed columns. The parts are read again when a writer merged them meanwhile. A damaged part is named and
    left out; `set_aside` moves it, too.

    Raises:
        ResultsError: if the table is unknown, the results were written by a newer schema, or they keep changing.
    """
    if table not in TABLES:
        raise ResultsError(f"unknown table {table!r}; valid: {', '.join(TABLES)}")
    names = sweeps(results, table) if sweep is None else [sweep]
    frames = [_read_sweep(results, table, name, set_aside=set_aside) for name in names]
    empty = pl.DataFrame(pl.from_arrow(TABLES[table].schema.empty_table()))
    return pl.concat([empty.with_columns(pl.col(pl.Categorical).cast(pl.String)), *frames], how="diagonal_relaxed")


def _read_sweep(results: Path, table: str, sweep: str, *, set_aside: bool) -> pl.DataFrame:
    folder = results / table / sweep
    for _ in range(_ATTEMPTS):
        try:
            newest_first = reversed(parts(folder))  # they are the first to be merged away
            found = [read_part(path, results, set_aside=set_aside) for path in newest_first]
        except FileNotFoundError:  # merged away between listing and reading
            continue
        contents = [content for content in reversed(found) if content is not None]
        whole = pa.concat_tables(contents, promote_options="default") if contents else pa.table({})
        return pl.DataFrame(pl.from_arrow(whole)).with_columns(pl.col(pl.Categorical).cast(pl.String))
    raise ResultsError(f"{folder} changed {_ATTEMPTS} times while it was read; try again")


def read_part(path: Path, results: Path, *, set_aside: bool = True) -> pa.Table | None:
    """One part, or None with a warning if it is damaged: `set_aside` moves it below `results/.state/damaged`.

    A part of `trials` of schema version 1, which did not count the ends of an attempt, has them as the first.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    content = _read(path, results, lambda file: file.read(), set_aside=set_aside)
    if content is None:
        return None
    _check_version(content.schema, path)
    names = content.schema.names
    if path.relative_to(results).parts[0] != TRIALS.name or "continuation" in names:
        return content
    field = TRIALS.schema.field("continuation")
    zeros = pa.repeat(pa.scalar(0, field.type), content.num_rows)
    return content.add_column(names.index("attempt") + 1, field, zeros)


def read_schema(path: Path, results: Path) -> pa.Schema | None:
    """The columns of one part as they are written, without its rows; None if the part is damaged, as by `read_part`.

    Raises:
        FileNotFoundError: if the part is gone.
        ResultsError: if it was written by a newer schema, or the system refuses to open it.
    """
    schema = _read(path, results, lambda file: file.schema_arrow)
    if schema is not None:
        _check_version(schema, path)
    return schema


def _read(
    path: Path, results: Path, wanted: Callable[[pq.ParquetFile], _Wanted], *, set_aside: bool = True
) -> _Wanted | None:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return wanted(file)
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError) as error:
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
