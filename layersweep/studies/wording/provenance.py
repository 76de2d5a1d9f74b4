"""The origin of results: commands, machines, versions and data; and differences that make them hard to compare."""

import json
from collections.abc import Iterable

import polars as pl

from layersweep.formatting import count, duration
from layersweep.records.questions import SCREENING
from layersweep.studies.statistics.arm_comparison import Comparison


def facts(comparison: Comparison, runs: pl.DataFrame) -> dict[str, str]:
    """The facts that a reader needs to check or repeat the results, by name; empty if they are not recorded."""
    rows = comparison.replicates.rows
    seeds = sorted({s for s in rows.filter(rows["outcome"] != SCREENING)["seed"].to_list() if s is not None})
    candidates = comparison.replicates.candidates.unique("trial_id")
    times = sorted(str(at)[:16] for at in (*rows["started_at"], *rows["ended_at"]) if at is not None)
    epochs = int(rows["epochs_spent"].sum())
    return {
        "Epochs": f"{comparison.epoch} planned; {epochs:,} trained in {count(rows.height, 'trial')}",
        "Tuning": f"{int(candidates['epochs_spent'].sum()):,} epochs in {count(candidates.height, 'trial')}"
        if candidates.height
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
        "Time": f"{duration(float(rows['seconds'].sum()))} of slot time"
        + (f", and {duration(float(candidates['seconds'].sum()))} for tuning" if candidates.height else ""),
    }


def warnings(runs: pl.DataFrame) -> list[str]:
    """Sentences about runs with different package versions or code."""
    texts = []
    if len(_values(runs, "versions_json")) > 1:
        texts.append("The runs used different package versions; see below.")
    if len(commits := _values(runs, "git_commit")) > 1:
        texts.append(f"The runs used different code: commits {', '.join(commit[:10] for commit in commits)}.")
    return texts


def runs_of(comparison: Comparison, runs: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The runs that trained the compared trials and the candidates of tunings; all runs if that is not recorded."""
    frames = (comparison.replicates.rows, comparison.replicates.candidates)
    ids = pl.concat([rows.select("trial_id", "attempt") for rows in frames])
    run_ids = trials.join(ids, on=["trial_id", "attempt"], how="semi")["run"].drop_nulls().to_list()
    selected_runs = runs.filter(pl.col("run").is_in(run_ids))
    return selected_runs if selected_runs.height else runs


def plain(text: str) -> str:
    """A recorded JSON value as plain text: `keras 3.15, ray 2.60`."""
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
