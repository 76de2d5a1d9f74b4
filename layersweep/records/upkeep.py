"""Deletes a sweep, or what nobody needs any more.

Whatever is deleted is moved below `results/.state/deleted/` or is a single file, so that a kill leaves no half of it.
Both commands hold the locks of the sweeps that they change. Why each file stays or goes is in
docs/decisions/parquet_tables.md.
"""

import shutil
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from layersweep.records.errors import BusyError, ResultsError
from layersweep.records.lock import alone
from layersweep.records.overview import check_known, last_ends, named_weights, names, size_bytes
from layersweep.records.questions import FIRST_PHASE
from layersweep.records.read import read, superseded, sweeps
from layersweep.records.tables import TABLES
from layersweep.records.write import owner

_LEFTOVERS: Final = (".state/parts/*.tmp", ".state/deleted/*")
_LOGS: Final = "logs/*.log"
_CHECKPOINTS: Final = ".state/checkpoints/*.keras"
_WEIGHTS: Final = "weights/*.keras"


@dataclass(frozen=True, kw_only=True)
class Waste:
    """Files and folders that go, what they are, and how much they hold."""

    what: str
    paths: tuple[Path, ...]
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What `prune` removed, or would remove, and the sweeps that it left alone because they run."""

    found: list[Waste]
    busy: list[str]


def doomed(results: Path, sweep: str) -> list[Waste]:
    """What `delete` removes: the sweep's tables, and checkpoints and logs of trials that no other sweep mentions.

    Raises:
        ResultsError: if the sweep is not recorded, or a sweep cannot be read.
    """
    check_known(results, sweep)
    rows = pl.concat([read(results, table, columns=("sweep", "trial_id")) for table in ("plan", "trials")])
    mine = pl.col("sweep") == sweep
    ids = _ids(rows, mine) - _ids(rows, ~mine)
    named = named_weights(results, but=sweep)
    files = {
        "checkpoints": [p for p in _files(results, _CHECKPOINTS) if _trial(p) in ids],
        "logs": [p for p in _files(results, _LOGS) if p.stem in ids],
        "weights": [p for p in _files(results, _WEIGHTS) if _trial(p) in ids and p.name not in named],
    }
    # The ends go before what they stand for, the plan last: what a kill leaves is a sweep with less trained.
    folders = {f"table {table}": results / table / sweep for table in reversed([*TABLES])}
    return _waste(files | {what: [folder] for what, folder in folders.items() if folder.is_dir()})


def shared(results: Path, sweep: str) -> dict[str, int]:
    """How many of the trials that `delete` removes other sweeps ask for as well, by sweep: they train them again.

    Raises:
        ResultsError: if a sweep cannot be read.
    """
    ended, asked = (read(results, table, columns=("sweep", "trial_id")).unique() for table in ("trials", "plan"))
    mine = pl.col("sweep") == sweep
    lost = ended.filter(mine).join(ended.filter(~mine), on="trial_id", how="anti")
    losers = asked.filter(~mine).join(lost, on="trial_id", how="semi")
    return dict(sorted(losers.group_by("sweep").len().iter_rows()))


def delete(results: Path, sweep: str) -> None:
    """Deletes a sweep; its lock is to be held. A kill leaves a sweep to delete again, or leftovers to prune.

    Raises:
        ResultsError: if the sweep is not recorded, cannot be read, or cannot be deleted.
    """
    aside = results / ".state" / "deleted" / f"{sweep}.{uuid.uuid4().hex}"
    paths = [path for waste in doomed(results, sweep) for path in waste.paths]
    try:
        for path in paths:
            target = aside / path.relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        shutil.rmtree(aside)
    except OSError as error:
        raise ResultsError(f"cannot delete the sweep {sweep!r} in {results}: {error}") from error


def prune(results: Path, *, damaged: bool = False, dry_run: bool = False) -> Pruned:
    """Removes what nobody needs of the sweeps that do not run; their locks are held meanwhile.

    That is what killed commands left, parts that a merger holds too, logs of trials that did not fail, and checkpoints
    of trials that no command would continue.

    Args:
        results: the results folder.
        damaged: remove the damaged parts that were set aside, too.
        dry_run: remove nothing.

    Raises:
        ResultsError: if the folder does not exist, or cannot be read or written.
    """
    with ExitStack() as locks:
        known = _everyone(results)
        free = {name for name in known if _hold(locks, results, name)}
        found = _prunable(results, free, known - free, damaged=damaged)
        if not dry_run:
            for path in (path for waste in found for path in waste.paths):
                _remove(path)
    return Pruned(found=found, busy=sorted(known - free))


def _everyone(results: Path) -> set[str]:
    """Every sweep that has rows, a lock, or anything below `.state`."""
    state = results / ".state"
    owners = {name for path in _files(results, *_LEFTOVERS) if (name := owner(path))}
    locked = {path.stem for path in state.glob("*.lock")}
    broken = {name for table in TABLES for name in sweeps(state / "damaged", table)}
    return {*names(results), *owners, *locked, *broken}


def _hold(locks: ExitStack, results: Path, sweep: str) -> bool:
    try:
        locks.enter_context(alone(results, sweep))
    except BusyError:
        return False
    return True


def _prunable(results: Path, free: set[str], busy: set[str], *, damaged: bool) -> list[Waste]:
    plan, trials = read(results, "plan"), read(results, "trials")
    ends, calm = last_ends(trials), not busy
    mentioned = pl.concat([plan.select("sweep", "trial_id"), trials.select("sweep", "trial_id")])
    running = _ids(mentioned, pl.col("sweep").is_in(sorted(busy)))
    wanted = _wanted(plan, ends, read(results, "epochs", columns=("sweep", "trial_id", "attempt", "epoch")))
    planned, first_phases = {*plan["trial_id"]}, _ids(plan, pl.col("question") == FIRST_PHASE)
    parents = {*plan.filter(pl.col("trial_id").is_in(sorted(wanted)))["parent"]}
    ended_well = {*ends["trial_id"]} - _ids(ends, pl.col("outcome") == "failed")

    def nobodys(path: Path) -> bool:
        return calm if (name := owner(path)) is None else name in free

    def spent(path: Path) -> bool:  # one that no plan names may be what a running sweep is about to plan
        return _trial(path) not in running and (_trial(path) not in wanted if _trial(path) in planned else calm)

    def unnamed(path: Path) -> bool:
        return path.name not in named and (calm or _trial(path) not in running)

    folders = [results / table / sweep for table in TABLES for sweep in sorted(free)]
    named, unneeded = named_weights(results), first_phases - parents
    found = {
        "leftovers of killed commands": [path for path in _files(results, *_LEFTOVERS) if nobodys(path)],
        "superseded parts": [path for folder in folders for path in superseded(folder, results)],
        "logs of trials that did not fail": [p for p in _files(results, _LOGS) if p.stem in ended_well - running],
        "checkpoints that no trial needs": [path for path in _files(results, _CHECKPOINTS) if spent(path)],
        "weights of first phases that no trial needs": [
            path for path in _files(results, _WEIGHTS) if _trial(path) in unneeded and unnamed(path)
        ],
    }
    if damaged:
        aside = [results / ".state" / "damaged" / folder.relative_to(results) for folder in folders]
        found["damaged parts"] = [path for folder in aside for path in sorted(folder.glob("*"))]
    return _waste(found)


def _ids(rows: pl.DataFrame, which: pl.Expr) -> set[str]:
    return {*rows.filter(which)["trial_id"]}


def _wanted(plan: pl.DataFrame, ends: pl.DataFrame, epochs: pl.DataFrame) -> set[str]:
    """Trials that a sweep would go on with: without an end, failed, begun again since, or asked for more epochs."""
    key = ["sweep", "trial_id"]
    ended = ends.select(*key, "outcome", "attempt", pl.col("epochs").fill_null(0).alias("reached"))
    begun = epochs.select(*key, "epoch", pl.col("attempt").alias("begun")).join(ended, on=key)
    later = (pl.col("begun") > pl.col("attempt")) | (
        (pl.col("begun") == pl.col("attempt")) & (pl.col("epoch") > pl.col("reached"))
    )
    asked = plan.group_by(key).agg(pl.col("epochs").max()).join(ended, on=key, how="left")
    short = (pl.col("outcome") == "completed") & (pl.col("reached") < pl.col("epochs"))
    open_ended = pl.col("outcome").is_null() | (pl.col("outcome") == "failed")
    return _ids(asked, open_ended | short) | _ids(begun, later)


def _files(results: Path, *patterns: str) -> list[Path]:
    return [path for pattern in patterns for path in sorted(results.glob(pattern))]


def _trial(checkpoint: Path) -> str:
    """The trial of a checkpoint or of weights: `<trial_id>-<epoch>.keras`, with a dot before it while it is written."""
    return checkpoint.name.removeprefix(".").partition("-")[0]


def _waste(found: dict[str, list[Path]]) -> list[Waste]:
    return [
        Waste(what=what, paths=tuple(paths), size_bytes=sum(map(size_bytes, paths)))
        for what, paths in found.items()
        if paths
    ]


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot remove {path}: {error.strerror}") from error
