"""Writes one sweep's tables as Parquet parts that no reader ever meets torn.

Rows wait in memory until `flush`; a flush writes each table's rows to `results/.state/`, syncs the file and renames it
into `results/<table>/<sweep>/`. Parts of equal size are merged in tiers, so that a long sweep leaves few files.
The decisions are in docs/decisions/parquet_tables.md.
"""

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from layersweep.records.errors import ResultsError
from layersweep.records.read import part_name, part_range, parts, read_part, read_schema, superseded
from layersweep.records.tables import SCHEMA_VERSION, TABLES, TRIALS, with_config

FAN_IN: Final = 8
"""Parts of one tier that are merged into one of the next: n flushes leave at most 7 parts a tier, 8 tiers a table."""

Row = Mapping[str, Any]


class Writer:
    """Appends rows to the tables of one sweep; one writer a sweep at a time.

    Args:
        results: the results folder; made if missing.
        sweep: the sweep's name, filled into the `sweep` column of every row.
        config_types: the configuration keys, which become columns of `trials`, with their types.
        versions: package versions, kept in each part's metadata.

    Raises:
        ResultsError: if the folder cannot be written, or holds results of a newer schema.
    """

    def __init__(
        self,
        results: Path,
        sweep: str,
        *,
        config_types: Mapping[str, type] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._results, self._sweep = results.absolute(), sweep
        self._metadata = {
            b"schema_version": str(SCHEMA_VERSION).encode(),
            b"versions": json.dumps(dict(versions or {})).encode(),
        }
        self._tables = {**TABLES, "trials": with_config(TRIALS, config_types or {})}
        self._pending: dict[str, list[Row]] = {name: [] for name in TABLES}
        self._next: dict[str, int] = {}
        check_writable(self._results)
        for name in TABLES:  # a newer schema is refused before anything is touched
            self._schemas(name)
        for path in (self._results / ".state" / "parts").glob("*.tmp"):
            if owner(path) == sweep:  # a killed writer's: one writes at a time
                path.unlink(missing_ok=True)
        for name in TABLES:
            for path in superseded(self._folder(name), self._results):  # a plain reader sees the merger as well
                path.unlink(missing_ok=True)
            self._adopt_columns(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def append(self, table: str, rows: Iterable[Row]) -> None:
        """Adds rows, which the next flush makes durable. Missing columns are null.

        Raises:
            KeyError: if the table is unknown, or a row has a column that the table lacks, or lacks one of its key. No
                row is added then.
        """
        names, key = set(self._tables[table].schema.names), self._tables[table].key
        complete = [{"sweep": self._sweep, **row} for row in rows]
        for row in complete:
            if unknown := set(row) - names:
                raise KeyError(f"table {table!r} has no column {sorted(unknown)}")
            if missing := [column for column in key if row.get(column) is None]:
                raise KeyError(f"a row of table {table!r} lacks {missing} of its key")
        self._pending[table] += complete

    @property
    def pending(self) -> int:
        """How many rows the next flush will write."""
        return sum(map(len, self._pending.values()))

    def flush(self) -> None:
        """Makes every appended row durable; merges parts where a tier is full.

        Raises:
            ResultsError: if the disk is full or the folder not writable. The rows stay pending: flush again later.
        """
        for name, rows in self._pending.items():
            if not rows:
                continue
            number = self._sequence(name)
            self._write(name, pa.Table.from_pylist(rows, schema=self._tables[name].schema), number, number)
            self._next[name] = number + 1
            rows.clear()
            self._merge(name)

    def _folder(self, table: str) -> Path:
        return self._results / table / self._sweep

    def _sequence(self, table: str) -> int:
        if table not in self._next:
            spans = [s for p in self._folder(table).glob("*.parquet") if (s := part_range(p))]
            self._next[table] = max((last + 1 for _, last in spans), default=0)
        return self._next[table]

    def _write(self, table: str, content: pa.Table, first: int, last: int) -> None:
        final = self._folder(table) / part_name(first, last)
        state = self._results / ".state" / "parts"
        temporary = state / f"{self._sweep}.{uuid.uuid4().hex}.tmp"
        encodings = self._tables[table].encodings
        try:
            state.mkdir(parents=True, exist_ok=True)
            final.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(
                content.replace_schema_metadata(self._metadata),
                temporary,
                compression="zstd",
                write_page_checksum=True,
                use_dictionary=_in_dictionaries(content.schema, encodings),
                column_encoding=dict(encodings),  # pyarrow changes what it is given
            )
            _sync(temporary)
            temporary.rename(final)
            _sync(final.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise ResultsError(
                f"cannot write {final}: {error.strerror or error}; free the disk and run again"
            ) from error

    def _merge(self, table: str) -> None:
        """Merges the newest parts while at least `FAN_IN` have the same tier; older tiers are at least as large."""
        while True:
            files = parts(self._folder(table))
            spans = [s for p in files if (s := part_range(p))]
            tiers = [_tier(s) for s in reversed(spans)]
            count = next((n for n, tier in enumerate(tiers) if tier != tiers[0]), len(tiers))
            if count < FAN_IN:  # it is more where an earlier merge failed
                return
            self._join(table, files[-count:], spans[-count][0], spans[-1][1])

    def _schemas(self, table: str) -> list[pa.Schema]:
        """The columns of each part; reads no rows."""
        files = parts(self._folder(table))
        return [schema for path in files if (schema := read_schema(path, self._results)) is not None]

    def _adopt_columns(self, table: str) -> None:
        """Gives all parts of a table one schema: the recorded columns and the present ones."""
        schemas = self._schemas(table)
        try:
            union = pa.unify_schemas([self._tables[table].schema, *schemas], promote_options="default")
        except pa.ArrowTypeError as error:
            raise ResultsError(
                f"{self._folder(table)} has a column of another type than now ({error}): use another --results"
            ) from error
        self._tables[table] = replace(self._tables[table], schema=union.remove_metadata())
        if any(schema.names != union.names for schema in schemas):
            last = self._sequence(table)  # the part takes the next flush's number too, so that its range covers theirs
            self._next[table] = last + 1
            self._join(table, parts(self._folder(table)), 0, last, columns_of=[union.empty_table()])

    def _join(
        self, table: str, files: Sequence[Path], first: int, last: int, *, columns_of: Sequence[pa.Table] = ()
    ) -> None:
        """Puts one part in the place of some, with the columns of other tables first."""
        contents = [*columns_of, *(c for p in files if (c := read_part(p, self._results)) is not None)]
        joined = pa.concat_tables(contents, promote_options="default").combine_chunks().unify_dictionaries()
        self._write(table, joined, first, last)
        for path in files:
            path.unlink(missing_ok=True)


def owner(path: Path) -> str | None:
    """The sweep that a temporary file or folder is of; None if its name does not tell."""
    match = re.fullmatch(r"(.+)\.[0-9a-f]{32}(\.tmp)?", path.name)
    return match[1] if match else None


def check_writable(results: Path) -> None:
    """Tries the folder by writing to it.

    Raises:
        ResultsError: naming the folder and the reason.
    """
    state = results / ".state"
    probe = state / f"{uuid.uuid4().hex}.tmp"
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ResultsError(f"cannot write to the results folder {results}: {error.strerror}") from error


def _in_dictionaries(schema: pa.Schema, encodings: Mapping[str, str]) -> list[str]:
    """The columns whose values are written as a dictionary, as Parquet names them: all that have no encoding."""
    fields = [f for f in schema if f.name not in encodings]
    return [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in fields]


def _tier(span: tuple[int, int]) -> int:
    """0 for a part of one flush, 1 for a merger of `FAN_IN`, and so on."""
    size, tier = span[1] - span[0] + 1, 0
    while size >= FAN_IN:
        size, tier = size // FAN_IN, tier + 1
    return tier


def _sync(path: Path) -> None:
    """Asks the disk to keep a file's content, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
