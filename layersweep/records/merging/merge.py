"""Merges results folders into one, which may be one of several machines' or a new one.

Rows are only added: nothing that the target has is changed or removed. They are written in the order of the tables, as
a sweep writes them, so a kill leaves records that every command can go on with; the same merge again adds the rest.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from layersweep.records.errors import BusyError, ResultsError, results_errors
from layersweep.records.files import write_whole
from layersweep.records.lock import is_busy, sweep_lock
from layersweep.records.merging.attempts import Numbers, numbers
from layersweep.records.merging.files import add_files
from layersweep.records.merging.recorded import (
    RecordedAttempts,
    damaged,
    epoch_counts,
    first_run_at,
    part_files,
    sequence_ends,
)
from layersweep.records.merging.rows import Sequences, SweepMerge
from layersweep.records.overview import names
from layersweep.records.read import read_schema
from layersweep.records.tables import RESULTS, TABLES
from layersweep.records.write import Writer, check_writable

_ALONGSIDE: Final = ("layers", "tests", "classes", "exports")
"""The tables whose rows belong to an epoch and are written before it."""
_TYPES: Final[Mapping[pa.DataType, type]] = {pa.bool_(): bool, pa.int64(): int, pa.float64(): float}
_KEY_PREFIX: Final = "configuration: "


@dataclass(kw_only=True)
class MergeResult:
    """What a merge added: rows by sweep and table, files, and attempts that another source has otherwise."""

    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    renumbered_attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class _Numbering:
    """The new numbers of attempts, for each source by trial, and the trials whose last attempt comes from it."""

    numbers: list[dict[str, Numbers]]
    current: list[dict[str, bool]]


def merge(sources: Sequence[Path], target: Path) -> MergeResult:
    """Adds the records of the sources to the target; both may have the same sweeps, trials, attempts and epochs.

    Raises:
        ResultsError: if a folder has no records, is given twice or is within another one, a sweep runs, a part is
            damaged or of a newer schema, a key has two types, or an interrupted merge had other sources. Then nothing
            is written. Also if something cannot be read or written; the same merge again then adds the rest.
    """
    folders = [source.absolute() for source in sources]
    target = target.absolute()
    _check_folders(folders, target)
    sweeps_of = {folder: names(folder) for folder in folders}
    with ExitStack() as locks:
        for folder in folders:
            for sweep in sweeps_of[folder]:
                _lock_source(locks, folder, sweep)
        all_sweeps = sorted({sweep for sweep_names in sweeps_of.values() for sweep in sweep_names})
        config_types = {sweep: _configuration_keys([*folders, target], sweep) for sweep in all_sweeps}
        interrupted = _interrupted(folders, target)
        check_writable(target)
        for sweep in all_sweeps:
            locks.enter_context(sweep_lock(target, sweep))
        numbering = _numbering(folders, target, interrupted)
        journal = _journal_file(target)
        with results_errors(f"cannot write {journal}"):
            write_whole(journal, json.dumps([[*map(str, folders)], numbering.numbers]).encode())
        result = MergeResult(
            renumbered_attempts=sum(
                n != m for by_trial in numbering.numbers for x in by_trial.values() for n, m in x.items()
            )
        )
        for folder, current in zip(folders, numbering.current, strict=True):
            result.files += add_files(folder, target, sweeps_of[folder][0], current)
        for sweep in all_sweeps:
            result.rows[sweep] = _merge_sweep(sweep, folders, target, numbering, config_types[sweep])
        journal.unlink()
    return result


def _check_folders(folders: Sequence[Path], target: Path) -> None:
    """Refuses folders that cannot be merged.

    Raises:
        ResultsError: naming the folder and what is valid.
    """
    if not folders:
        raise ResultsError("there is nothing to merge; valid: one or more folders of results, then --into")
    places = [folder.resolve() for folder in folders]
    for number, (folder, place) in enumerate(zip(folders, places, strict=True)):
        if place == target.resolve():
            raise ResultsError(
                f"{folder} would be merged into itself; valid: --into another folder, or one source less"
            )
        if place in places[:number]:
            raise ResultsError(f"{folder} is given twice; valid: each results folder once")
        for inner, outer in ((place, target.resolve()), (target.resolve(), place)):
            if inner.is_relative_to(outer):
                raise ResultsError(f"{inner} is within {outer}; valid: folders beside each other")
        if not folder.is_dir() or not names(folder):
            raise ResultsError(f"no sweep is recorded in {folder}; valid: a folder of results")
    if target.exists() and not target.is_dir():
        raise ResultsError(f"{target} is a file; valid: --into a folder of results, or a new name")


def _lock_source(locks: ExitStack, folder: Path, sweep: str) -> None:
    """Holds the lock of a source's sweep; of a read-only source it is only asked for."""
    if is_busy(folder, sweep) and not os.access(folder, os.W_OK):
        raise BusyError(f"another command is running the sweep {sweep!r} in {folder}: wait for it")
    if os.access(folder, os.W_OK):
        locks.enter_context(sweep_lock(folder, sweep))


