"""Adds the rows of one results folder to a sweep of another, piece by piece, except those that are there already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from layersweep.records.merging.attempts import Numbers
from layersweep.records.merging.recorded import EPOCH_KEY, damaged, epoch_counts, keys, part_files, sequence_ends
from layersweep.records.read import to_frame, visit_part
from layersweep.records.tables import EPOCHS, PLAN, RUNS, TABLES, TRIALS
from layersweep.records.write import Writer

_BY_EPOCH: Final = tuple(table.name for table in TABLES.values() if "epoch" in table.key)


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """How the sequence numbers of a source's epochs change, so that those of each command still follow each other.

    Attributes:
        first: the first number of each command in the source, sorted.
        shifts: what is added to the numbers from there on.
        shift: what is added to numbers before the first command.
        by_run: what is added to the numbers of each command, by its id.
        following: the first number behind all that the target then has.
    """

    first: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]
    shift: int
    by_run: Mapping[str, int]
    following: int = 0

    @classmethod
    def of(cls, there: Mapping[str, int], following: int, source: Path, sweep: str) -> "Sequences":
        """A command that the target has keeps its numbers there; the numbers of others follow those of the target.

        Args:
            there: the first number of each command in the target.
            following: the first number behind all that the target has.
            source: the results folder of which rows are added.
            sweep: the sweep.
        """
        here, end = sequence_ends(source, sweep)
        runs = sorted(here, key=lambda run: (here[run], run))
        new = [here[run] for run in runs if run not in there]
        shift = following - (new[0] if new else 0)
        by_run = {run: there[run] - here[run] if run in there else shift for run in runs}
        last_shift = by_run[runs[-1]] if runs else following
        return cls(
            first=np.array([here[run] for run in runs], dtype=np.int64),
            shifts=np.array([by_run[run] for run in runs], dtype=np.int64),
            shift=by_run[runs[0]] if runs else following,
            by_run=by_run,
            following=max(following, end + last_shift),
        )

    def shifted(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The numbers after the merge."""
        places = np.searchsorted(self.first, numbers, side="right") - 1
        return numbers + np.where(places < 0, self.shift, self.shifts[places] if len(self.shifts) else self.shift)


@dataclass(frozen=True, kw_only=True)
class _Present:
    """What a target has of a table: the epochs of which it has all rows, and the keys of other rows."""

    epochs: pl.DataFrame | None = None
    keys: pl.DataFrame | None = None


@dataclass(frozen=True, kw_only=True)
class SweepMerge:
    """The merge of one sweep of a source into a target.

    Attributes:
        target: the results folder that gets the rows.
        source: the one that they come from.
        sweep: the sweep.
        numbers: the new numbers of attempts, by trial; attempts of other trials keep theirs.
        sequences: how the sequence numbers change.
        rows: the number of rows added, by table.
    """

    target: Path
    source: Path
    sweep: str
    numbers: Mapping[str, Numbers]
    sequences: Sequences
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, writer: Writer) -> None:
        """Adds the rows of a table that the target lacks.

        Raises:
            ResultsError: if a part is damaged or cannot be read, or the target cannot be written.
        """
        files = [*part_files(self.source, table, self.sweep)]
        if not files:
            return
        present = self._present(table)
        for path in files:
            if not visit_part(path, self.source, lambda piece: self._add_piece(table, piece, present, writer)):
                raise damaged(path)

    def _key(self, table: str) -> Sequence[str]:
        return [name for name in TABLES[table].key if name != "sweep"]

    def _present(self, table: str) -> _Present:
        if table not in _BY_EPOCH:
            sweep = self.sweep if table == PLAN.name else None
            return _Present(keys=_with_continuation(keys(self.target, table, self._key(table), sweep)))
        counts = epoch_counts(self.target, table)
        source_counts = self._numbered(epoch_counts(self.source, table, self.sweep))
        both = counts.join(source_counts, on=EPOCH_KEY, suffix="_source")
        is_whole = pl.col("rows") >= pl.col("rows_source")
        whole, partial = (both.filter(which).select(EPOCH_KEY) for which in (is_whole, ~is_whole))
        rest = None  # as always, unless a merge was interrupted
        if not partial.is_empty():
            rest = keys(self.target, table, self._key(table)).join(partial, on=EPOCH_KEY, how="semi")
        return _Present(epochs=whole, keys=rest)

    def _numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with the attempts' new numbers."""
        if not self.numbers or "attempt" not in frame.columns:
            return frame
        rows = [(t, before, after) for t, numbers in self.numbers.items() for before, after in numbers.items()]
        schema = {"trial_id": pl.String, "attempt": pl.Int32, "number": pl.Int32}
        renumbered = frame.join(
            pl.DataFrame(rows, schema=schema, orient="row"),
            on=["trial_id", "attempt"],
            how="left",
            maintain_order="left",
        )
        return renumbered.with_columns(pl.coalesce("number", "attempt").alias("attempt")).drop("number")

    def _add_piece(self, table: str, piece: pa.Table, present: _Present, writer: Writer) -> None:
        key = self._key(table)
        frame = to_frame(piece.select([name for name in key if name in piece.schema.names]))
        if table == TRIALS.name and "continuation" not in frame.columns:
            frame = frame.with_columns(pl.lit(0, pl.Int32).alias("continuation"))
        frame = self._numbered(_with_continuation(frame)).with_row_index("row")
        missing = frame
        if present.epochs is not None:
            missing = missing.join(present.epochs, on=EPOCH_KEY, how="anti")
        if present.keys is not None:
            missing = missing.join(present.keys, on=key, how="anti", nulls_equal=True)
        rows = missing["row"].sort()
        if rows.is_empty():
            return
        content = piece.take(rows.to_arrow())
        for name in ("attempt", "continuation"):
            if name in frame.columns:
                content = _with_column(content, name, frame[name].gather(rows).to_arrow())
        writer.append_table(table, self._with_sequences(table, content))
        self.rows[table] = self.rows.get(table, 0) + len(rows)

    def _with_sequences(self, table: str, content: pa.Table) -> pa.Table:
        if table == EPOCHS.name:
            numbers = content["sequence"].combine_chunks()
            shifted = self.sequences.shifted(numbers.fill_null(0).to_numpy())
            nulls = numbers.is_null().to_numpy(zero_copy_only=False)
            return _with_column(content, "sequence", pa.array(shifted, mask=nulls))
        if table == RUNS.name and "first_sequence" in content.schema.names:
            runs, first = content["run"].to_pylist(), content["first_sequence"].to_pylist()
            by_run = self.sequences.by_run
            numbers = [None if n is None else n + by_run.get(run, 0) for run, n in zip(runs, first, strict=True)]
            return _with_column(content, "first_sequence", pa.array(numbers, pa.int64()))
        return content


def _with_continuation(frame: pl.DataFrame) -> pl.DataFrame:
    """Records of schema version 1 have no number of the end: it was the only one."""
    has_column = "continuation" in frame.columns
    return frame.with_columns(pl.col("continuation").fill_null(0)) if has_column else frame


def _with_column(content: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = content.schema.get_field_index(name)
    if place < 0:
        return content.append_column(name, values)
    return content.set_column(place, name, values)
