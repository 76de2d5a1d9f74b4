"""Overviews of the records: a summary of each sweep, the trials of a sweep, the details of one trial."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.lock import is_busy
from layersweep.records.metrics import ACCURACY, METRICS, Metric
from layersweep.records.read import read, sweeps
from layersweep.records.tables import OUTCOMES, READABLE, TABLES

UNFINISHED: Final = "unfinished"
"""Shown as the outcome of a planned trial that has not ended: waiting, running or killed."""

RUNNING_OR_KILLED: Final = "running or killed"
"""Shown as the outcome of a run that has no recorded end."""

RUNNING: Final = "running"
"""Shown instead if its command holds the sweep's lock; unknown where the locks of other hosts are not seen."""

_PLAN_COLUMNS: Final = ("trial_id", "arm", "question", "seed", "fold")
_END_COLUMNS: Final = ("outcome", "epochs", "best_val_accuracy", "reason", "warning")
_LISTED_TRIALS: Final = 12
_NAMED_WEIGHTS: Final = re.compile(r'"weights": "(?P<trial_id>[0-9a-f]{16})@(?P<epoch>\d+)"')


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A summary of a sweep: its trials by outcome, its epochs, when it ran last and how that run ended."""

    sweep: str
    outcomes: dict[str, int]
    unfinished: int
    epochs: int
    last_run: datetime | None
    last_outcome: str | None
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class TrialDetails:
    """One trial: its rows of `trials` and `epochs` in the order of the attempts, and the path of its log.

    `trained_by` is the sweep that recorded these rows: another sweep if only that one has trained the trial.
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
        ResultsError: if the folder does not exist.
    """
    if not results.is_dir():
        raise ResultsError(f"there is no results folder {results}: set the right one with --results")
    return sorted({name for table in TABLES for name in sweeps(results, table)})


def check_recorded(results: Path, sweep: str) -> None:
    """Checks that a sweep is recorded.

    Raises:
        ResultsError: if it is not; the message lists the recorded sweeps.
    """
    recorded_sweeps = names(results)
    if sweep not in recorded_sweeps:
        valid = f"recorded sweeps: {', '.join(recorded_sweeps)}" if recorded_sweeps else "no sweep is recorded there"
        raise ResultsError(f"no results of sweep {sweep!r} in {results.absolute()}; {valid}")


def planned_weights(results: Path, *, except_for: str | None = None) -> frozenset[str]:
    """The files `<trial_id>-<epoch>.keras` from which planned trials start, without plans of the sweep `except_for`.

    Raises:
        ResultsError: if the plans cannot be read.
    """
    plan = read(results, "plan", columns=("sweep", "config_json"))
    texts = plan.filter(pl.col("sweep").cast(pl.String).ne_missing(except_for))["config_json"].drop_nulls().unique()
    matches = (match for text in texts for match in _NAMED_WEIGHTS.finditer(text))
    return frozenset(f"{match['trial_id']}-{match['epoch']}.keras" for match in matches)


def current_outcomes(trials: pl.DataFrame) -> pl.DataFrame:
    """The last row in `trials` of each trial of each sweep: its current outcome."""
    ordered = trials.sort("attempt", "continuation")
    return ordered.unique(["sweep", "trial_id"], keep="last", maintain_order=True)


def summaries(results: Path) -> list[Summary]:
    """The summaries of all sweeps, sorted by name.

    Raises:
        ResultsError: if the results cannot be read.
    """
    ends = current_outcomes(read(results, "trials"))
    return [_summary(results, name, ends) for name in names(results)]


def trials(results: Path, sweep: str, *, metric: str = ACCURACY) -> pl.DataFrame:
    """The trials that the sweep planned or ended, one row each: the plan and the outcome.

    If only another sweep has ended a trial, that outcome counts. A trial without an end is `UNFINISHED`, with its
    epochs so far. Of a metric other than the accuracy, the best value has a column of its own.

    Raises:
        ResultsError: if the sweep is not recorded, or cannot be read.
    """
    check_recorded(results, sweep)
    rows = _trials(results, sweep, current_outcomes(read(results, "trials")), _epochs(results, sweep))
    if metric not in METRICS or metric == ACCURACY:
        return rows
    best = _best(results, rows["trial_id"].to_list(), METRICS[metric])
    places = rows.columns.index(f"best_{ACCURACY}") + 1
    joined = rows.join(best, on="trial_id", how="left", maintain_order="left")
    return joined.select(*rows.columns[:places], f"best_{metric}", *rows.columns[places:])


def _best(results: Path, ids: Sequence[str], metric: Metric) -> pl.DataFrame:
    """The best finite value of a metric in the latest attempt of each trial."""
    epochs = read(results, "epochs", columns=("trial_id", "attempt", metric.column))
    rows = epochs.filter(pl.col("trial_id").is_in(list(ids)) & pl.col(metric.column).is_finite())
    latest = rows.filter(pl.col("attempt") == pl.col("attempt").max().over("trial_id"))
    value = pl.col(metric.column)
    best = (value.max() if metric.is_higher_better else value.min()).alias(f"best_{metric.column}")
    return latest.group_by("trial_id").agg(best)


def trial(results: Path, sweep: str, prefix: str) -> TrialDetails:
    """The details of the trial of a sweep whose id starts with `prefix`.

    Raises:
        ResultsError: if the sweep is not recorded, or not exactly one trial matches; the message lists the trials.
    """
    row = _matching_trial(trials(results, sweep), sweep, prefix)
    mine = pl.col("trial_id") == row["trial_id"]
    ends, epochs = (read(results, table).filter(mine) for table in ("trials", "epochs"))
    trainers = {*ends["sweep"], *epochs["sweep"]}
    trainer = sweep if sweep in trainers else min(trainers, default=sweep)
    by_trainer = pl.col("sweep") == trainer
    end_rows = ends.filter(by_trainer).sort("attempt", "continuation").to_dicts()
    log = results / "logs" / f"{row['trial_id']}.log"
    recorded_logs = [end["log"] for end in end_rows if end["log"] is not None]
    return TrialDetails(
        trial_id=row["trial_id"],
        arm=row["arm"],
        question=row["question"],
        seed=row["seed"],
        trained_by=trainer if trainers else None,
        ends=end_rows,
        epochs=epochs.filter(by_trainer).sort("attempt", "epoch"),
        log=str(log) if log.exists() else recorded_logs[-1] if recorded_logs else None,
    )


def size_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder; files that disappear meanwhile count as 0."""
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
    if outcome == RUNNING_OR_KILLED and is_busy(results, sweep):
        outcome = RUNNING
    return Summary(
        sweep=sweep,
        outcomes={name: outcomes.count(name) for name in OUTCOMES if name in outcomes},
        unfinished=outcomes.count(UNFINISHED),
        epochs=epochs.height,
        last_run=at,
        last_outcome=outcome,
        size_bytes=sum(size_bytes(results / table / sweep) for table in READABLE),
    )


