"""Deletes a sweep, or files that are no longer needed.

Folders are first moved to `results/.state/deleted/`, so that a killed command leaves no half-deleted table. Both
commands hold the locks of the sweeps that they change. Why each file stays or goes is in
docs/decisions/parquet_tables.md.
"""

import re
import shutil
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.errors import BusyError, results_errors
from layersweep.records.files import sync
from layersweep.records.lock import sweep_lock
from layersweep.records.overview import check_recorded, current_outcomes, names, planned_weights, size_bytes
from layersweep.records.questions import FIRST_PHASE
from layersweep.records.read import read, superseded, sweeps
from layersweep.records.requests import folder_of as requests_folder
from layersweep.records.tables import DERIVED, READABLE, RESULTS, TABLES
from layersweep.records.write import owner

_LEFTOVERS: Final = (".state/parts/*.tmp", ".state/deleted/*")
_UNOWNED_LEFTOVERS: Final = (
    ".state/*.tmp", ".doctor-????????????????", "studies/.*.tmp", "studies/.*.html.??????", "studies/.*.png.??????",
    ".state/requests/*/.*.tmp",
)  # fmt: skip
"""Leftovers without the name of a sweep: files to try whether a folder is writable, unfinished pages and requests, and
those of a killed rsync."""

_BROKEN_COPIES: Final = ".*.parquet.??????"
"""Parts of a killed rsync."""

_MISSING: Final = ".state/lost/*"
_LOGS: Final = "logs/*.log*"
_CHECKPOINTS: Final = ".state/checkpoints/*.keras"
_WEIGHTS: Final = "weights/*.keras"


@dataclass(frozen=True, kw_only=True)
class FileGroup:
    """Files and folders to delete: a name for all of them, their paths and their total size."""

    name: str
    paths: tuple[Path, ...]
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """The files that `prune` deleted or would delete, and the sweeps that it skipped because they run."""

    groups: list[FileGroup]
    busy_sweeps: list[str]


def deletable_files(results: Path, sweep: str) -> list[FileGroup]:
    """The files that `delete` removes: the sweep's tables, and checkpoints and logs of trials of no other sweep.

    Raises:
        ResultsError: if the sweep is not recorded, or a sweep cannot be read.
    """
    check_recorded(results, sweep)
    rows = pl.concat([read(results, table, columns=("sweep", "trial_id")) for table in ("plan", "trials")])
    mine = pl.col("sweep") == sweep
    ids = _ids(rows, mine) - _ids(rows, ~mine)
    needed_weights = planned_weights(results, except_for=sweep)
    files = {
        "checkpoints": [p for p in _files(results, _CHECKPOINTS) if _trial(p) in ids],
        "logs": [p for p in _files(results, _LOGS) if _trial(p) in ids],
        "weights": [p for p in _files(results, _WEIGHTS) if _trial(p) in ids and p.name not in needed_weights],
        "requests": [folder for folder in (requests_folder(results, sweep),) if folder.is_dir()],
    }
    # What is computed from them, then `trials`, the plan last: a killed command leaves a sweep with unfinished trials.
    folders = {f"table {table}": results / table / sweep for table in (*DERIVED, *reversed([*TABLES]))}
    return _groups(files | {name: [folder] for name, folder in folders.items() if folder.is_dir()})


def trials_to_repeat(results: Path, sweep: str) -> dict[str, int]:
    """By sweep, the number of its planned trials that only `sweep` has trained; after `delete` it trains them again.

    Raises:
        ResultsError: if a sweep cannot be read.
    """
    trials, plan = (read(results, table, columns=("sweep", "trial_id")).unique() for table in ("trials", "plan"))
    mine = pl.col("sweep") == sweep
    only_here = trials.filter(mine).join(trials.filter(~mine), on="trial_id", how="anti")
    planned_elsewhere = plan.filter(~mine).join(only_here, on="trial_id", how="semi")
    return dict(sorted(planned_elsewhere.group_by("sweep").len().iter_rows()))


def delete(results: Path, sweep: str) -> None:
    """Deletes a sweep; the caller holds its lock. After a kill, delete the sweep again or prune the leftovers.

    Raises:
        ResultsError: if the sweep is not recorded, cannot be read, or cannot be deleted.
    """
    trash = results / ".state" / "deleted" / f"{sweep}.{uuid.uuid4().hex}"
    paths = [path for group in deletable_files(results, sweep) for path in group.paths]
    with results_errors(f"cannot delete the sweep {sweep!r} in {results}"):
        for path in paths:
            target = trash / path.relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            sync(path.parent)  # a power cut must not undo this and leave what follows
        shutil.rmtree(trash)


def prune(results: Path, *, damaged: bool = False, missing: bool = False, dry_run: bool = False) -> PruneResult:
    """Deletes files that are no longer needed, of all sweeps that do not run; holds their locks meanwhile.

    These are leftovers of killed commands, parts that were merged, logs of trials that did not fail, and checkpoints of
    trials that no command would continue.

    Args:
        results: the results folder.
        damaged: also delete the damaged parts that were set aside.
        missing: also delete the parts that were set aside because they are missing on a cluster's head.
        dry_run: delete nothing.

    Raises:
        ResultsError: if the folder does not exist, or cannot be read or written.
    """
    with ExitStack() as locks:
        all_sweeps = _all_sweeps(results)
        free = {name for name in all_sweeps if _try_lock(locks, results, name)}
        groups = _prunable_files(results, free, all_sweeps - free, damaged=damaged, missing=missing)
        if not dry_run:
            for path in (path for group in groups for path in group.paths):
                _remove(path)
    return PruneResult(groups=groups, busy_sweeps=sorted(all_sweeps - free))


