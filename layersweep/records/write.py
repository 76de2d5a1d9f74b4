"""Writes the tables of a sweep as Parquet parts; readers never see an incomplete part.

Rows wait in memory until `flush`. It writes the rows of each table to a file in `results/.state/`, syncs it, and
renames it into `results/<table>/<sweep>/`. Parts of equal size are merged in tiers, so that a long sweep leaves few
files. The decisions are in docs/decisions/parquet_tables.md.
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
from layersweep.records.storable import storable
from layersweep.records.tables import SCHEMA_VERSION, TABLES, TRIALS, with_config

FAN_IN: Final = 8
"""How many parts of one tier are merged into one part of the next: at most 7 parts per tier and 8 tiers per table."""

Row = Mapping[str, Any]


class Writer:
    """Appends rows to the tables of one sweep. A sweep has only one writer at a time.

    Args:
        results: the results folder; created if missing.
        sweep: the name of the sweep, the value of the column `sweep` in every row.
        config_types: the configuration keys with their types; they become columns of `trials`.
        versions: package versions, stored in the metadata of each part.

    Raises:
        ResultsError: if the folder is not writable, or contains results of a newer schema.
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
        for name in TABLES:  # refuses a newer schema before it changes any file
            self._schemas(name)
        for path in (self._results / ".state" / "parts").glob("*.tmp"):
            if owner(path) == sweep:  # left by a killed writer, as there is only one writer at a time
                path.unlink(missing_ok=True)
        for name in TABLES:
            for path in superseded(
                self._folder(name), self._results
            ):  # other Parquet readers would see these rows twice
                path.unlink(missing_ok=True)
            self._adopt_columns(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def append(self, table: str, rows: Iterable[Row]) -> None:
        """Adds rows; the next flush writes them. Missing columns are null, as are values that cannot be stored.

        Raises:
            KeyError: if the table is unknown, or a row has an unknown column or lacks a key column. Then no row is
            added.
        """
        names, key = set(self._tables[table].schema.names), self._tables[table].key
        complete = [{"sweep": self._sweep, **row} for row in rows]
        for row in complete:
            if unknown := set(row) - names:
                raise KeyError(f"table {table!r} has no column {sorted(unknown)}")
            if missing := [column for column in key if row.get(column) is None]:
                raise KeyError(f"a row of table {table!r} lacks {missing} of its key")
        self._pending[table] += storable(self._tables[table], complete)

    @property
    def pending(self) -> int:
        """The number of rows that the next flush will write."""
        return sum(map(len, self._pending.values()))

    def flush(self) -> None:
        """Writes all appended rows to disk; merges parts if a tier is full.

        Raises:
            ResultsError: if the disk is full or the folder is not writable. The rows stay pending for the next flush.
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
                column_encoding=dict(encodings),  # a copy, because pyarrow changes it
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
            if count < FAN_IN:  # more than FAN_IN if an earlier merge failed
                return
            self._join(table, files[-count:], spans[-count][0], spans[-1][1])

    def _schemas(self, table: str) -> list[pa.Schema]:
        """The columns of each part, without its rows."""
        files = parts(self._folder(table))
        return [schema for path in files if (schema := read_schema(path, self._results)) is not None]

    def _adopt_columns(self, table: str) -> None:
        """Rewrites the parts of a table with one schema if they differ: the recorded columns and the present ones."""
        schemas = self._schemas(table)
        try:
            union = pa.unify_schemas([self._tables[table].schema, *schemas], promote_options="default")
        except pa.ArrowTypeError as error:
            raise ResultsError(
                f"{self._folder(table)} has a column whose type has changed ({error}): use another --results"
            ) from error
        self._tables[table] = replace(self._tables[table], schema=union.remove_metadata())
        if any(schema.names != union.names for schema in schemas):
            last = self._sequence(
                table
            )  # it also takes the number of the next flush, so that its range covers the other parts
            self._next[table] = last + 1
            self._join(table, parts(self._folder(table)), 0, last, columns_of=[union.empty_table()])

    def _join(
        self, table: str, files: Sequence[Path], first: int, last: int, *, columns_of: Sequence[pa.Table] = ()
    ) -> None:
        """Replaces parts by one part; the columns of `columns_of` come first."""
        contents = [*columns_of, *(c for p in files if (c := read_part(p, self._results)) is not None)]
        content = pa.concat_tables(contents, promote_options="default").combine_chunks().unify_dictionaries()
        self._write(table, content, first, last)
        for path in files:
            path.unlink(missing_ok=True)


def owner(path: Path) -> str | None:
    """The sweep of a temporary file or folder, from its name; None if the name has another form."""
    match = re.fullmatch(r"(.+)\.[0-9a-f]{32}(\.tmp)?", path.name)
    return match[1] if match else None


def check_writable(results: Path) -> None:
    """Checks that the folder is writable, by writing a file; a new folder is closed to users outside the owner's group.

    Raises:
        ResultsError: if it is not; the message names the folder and the reason.
    """
    state = results / ".state"
    probe = state / f"{uuid.uuid4().hex}.tmp"
    try:
        results.mkdir(mode=0o770, parents=True, exist_ok=True)
        state.mkdir(exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise ResultsError(f"cannot write to the results folder {results}: {error.strerror}") from error


def _in_dictionaries(schema: pa.Schema, encodings: Mapping[str, str]) -> list[str]:
    """The columns without an encoding, by their names in Parquet: their values are written as a dictionary."""
    fields = [f for f in schema if f.name not in encodings]
    return [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in fields]


def _tier(span: tuple[int, int]) -> int:
    """0 for a part of one flush, 1 for a part merged from `FAN_IN` of them, and so on."""
    size, tier = span[1] - span[0] + 1, 0
    while size >= FAN_IN:
        size, tier = size // FAN_IN, tier + 1
    return tier


def _sync(path: Path) -> None:
    """Flushes the content of a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
