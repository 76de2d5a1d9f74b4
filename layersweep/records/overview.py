"""What is recorded: every sweep in a line, a sweep's trials, all about one trial."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.read import read, sweeps
from layersweep.records.tables import OUTCOMES, TABLES

UNFINISHED: Final = "unfinished"
"""Stands for the outcome of a trial that is planned and has no end: waiting, running, or killed."""

RUNNING_OR_KILLED: Final = "running or killed"
"""Stands for the outcome of a run without an end."""

_ASKED: Final = ("trial_id", "arm", "question", "seed", "fold")
_ENDED: Final = ("outcome", "epochs", "best_val_accuracy", "reason", "warning")
_CANDIDATES: Final = 12
_NAMED_WEIGHTS: Final = re.compile(r'"weights": "(?P<trial_id>[0-9a-f]{16})@(?P<epoch>\d+)"')


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sweep in a line: its trials by what became of them, its epochs, when it ran last and how that ended."""

    sweep: str
    outcomes: dict[str, int]
    unfinished: int
    epochs: int
    last_run: datetime | None
    last_outcome: str | None
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class TrialStory:
    """All about one trial: the rows of `trials` and `epochs` in the order of the attempts, and where its log is.

    `trained_by` is the sweep whose rows they are: another one than asked for where only that has trained the trial.
    """

    trial_id: str
    arm: str | None
    question: str | None
    seed: int | None
    trained_by: str | None
    ends: list[dict[str, Any]]
    epochs: pl.DataFrame
    log: str | None


def names(results: Path) -> list[str]:
    """The sweeps that have rows in any table, sorted.

    Raises:
        ResultsError: if there is no such folder.
    """
    if not results.is_dir():
        raise ResultsError(f"there is no results folder {results}: give it with --results")
    return sorted({name for table in TABLES for name in sweeps(results, table)})


def check_known(results: Path, sweep: str) -> None:
    """Refuses a sweep that is not recorded.

    Raises:
        ResultsError: naming the sweeps that are.
    """
    if sweep not in (there := names(results)):
        known = f"sweeps there: {', '.join(there)}" if there else "no sweep is recorded there"
        raise ResultsError(f"no results of sweep {sweep!r} below {results.absolute()}; {known}")


def named_weights(results: Path, *, but: str | None = None) -> frozenset[str]:
    """The files `<trial_id>-<epoch>.keras` that recorded plans begin with, those of one sweep left out.

    Raises:
        ResultsError: if the plans cannot be read.
    """
    plan = read(results, "plan", columns=("sweep", "config_json"))
    texts = plan.filter(pl.col("sweep").cast(pl.String).ne_missing(but))["config_json"].drop_nulls().unique()
    found = (match for text in texts for match in _NAMED_WEIGHTS.finditer(text))
    return frozenset(f"{match['trial_id']}-{match['epoch']}.keras" for match in found)


def last_ends(trials: pl.DataFrame) -> pl.DataFrame:
    """The rows of `trials` that say what became of each trial of each sweep."""
    ordered = trials.sort("attempt", "continuation")
    return ordered.unique(["sweep", "trial_id"], keep="last", maintain_order=True)


def summaries(results: Path) -> list[Summary]:
    """Every sweep, by name.

    Raises:
        ResultsError: if the results cannot be read.
    """
    found, ends = names(results), last_ends(read(results, "trials"))
    return [_summary(results, name, ends) for name in found]


def trials(results: Path, sweep: str) -> pl.DataFrame:
    """A row a trial that the sweep planned or ended: what was asked, and what became of it.

    A trial that only another sweep has ended has that end; one without any is `UNFINISHED`, with the epochs until now.

    Raises:
        ResultsError: if the sweep is not recorded, or cannot be read.
    """
    check_known(results, sweep)
    return _trials(results, sweep, last_ends(read(results, "trials")), _epochs(results, sweep))