def _epochs(results: Path, sweep: str) -> pl.DataFrame:
    return read(results, "epochs", sweep, columns=("trial_id", "epoch", "val_accuracy"))


def _trials(results: Path, sweep: str, ends: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    own_ends = ends.filter(pl.col("sweep") == sweep)
    plan = read(results, "plan", sweep)
    planned_trials = pl.concat([own_ends.select(_PLAN_COLUMNS), plan.select(_PLAN_COLUMNS)]).unique(
        "trial_id", keep="last", maintain_order=True
    )
    preferred_ends = ends.sort(pl.col("sweep") != sweep, maintain_order=True).unique("trial_id", keep="first")
    progress = epochs.group_by("trial_id").agg(pl.col("epoch").max(), pl.col("val_accuracy").max())
    rows = planned_trials
    for frame in (preferred_ends.select("trial_id", *_END_COLUMNS), progress):
        rows = rows.join(frame, on="trial_id", how="left", maintain_order="left")
    unfinished = pl.col("outcome").is_null()
    columns = [name for name in _PLAN_COLUMNS if name != "fold" or rows["fold"].null_count() < rows.height]
    return rows.select(
        *columns,
        pl.col("outcome").fill_null(UNFINISHED),
        pl.when(unfinished).then(pl.col("epoch").fill_null(0)).otherwise("epochs").alias("epochs"),
        pl.when(unfinished).then("val_accuracy").otherwise("best_val_accuracy").alias("best_val_accuracy"),
        "reason",
        "warning",
    )


def has_open_run(runs: pl.DataFrame, sweep: str) -> bool:
    """Whether the last command of a sweep has no recorded end: it runs, or was killed."""
    return _last_run(runs.filter(pl.col("sweep") == sweep))[1] == RUNNING_OR_KILLED


def _last_run(runs: pl.DataFrame) -> tuple[datetime | None, str | None]:
    starts = runs.filter(pl.col("event") == "start")  # in the order of the records: a clock may be set back
    if starts.is_empty():
        return None, None
    last = starts.row(-1, named=True)
    ends = runs.filter(pl.col("event") == "end", pl.col("run") == last["run"])
    return last["at"], RUNNING_OR_KILLED if ends.is_empty() else ends["outcome"][-1]


def _matching_trial(trials: pl.DataFrame, sweep: str, prefix: str) -> dict[str, Any]:
    matches = trials.filter(pl.col("trial_id").str.starts_with(prefix)).to_dicts()
    if len(matches) == 1:
        return matches[0]
    several = f"the ids of {len(matches)} trials of sweep {sweep!r} start with {prefix!r}"
    problem = several if matches else f"no trial id of sweep {sweep!r} starts with {prefix!r}"
    rows = matches or trials.to_dicts()
    valid = [f"{r['trial_id']} ({r['arm']}, seed {r['seed']})" for r in rows[:_LISTED_TRIALS]]
    rest = f" and {len(rows) - _LISTED_TRIALS} more" if len(rows) > _LISTED_TRIALS else ""
    raise ResultsError(f"{problem}; valid: {', '.join(valid) or 'none'}{rest}")
