"""Writes the tables of a sweep as Parquet parts; readers never see an incomplete part.

Rows wait in memory until `flush`. It writes the rows of each table to a file in `results/.state/`, syncs it, and
links it into `results/<table>/<sweep>/`. Parts of equal size are merged in tiers, so that a long sweep leaves few
files. The decisions are in docs/decisions/parquet_tables.md.
"""

import contextlib
import errno
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

from layersweep.records.columns.descriptions import described
from layersweep.records.errors import ResultsError, results_errors
from layersweep.records.files import link_into_place, make_folder, sync
from layersweep.records.read import part_name, part_range, parts, read_part, read_schema, superseded
from layersweep.records.storable import storable
from layersweep.records.tables import SCHEMA_VERSION, TABLES, TRIALS, with_config

FAN_IN: Final = 8
"""How many parts of one tier are merged into one part of the next: at most 7 parts per tier and 8 tiers per table."""

Row = Mapping[str, Any]


class Writer:
    """Appends rows to the tables of one sweep. A sweep has only one writer at a time.

    The sweep's lock sees to that. Where it does not hold between hosts, the parts do: none is written over another, and
    the writer that comes second ends with an error.

    Args:
        results: the results folder; created if missing.
        sweep: the name of the sweep, the value of the column `sweep` in every row.
        config_types: the configuration keys with their types; they become columns of `trials`.
        key_texts: what the configuration keys mean, stored with their columns.
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
        key_texts: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self._results, self._sweep = results.absolute(), sweep
        self._metadata = {**schema_metadata(), b"versions": json.dumps(dict(versions or {})).encode()}
        self._key_texts = key_texts
        self._tables = {**TABLES, "trials": with_config(TRIALS, config_types or {})}
        self._pending: dict[str, list[Row]] = {name: [] for name in TABLES}
        self._next: dict[str, int] = {}
        self._unsynced: set[Path] = set()
        check_writable(self._results)
        with results_errors(f"cannot write to the results folder {results}"):
            try:
                self._bring_up_to_date()
            except FileNotFoundError as error:  # only another writer takes parts away
                raise self._conflict(f"{error.filename} is gone") from None

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
        self._pending[table] += storable(self._tables[table], ({"sweep": self._sweep, **row} for row in rows))

    def append_table(self, table: str, rows: pa.Table) -> None:
        """Writes rows at once, as a part of their own; columns that they lack are null.

        Raises:
            ResultsError: if the disk is full or the folder is not writable.
        """
        schema = self._tables[table].schema
        names = {*rows.schema.names}
        columns = [rows[f.name].cast(f.type) if f.name in names else pa.nulls(len(rows), f.type) for f in schema]
        number = self._sequence(table)
        self._write(table, pa.table(columns, schema=schema), number, number)
        self._next[table] = number + 1
        self._merge(table)

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

    def _bring_up_to_date(self) -> None:
        """Completes what a killed writer left, and gives all parts of a table the same columns."""
        for name in TABLES:  # refuses a newer schema before it changes any file
            self._schemas(name)
        for folder in (self._results, *(self._results / name for name in TABLES), *map(self._folder, TABLES)):
            if folder.is_dir():  # it may have been killed before it had synced what can be read there now
                sync(folder)
        for path in (self._results / ".state" / "parts").glob("*.tmp"):
            if owner(path) == self._sweep:  # left by a killed writer, as there is only one writer at a time
                path.unlink(missing_ok=True)
        for name in TABLES:
            for path in superseded(self._folder(name), self._results):  # another reader would see these rows twice
                path.unlink(missing_ok=True)
            self._adopt_columns(name)

    def _folder(self, table: str) -> Path:
        return self._results / table / self._sweep

    def _sequence(self, table: str) -> int:
        if table not in self._next:
            with results_errors(f"cannot read {self._folder(table)}"):
                spans = [s for p in self._folder(table).glob("*.parquet") if (s := part_range(p))]
            self._next[table] = max((last + 1 for _, last in spans), default=0)
        return self._next[table]

    def _write(self, table: str, content: pa.Table, first: int, last: int, sources: Sequence[Path] = ()) -> None:
        """Writes the part of these flushes. It replaces its sources, which the caller removes then."""
        final = self._folder(table) / part_name(first, last)
        state = self._results / ".state" / "parts"
        temporary = state / f"{self._sweep}.{uuid.uuid4().hex}.tmp"
        encodings = self._tables[table].encodings
        try:
            with results_errors(f"cannot write {final}"):
                state.mkdir(parents=True, exist_ok=True)
                make_folder(final.parent)
                schema = described(content.schema, table, self._key_texts).with_metadata(self._metadata)
                write_parquet(temporary, content.cast(schema), encodings)
                self._put_in_place(temporary, final, sources)
        except ResultsError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def _put_in_place(self, temporary: Path, final: Path, sources: Sequence[Path]) -> None:
        """Syncs a part, gives it its name, and syncs the name.

        Raises:
            ResultsError: if another writer has written these flushes; its parts stay, and this one goes.
        """
        try:
            sync(temporary)
            if final in self._unsynced:  # an earlier attempt of this writer, whose name could not be synced
                temporary.replace(final)
            else:
                link_into_place(temporary, final)
            self._unsynced.add(final)
            strangers = _strangers(final, sources)
        except FileExistsError:
            raise self._conflict(f"{final} exists") from None
        except FileNotFoundError as error:  # a writer that begins takes it for a killed one's
            self._unsynced.discard(final)
            raise self._conflict(f"{error.filename} is gone") from None
        if strangers:
            self._unsynced.discard(final)
            final.unlink(missing_ok=True)
            raise self._conflict(f"{strangers[0]} has been written meanwhile")
        sync(final.parent)
        self._unsynced.discard(final)

    def _conflict(self, fact: str) -> ResultsError:
        return ResultsError(
            f"{fact}: another command writes the sweep {self._sweep!r} too, perhaps on another machine. Nothing that "
            "it wrote was overwritten. When it has ended, run this command again: it trains what neither has recorded"
        )

    def _merge(self, table: str) -> None:
        """Merges the newest parts while at least `FAN_IN` have the same tier; older tiers are at least as large."""
        with results_errors(f"cannot merge the parts in {self._folder(table)}"):
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
        try:
            recorded = [c for p in files if (c := read_part(p, self._results)) is not None]
        except FileNotFoundError:
            raise self._conflict(f"a part in {self._folder(table)} is gone") from None
        contents = [*columns_of, *recorded]
        content = pa.concat_tables(contents, promote_options="default").combine_chunks().unify_dictionaries()
        self._write(table, content, first, last, files)
        for path in files:
            path.unlink(missing_ok=True)


def schema_metadata() -> dict[bytes, bytes]:
    """What the metadata of each part says of its schema."""
    return {b"schema_version": str(SCHEMA_VERSION).encode()}


def write_parquet(path: Path, content: pa.Table, encodings: Mapping[str, str]) -> None:
    """Writes rows to a file, the columns with these encodings; the caller syncs it."""
    with pa.OSFile(os.fsencode(path), "wb") as file:  # in bytes: a folder's name need not be UTF-8
        pq.write_table(
            content,
            file,
            compression="zstd",
            write_page_checksum=True,
            use_dictionary=_in_dictionaries(content.schema, encodings),
            column_encoding=dict(encodings),  # a copy, because pyarrow changes it
        )


def _strangers(part: Path, sources: Sequence[Path]) -> list[Path]:
    """The other parts with flushes of this one, except its sources and what those replace: of another writer.

    Of two writers that put parts in place at once, at least one sees the other's here.
    """
    spans = {path: span for path in part.parent.glob("*.parquet") if (span := part_range(path))}
    if part not in spans:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(part))
    first, last = spans.pop(part)
    replaced = [span for path in sources if (span := part_range(path))]
    return [
        path
        for path, (a, b) in spans.items()
        if a <= last and first <= b and not any(c <= a and b <= d for c, d in replaced)
    ]


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
    with results_errors(f"cannot write to the results folder {results}"):
        make_folder(results, mode=0o770)
        make_folder(state)
        probe.write_bytes(b"")
        probe.unlink()


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