def trial(results: Path, sweep: str, prefix: str) -> TrialStory:
    """All about the one trial of a sweep whose id begins so.

    Raises:
        ResultsError: if the sweep is not recorded, or no trial or several begin so; it lists those that may be meant.
    """
    asked = trials(results, sweep)
    row = _the_one(asked, sweep, prefix)
    mine = pl.col("trial_id") == row["trial_id"]
    ends, epochs = (read(results, table).filter(mine) for table in ("trials", "epochs"))
    trainers = {*ends["sweep"], *epochs["sweep"]}
    trainer = sweep if sweep in trainers else min(trainers, default=sweep)
    own = pl.col("sweep") == trainer
    ended = ends.filter(own).sort("attempt", "continuation").to_dicts()
    kept = results / "logs" / f"{row['trial_id']}.log"
    told = [end["log"] for end in ended if end["log"] is not None]
    return TrialStory(
        trial_id=row["trial_id"],
        arm=row["arm"],
        question=row["question"],
        seed=row["seed"],
        trained_by=trainer if trainers else None,
        ends=ended,
        epochs=epochs.filter(own).sort("attempt", "epoch"),
        log=str(kept) if kept.exists() else told[-1] if told else None,
    )


def size_bytes(path: Path) -> int:
    """What a file, or all files below a folder, hold; what vanishes meanwhile counts nothing."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else [path]:
        try:
            total += file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:  # merged away
            continue
    return total


def _summary(results: Path, sweep: str, ends: pl.DataFrame) -> Summary:
    epochs = _epochs(results, sweep)
    outcomes = _trials(results, sweep, ends, epochs)["outcome"].to_list()
    at, outcome = _last_run(read(results, "runs", sweep))
    return Summary(
        sweep=sweep,
        outcomes={name: outcomes.count(name) for name in OUTCOMES if name in outcomes},
        unfinished=outcomes.count(UNFINISHED),
        epochs=epochs.height,
        last_run=at,
        last_outcome=outcome,
        size_bytes=sum(size_bytes(results / table / sweep) for table in TABLES),
    )


def _epochs(results: Path, sweep: str) -> pl.DataFrame:
    return read(results, "epochs", sweep, columns=("trial_id", "epoch", "val_accuracy"))


def _trials(results: Path, sweep: str, ends: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    own = ends.filter(pl.col("sweep") == sweep)
    plan = read(results, "plan", sweep)
    asked = pl.concat([own.select(_ASKED), plan.select(_ASKED)]).unique("trial_id", keep="last", maintain_order=True)
    own_first = ends.sort(pl.col("sweep") != sweep, maintain_order=True).unique("trial_id", keep="first")
    begun = epochs.group_by("trial_id").agg(pl.col("epoch").max(), pl.col("val_accuracy").max())
    joined = asked.join(own_first.select("trial_id", *_ENDED), on="trial_id", how="left", maintain_order="left")
    joined = joined.join(begun, on="trial_id", how="left", maintain_order="left")
    unfinished = pl.col("outcome").is_null()
    told = [name for name in _ASKED if name != "fold" or joined["fold"].null_count() < joined.height]
    return joined.select(
        *told,
        pl.col("outcome").fill_null(UNFINISHED),
        pl.when(unfinished).then(pl.col("epoch").fill_null(0)).otherwise("epochs").alias("epochs"),
        pl.when(unfinished).then("val_accuracy").otherwise("best_val_accuracy").alias("best_val_accuracy"),
        "reason",
        "warning",
    )


def _last_run(runs: pl.DataFrame) -> tuple[datetime | None, str | None]:
    starts = runs.filter(pl.col("event") == "start").sort("at", maintain_order=True)
    if starts.is_empty():
        return None, None
    last = starts.row(-1, named=True)
    ends = runs.filter(pl.col("event") == "end", pl.col("run") == last["run"])
    return last["at"], RUNNING_OR_KILLED if ends.is_empty() else ends["outcome"][-1]


def _the_one(asked: pl.DataFrame, sweep: str, prefix: str) -> dict[str, Any]:
    found = asked.filter(pl.col("trial_id").str.starts_with(prefix)).to_dicts()
    if len(found) == 1:
        return found[0]
    several = f"{len(found)} trials of sweep {sweep!r} begin with {prefix!r}"
    said = several if found else f"no trial of sweep {sweep!r} begins with {prefix!r}"
    rows = found or asked.to_dicts()
    candidates = [f"{r['trial_id']} ({r['arm']}, seed {r['seed']})" for r in rows[:_CANDIDATES]]
    more = f" and {len(rows) - _CANDIDATES} more" if len(rows) > _CANDIDATES else ""
    raise ResultsError(f"{said}; trials: {', '.join(candidates) or 'none'}{more}")