def _all_sweeps(results: Path) -> set[str]:
    """Every sweep that has rows, a lock, or files in `.state`."""
    state = results / ".state"
    owners = {name for path in _files(results, *_LEFTOVERS) if (name := owner(path))}
    locked = {path.stem for path in state.glob("*.lock")}
    broken = {name for table in READABLE for name in sweeps(state / "damaged", table)}
    return {*names(results), *owners, *locked, *broken}


def _try_lock(locks: ExitStack, results: Path, sweep: str) -> bool:
    try:
        locks.enter_context(sweep_lock(results, sweep))
    except BusyError:
        return False
    return True


def _prunable_files(results: Path, free: set[str], busy: set[str], *, damaged: bool, missing: bool) -> list[FileGroup]:
    nothing_runs, recorded = not busy, {*names(results)}
    folders = [results / table / sweep for table in READABLE for sweep in sorted(free)]
    plan, trials = read(results, "plan"), read(results, "trials")
    ids = pl.concat([frame.select("sweep", "trial_id") for frame in (plan, trials)])
    busy_trials = _ids(ids, pl.col("sweep").is_in(sorted(busy)))
    files = {
        "leftovers of killed commands": [
            path
            for path in _files(results, *_LEFTOVERS)
            if (nothing_runs if (name := owner(path)) is None else name in free)
        ]
        + [path for folder in folders for path in sorted(folder.glob(_BROKEN_COPIES))]
        + (_files(results, *_UNOWNED_LEFTOVERS) if nothing_runs else []),
        "results of sweeps that are not recorded": [  # a study ended after its sweep was deleted
            results / RESULTS.name / sweep for sweep in sweeps(results, RESULTS.name) if sweep not in busy | recorded
        ],
        "superseded parts": [path for folder in folders for path in superseded(folder, results)],
        **_unneeded_files(results, plan, trials, busy_trials, nothing_runs=nothing_runs),
    }
    if damaged:
        damaged_folders = [results / ".state" / "damaged" / folder.relative_to(results) for folder in folders]
        files["damaged parts"] = [path for folder in damaged_folders for path in sorted(folder.glob("*"))]
    if missing and nothing_runs:
        files["parts that are missing on a cluster"] = _files(results, _MISSING)
    return _groups(files)


def _unneeded_files(
    results: Path, plan: pl.DataFrame, trials: pl.DataFrame, busy_trials: set[str], *, nothing_runs: bool
) -> dict[str, list[Path]]:
    """Logs, checkpoints and weights of trials that no command would continue; none of `busy_trials`."""
    ends = current_outcomes(trials)
    open_trials = _open_trials(plan, ends, read(results, "epochs", columns=("sweep", "trial_id", "attempt", "epoch")))
    planned_trials = {*plan["trial_id"]}
    parents = {*plan.filter(pl.col("trial_id").is_in(sorted(open_trials)))["parent"]}
    finished_logs = {*ends["trial_id"]} - busy_trials - _ids(ends, pl.col("outcome") == "failed")
    first_phases = _ids(plan, pl.col("question") == FIRST_PHASE) - parents
    needed_weights = planned_weights(results)

    def no_trial_needs(checkpoint: Path) -> bool:  # a running sweep may be about to plan a trial that no plan has
        trial = _trial(checkpoint)
        return trial not in busy_trials and (trial not in open_trials if trial in planned_trials else nothing_runs)

    def no_plan_names(weights: Path) -> bool:
        return weights.name not in needed_weights and (nothing_runs or _trial(weights) not in busy_trials)

    return {
        "logs of trials that did not fail": [path for path in _files(results, _LOGS) if _trial(path) in finished_logs],
        "checkpoints that no trial needs": [path for path in _files(results, _CHECKPOINTS) if no_trial_needs(path)],
        "weights of first phases that no trial needs": [
            path for path in _files(results, _WEIGHTS) if _trial(path) in first_phases and no_plan_names(path)
        ],
    }


def _ids(rows: pl.DataFrame, which: pl.Expr) -> set[str]:
    return {*rows.filter(which)["trial_id"]}


def _open_trials(plan: pl.DataFrame, ends: pl.DataFrame, epochs: pl.DataFrame) -> set[str]:
    """Trials that a sweep would continue: without an end, failed, with epochs after the end, or with more planned."""
    key = ["sweep", "trial_id"]
    last_rows = ends.select(*key, "outcome", "attempt", pl.col("epochs").fill_null(0).alias("reached"))
    progress = epochs.select(*key, "epoch", pl.col("attempt").alias("epoch_attempt")).join(last_rows, on=key)
    after_end = (pl.col("epoch_attempt") > pl.col("attempt")) | (
        (pl.col("epoch_attempt") == pl.col("attempt")) & (pl.col("epoch") > pl.col("reached"))
    )
    planned = plan.group_by(key).agg(pl.col("epochs").max()).join(last_rows, on=key, how="left")
    short = (pl.col("outcome") == "completed") & (pl.col("reached") < pl.col("epochs"))
    not_successful = pl.col("outcome").is_null() | (pl.col("outcome") == "failed")
    return _ids(planned, not_successful | short) | _ids(progress, after_end)


def _files(results: Path, *patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(results.glob(pattern))]


def _trial(file: Path) -> str:
    """The trial id in the name `<trial_id>-<epoch>.keras` or `<trial_id>.log`; one that is written has a dot before."""
    return re.split(r"[-.]", file.name.removeprefix("."), maxsplit=1)[0]


def _groups(files: dict[str, list[Path]]) -> list[FileGroup]:
    return [
        FileGroup(name=name, paths=tuple(paths), size_bytes=sum(map(size_bytes, paths)))
        for name, paths in files.items()
        if paths
    ]


def _remove(path: Path) -> None:
    with results_errors(f"cannot remove {path}"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