def _configuration_keys(folders: Sequence[Path], sweep: str) -> dict[str, tuple[type, str | None]]:
    """The type and the meaning of each configuration key of a sweep; looks at every part of every table.

    Raises:
        ResultsError: if a part is damaged or of a newer schema, or a key has two types.
    """
    fixed = {*TABLES["trials"].schema.names}
    keys: dict[str, tuple[type, str | None]] = {}
    for folder in folders:
        for table in TABLES:
            for path in part_files(folder, table, sweep) if (folder / table / sweep).is_dir() else ():
                if (schema := read_schema(path, folder)) is None:
                    raise damaged(path)
                for column in schema if table == "trials" else ():
                    if column.name in fixed:
                        continue
                    kind = _TYPES.get(column.type, str)
                    text = (column.metadata or {}).get(b"description", b"").decode().removeprefix(_KEY_PREFIX) or None
                    known, known_text = keys.setdefault(column.name, (kind, text))
                    if known is not kind:
                        raise ResultsError(
                            f"the key {column.name!r} of sweep {sweep!r} has the type {kind.__name__} in {folder}, but "
                            f"{known.__name__} elsewhere: these sweeps differ; valid: sweeps of equal keys"
                        )
                    keys[column.name] = known, known_text or text
    return keys


def _journal_file(target: Path) -> Path:
    return target / ".state" / "merging.json"


def _interrupted(folders: Sequence[Path], target: Path) -> list[dict[str, Numbers]] | None:
    """The numbers that an interrupted merge of the same folders has begun to write; None if there was none.

    Raises:
        ResultsError: if one of other folders was interrupted.
    """
    journal = _journal_file(target)
    try:
        earlier, numbers_by_source = json.loads(journal.read_bytes())
        numbers = [
            {str(t): {int(n): int(m) for n, m in before.items()} for t, before in by_trial.items()}
            for by_trial in numbers_by_source
        ]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise ResultsError(f"{journal} is damaged ({error}): move it away and merge again") from error
    if earlier != [*map(str, folders)]:
        raise ResultsError(
            f"a merge of {', '.join(map(str, earlier))} into {target} was interrupted: run it again first, or, if it "
            f"cannot be, remove {journal}"
        )
    return numbers


def _numbering(folders: Sequence[Path], target: Path, interrupted: list[dict[str, Numbers]] | None) -> _Numbering:
    there, here = RecordedAttempts(target), [RecordedAttempts(folder) for folder in folders]
    used_numbers = _highest_attempts(target)
    ids = [there.trial_ids | {*used_numbers}, *(attempts.trial_ids for attempts in here)]
    earlier_ids: set[str] = set()
    shared: set[str] = set()
    for some in ids:
        shared |= earlier_ids & some
        earlier_ids |= some
    target_attempts, source_attempts = there.of(shared), [attempts.of(shared) for attempts in here]
    numbering = _Numbering(numbers=[{} for _ in folders], current=[{} for _ in folders])
    for trial_id in sorted(shared):
        own = target_attempts.get(trial_id, {})
        others = [attempts.get(trial_id, {}) for attempts in source_attempts]
        reserved = None
        if interrupted is not None:
            reserved = [x.get(trial_id, {n: n for n in other}) for x, other in zip(interrupted, others, strict=True)]
        new = numbers(
            own, others, reserved=reserved, highest_number=used_numbers.get(trial_id, -1) if interrupted is None else -1
        )
        last = max([*own, *(m for numbers_of in new for m in numbers_of.values())])
        for place, (other, numbers_of) in enumerate(zip(others, new, strict=True)):
            if other:
                numbering.numbers[place][trial_id] = numbers_of
                is_first = all(last not in earlier.values() for earlier in new[:place])
                numbering.current[place][trial_id] = numbers_of[max(other)] == last and last not in own and is_first
    return numbering


def _highest_attempts(target: Path) -> dict[str, int]:
    """The highest attempt of each trial with rows that belong to an epoch: a kill may have left them without it."""
    counts = [epoch_counts(target, table).select("trial_id", "attempt") for table in _ALONGSIDE]
    return dict(pl.concat(counts).group_by("trial_id").agg(pl.col("attempt").max()).iter_rows())


def _merge_sweep(
    sweep: str,
    folders: Sequence[Path],
    target: Path,
    numbering: _Numbering,
    config_keys: Mapping[str, tuple[type, str | None]],
) -> dict[str, int]:
    """Adds the rows of one sweep; returns their number by table."""
    ordered = sorted(range(len(folders)), key=lambda n: (first_run_at(folders[n], sweep), n))
    writer = Writer(
        target,
        sweep,
        config_types={key: kind for key, (kind, _) in config_keys.items()},
        key_texts={key: text for key, (_, text) in config_keys.items() if text},
    )
    there, following = sequence_ends(target, sweep)
    parts: list[SweepMerge] = []
    for number in ordered:
        sequences = Sequences.of(there, following, folders[number], sweep)
        following = sequences.following
        parts.append(
            SweepMerge(
                target=target,
                source=folders[number],
                sweep=sweep,
                numbers=numbering.numbers[number],
                sequences=sequences,
            )
        )
    with results_errors(f"cannot write to {target}"):
        shutil.rmtree(target / RESULTS.name / sweep, ignore_errors=True)  # of the study of what there was before
        (target / ".state" / f"{sweep}.cluster").unlink(missing_ok=True)  # it has records of its own from now on
    for table in TABLES:
        for part in parts:
            part.add(table, writer)
    return {table: sum(part.rows.get(table, 0) for part in parts) for table in TABLES}
