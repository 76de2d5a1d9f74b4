"""Where results come from: commands, machines, versions, data; and what makes them hard to compare."""

import json
from collections.abc import Iterable

import polars as pl

from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.arm_comparison import Comparison
from layersweep.words import count, duration


def facts(found: Comparison, runs: pl.DataFrame) -> dict[str, str]:
    """What a reader needs to believe or repeat the results, by name; empty where nothing was recorded."""
    rows = found.replicates.rows
    seeds = sorted({s for s in rows.filter(rows["outcome"] != SCREENING)["seed"].to_list() if s is not None})
    tuning = found.replicates.tuning.unique("trial_id")
    times = sorted(str(at)[:16] for at in (*rows["started_at"], *rows["ended_at"]) if at is not None)
    return {
        "Epochs": f"{found.epoch} asked for; {int(rows['spent'].sum()):,} spent over {count(rows.height, 'trial')}",
        "Tuning": f"{int(tuning['spent'].sum()):,} epochs over {count(tuning.height, 'trial')}"
        if tuning.height
        else "",
        "Seeds": ", ".join(map(str, seeds)),
        "Folds": ", ".join(str(fold + 1) for fold in sorted(rows["fold"].drop_nulls().unique())),
        "Data": ", ".join(_values(rows, "dataset")),
        "Images": "; ".join(_images(rows)),
        "Model family": ", ".join(_values(rows, "family")),
        "Precision": ", ".join(_values(rows, "precision")),
        "Command": "; ".join(_values(runs, "command")),
        "Hosts": ", ".join(_values(rows, "host")),
        "Devices": ", ".join(_values(rows, "device")),
        "Machines as recorded": "; ".join(plain(text) for text in _values(runs, "hosts_json")),
        "Slots": ", ".join(_values(runs, "slots")),
        "Versions": "; ".join(plain(text) for text in _values(runs, "versions_json")),
        "Commit": ", ".join(_values(runs, "git_commit")),
        "When": f"{times[0]} to {times[-1]} UTC" if times else "",
        "Time": f"{duration(float(rows['seconds'].sum()))} of slots"
        + (f", and {duration(float(tuning['seconds'].sum()))} of tuning" if tuning.height else ""),
    }


def warnings(runs: pl.DataFrame) -> list[str]:
    """Says so when the runs behind one table had different versions or code."""
    said = []
    if len(_values(runs, "versions_json")) > 1:
        said.append("The runs had different package versions; see below.")
    if len(commits := _values(runs, "git_commit")) > 1:
        said.append(f"The runs had different code: commits {', '.join(commit[:10] for commit in commits)}.")
    return said


def runs_of(found: Comparison, runs: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The runs that trained what is compared, and what was tuned before; all of them where that is not recorded."""
    mine = (found.replicates.rows, found.replicates.tuning)
    ids = pl.concat([rows.select("trial_id", "attempt") for rows in mine])
    named = trials.join(ids, on=["trial_id", "attempt"], how="semi")["run"].drop_nulls().to_list()
    trained = runs.filter(pl.col("run").is_in(named))
    return trained if trained.height else runs


def plain(text: str) -> str:
    """A recorded JSON value in words: `keras 3.15, ray 2.60`."""
    try:
        return _flat(json.loads(text))
    except json.JSONDecodeError:
        return text


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_flat(v)}" for k, v in value.items())
    return "; ".join(_flat(v) for v in value) if isinstance(value, list) else str(value)


def _images(rows: pl.DataFrame) -> Iterable[str]:
    names = ("train_images", "validation_images", "test_images")
    for train, validation, test in rows.select(names).drop_nulls().unique().rows():
        yield f"{train:,} to train, {validation:,} to validate, {test:,} to test"


def _values(frame: pl.DataFrame, name: str) -> list[str]:
    return [str(value) for value in frame[name].drop_nulls().unique(maintain_order=True)]
