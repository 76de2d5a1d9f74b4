"""The tables of one sweep in memory, kept up to date while a command writes them; only parts that are new are read."""

import itertools
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl
import pyarrow as pa

from layersweep.records.errors import results_errors
from layersweep.records.read import (
    ATTEMPTS,
    DamagedPartWarning,
    part_range,
    parts,
    read_part,
    restless,
    sweeps,
    to_frame,
)
from layersweep.records.tables import EPOCHS, PLAN, RUNS, TABLES, TRIALS

_ORDER: Final = (RUNS.name, TRIALS.name, EPOCHS.name, PLAN.name)
"""A command writes a trial's epochs before its end, and the end of the command last. Read in this order, what ended has
all its rows."""

_OF_TRIALS: Final = (TRIALS.name, EPOCHS.name)
_UNUSED: Final[Mapping[str, Collection[str]]] = {
    TRIALS.name: ("log", "traceback"),
    EPOCHS.name: ("loss", "accuracy", "learning_rate"),
}
"""Columns that are not kept in memory: long texts, and what no view shows."""

_MOST_CHUNKS: Final = 64

_Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part that was read.

    Attributes:
        span: its first and last flush.
        rows: the number of its rows in the frame of its table.
        note: what is wrong with it; "" if it is sound.
        stamp: its size and time, if it is damaged: it is read again when they change.
        ids: all trials with rows in it; only for a part of another sweep.
        loaded: those whose rows are in the frame.
    """

    span: _Span
    rows: int
    note: str = ""
    stamp: tuple[int, int] | None = None
    ids: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()


class LiveRecords:
    """The tables plan, runs, trials and epochs of one sweep, with the rows of its trials that other sweeps trained.

    Args:
        results: the results folder.
        sweep: the name of the sweep, which need not be recorded yet.

    Attributes:
        tables: the tables by name, as `read` gives them, without a few columns. Rows of other sweeps are among those of
            trials and epochs, in the order of the sweeps' names.
    """

    def __init__(self, results: Path, sweep: str) -> None:
        self._results, self._sweep = results, sweep
        self._own = {name: _LiveTable(results, name, sweep) for name in _ORDER}
        self._others: dict[tuple[str, str], _LiveTable] = {}
        self._ids: frozenset[str] = frozenset()
        self._changed: set[str] = set()
        self._is_stale = False
        self.tables: Mapping[str, pl.DataFrame] = {name: table.frame for name, table in self._own.items()}

    @property
    def notes(self) -> list[str]:
        """What is wrong with the parts."""
        return [note for table in self._all_tables for note in _notes(table.parts)]

    def refresh(self) -> bool:
        """Reads what is new, and forgets what is gone; returns whether anything is.

        Raises:
            ResultsError: if the records cannot be read, or a newer version wrote them. What was read before stays.
        """
        for name in _ORDER:
            self._is_stale |= self._own[name].refresh()
        if self._is_stale:
            plan = self._own[PLAN.name].frame
            self._ids = frozenset((plan if plan.height else self._own[TRIALS.name].frame)["trial_id"].unique())
        self._list_others()
        for table in self._others.values():
            self._is_stale |= table.refresh(self._ids)
        if not self._is_stale:
            return False
        for table in self._all_tables:
            self._changed |= table.changed
            table.changed.clear()
        self.tables = {name: self._joined(name) for name in _ORDER}
        self._is_stale = False
        return True

    def take_changes(self) -> frozenset[str]:
        """The trials whose rows in trials or epochs have changed since the last call."""
        changed = frozenset(self._changed)
        self._changed.clear()
        return changed

    @property
    def _all_tables(self) -> "list[_LiveTable]":
        return [*self._own.values(), *self._others.values()]

    def _list_others(self) -> None:
        """Takes up the tables of new sweeps. A deleted sweep leaves an empty one."""
        with results_errors(f"cannot read {self._results}"):
            keys = [(name, sweep) for name in _OF_TRIALS for sweep in sweeps(self._results, name)]
        for name, sweep in keys:
            if sweep != self._sweep and (name, sweep) not in self._others:
                self._others[name, sweep] = _LiveTable(self._results, name, sweep)

    def _joined(self, name: str) -> pl.DataFrame:
        frames = {sweep: table.frame for (other, sweep), table in self._others.items() if other == name}
        frames = {sweep: frame for sweep, frame in frames.items() if frame.height}
        if not frames:
            return self._own[name].frame
        frames[self._sweep] = self._own[name].frame
        return pl.concat([frames[sweep] for sweep in sorted(frames)], how="diagonal_relaxed")


class _LiveTable:
    """The rows of a table in the folder of one sweep, in the order of their parts.

    Attributes:
        frame: the rows.
        parts: the parts that they are from.
        changed: the trials whose rows have changed; the caller empties it.
    """

    def __init__(self, results: Path, name: str, sweep: str) -> None:
        self._results, self._name = results, name
        self._folder = results / name / sweep
        self._empty = to_frame(TABLES[name].schema.empty_table()).drop(_UNUSED.get(name, ()))
        self.frame, self.parts = self._empty, list[_Part]()
        self.changed: set[str] = set()

    def refresh(self, ids: frozenset[str] | None = None) -> bool:
        """Brings the rows up to date; returns whether they have changed.

        Args:
            ids: the trials that are needed of another sweep; None for all rows.

        Raises:
            ResultsError: if they cannot be read.
        """
        with results_errors(f"cannot read {self._folder}"):
            pieces = self._pieces(ids)
        new_parts = [piece.part for piece in pieces]
        if new_parts == self.parts:
            return False
        has_new_rows = any(piece.fresh is not None for piece in pieces)
        is_shorter = sum(part.rows for part in new_parts) < self.frame.height
        if has_new_rows or is_shorter:
            self._note_changes(pieces)
            frame = pl.concat([self._empty, *(self._rows(piece) for piece in pieces)], how="diagonal_relaxed")
            self.frame = frame.rechunk() if frame.n_chunks() > _MOST_CHUNKS else frame
        has_new_notes = _notes(new_parts) != _notes(self.parts)
        self.parts = new_parts
        return has_new_rows or is_shorter or has_new_notes

    def _pieces(self, ids: frozenset[str] | None) -> "list[_Piece]":
        for _ in range(ATTEMPTS):
            try:
                return [self._piece(path, ids) for path in parts(self._folder)]
            except FileNotFoundError:  # a writer merged it after it was listed
                continue
        raise restless(self._folder)

    def _piece(self, path: Path, ids: frozenset[str] | None) -> "_Piece":
        """What a part holds: rows that are there already, or that are read now."""
        span = part_range(path)
        assert span is not None
        sources = [part for part in self.parts if span[0] <= part.span[0] and part.span[1] <= span[1]]
        is_whole = _join(sources) == span
        are_more_needed = ids is not None and any((part.ids & ids) - part.loaded for part in sources)
        has_changed = any(part.stamp is not None and part.stamp != _stamp(path) for part in sources)
        if is_whole and not are_more_needed and not has_changed:
            return _Piece(part=_merged(sources, span), sources=sources, fresh=None)
        part, frame = self._read(path, span, ids)
        return _Piece(part=part, sources=sources, fresh=frame)

    def _read(self, path: Path, span: _Span, ids: frozenset[str] | None) -> tuple[_Part, pl.DataFrame]:
        """A part, and its rows; of another sweep's part those of the trials that are needed."""
        stamp = _stamp(path)
        part_ids: frozenset[str] = frozenset()
        with warnings.catch_warnings(record=True) as messages:
            warnings.simplefilter("always", DamagedPartWarning)
            if ids is not None and (content := read_part(path, self._results, columns=["trial_id"])) is not None:
                part_ids = frozenset(to_frame(content)["trial_id"].unique())
            loaded = part_ids & (ids or frozenset())
            content = self._content(path) if ids is None or loaded else None
        damage = [str(each.message) for each in messages if issubclass(each.category, DamagedPartWarning)]
        if damage:
            note = "; ".join(dict.fromkeys(damage))
            return _Part(span=span, rows=0, note=note, stamp=stamp), self._empty
        if content is None:
            return _Part(span=span, rows=0, ids=part_ids), self._empty
        frame = pl.concat([self._empty, to_frame(content)], how="diagonal_relaxed")
        if ids is not None:
            frame = frame.filter(pl.col("trial_id").is_in(list(loaded)))
        return _Part(span=span, rows=frame.height, ids=part_ids, loaded=loaded), frame

    def _content(self, path: Path) -> pa.Table | None:
        unused = _UNUSED.get(self._name, ())
        if self._name != TRIALS.name:  # which has a column for each key
            return read_part(path, self._results, columns=[name for name in self._empty.columns if name != "sweep"])
        content = read_part(path, self._results)
        if content is None:
            return None
        return content.drop_columns([name for name in unused if name in content.schema.names])

    def _rows(self, piece: "_Piece") -> pl.DataFrame:
        if piece.fresh is not None:
            return piece.fresh
        first = sum(part.rows for part in self.parts if part.span[0] < piece.part.span[0])
        return self.frame.slice(first, piece.part.rows)

    def _note_changes(self, pieces: "Sequence[_Piece]") -> None:
        """Notes the trials of rows that are new, and of rows that are gone."""
        if "trial_id" not in self.frame.columns:
            return
        remaining = {part.span for piece in pieces if not piece.is_replaced for part in piece.sources}
        first = 0
        for part in self.parts:
            if part.span not in remaining:
                self.changed.update(self.frame.slice(first, part.rows)["trial_id"].unique())
            first += part.rows
        for piece in pieces:
            if piece.fresh is not None:
                self.changed.update(piece.fresh.slice(piece.repeated_rows)["trial_id"].unique())


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A part as it is now.

    Attributes:
        part: the part.
        sources: what it has replaced of the parts that were read, or itself.
        fresh: its rows, if they were read now; None if they are there already.
    """

    part: _Part
    sources: Sequence[_Part]
    fresh: pl.DataFrame | None

    @property
    def is_replaced(self) -> bool:
        """Whether its rows may differ from those that are there: they do not begin with those."""
        return self.fresh is not None and not self.repeated_rows

    @property
    def repeated_rows(self) -> int:
        """The number of its first rows that are there already: a writer merges parts in their order."""
        span = _join(self.sources)
        if self.fresh is None or span is None or span[0] != self.part.span[0] or any(p.ids for p in self.sources):
            return 0
        rows = sum(part.rows for part in self.sources)
        return rows if rows <= self.fresh.height else 0


def _notes(read_parts: Sequence[_Part]) -> list[str]:
    return [part.note for part in read_parts if part.note]


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _join(sources: Sequence[_Part]) -> _Span | None:
    """The span of parts that follow each other without a gap; None if they do not."""
    is_whole = all(a.span[1] + 1 == b.span[0] for a, b in itertools.pairwise(sources))
    return (sources[0].span[0], sources[-1].span[1]) if sources and is_whole else None


def _merged(sources: Sequence[_Part], span: _Span) -> _Part:
    """The part into which a writer has merged parts that were read."""
    if len(sources) == 1:
        return sources[0]
    return _Part(
        span=span,
        rows=sum(part.rows for part in sources),
        note="; ".join(part.note for part in sources if part.note),
        ids=frozenset().union(*(part.ids for part in sources)),
        loaded=frozenset().union(*(part.loaded for part in sources)),
    )
