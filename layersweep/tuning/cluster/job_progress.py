"""What a sweep's records say of the command that works on it: what runs and has ended, the best, the time left."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from layersweep.records.overview import last_ends
from layersweep.records.read import read
from layersweep.tuning.driver.progress import RunningRow, SweepProgress, rung_text
from layersweep.tuning.experiment.trials import sign
from layersweep.words import count, first_line

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """An end of a trial; `final` unless it was tried again. `value` is the metric after its last epoch."""

    key: tuple[str, int, int]
    label: str
    outcome: str
    epochs: int
    value: float | None
    host: str | None
    why: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class Watched(SweepProgress):
    """One command's progress; its trials run after their first epoch, its times are Unix times of the head's clock.

    Attributes:
        recorded: how many of the trials that it asks for had ended before.
        ended: the ends of trials, oldest first.
        hosts: how many trials ended on each machine.
        slots: how many run at once.
    """

    recorded: int
    ended: tuple[Ended, ...]
    hosts: Mapping[str, int]
    slots: int

    def summary(self, metric: str) -> str:
        """One line: how many trials ended how, the best so far, and the time left."""
        if self.outcome is not None and self.recorded and not self.trials:
            return f"{count(self.recorded, 'trial')} recorded already: nothing was to run"
        return super().summary(metric)

    def machines(self) -> str:
        """One line: the machines, and how many trials ended on each."""
        each = ", ".join(f"{host} {ended}" for host, ended in sorted(self.hosts.items()))
        return f"{count(self.slots, 'slot')} on {count(len(self.hosts), 'machine')}, trials ended on each: {each}"

    def footer(self, metric: str) -> str:
        """What stands below the live table: the machines, and the summary."""
        return f"{self.machines()}\n{self.summary(metric)}"


def watch(results: Path, sweep: str, *, metric: str, mode: str, since: float, now: float) -> Watched | None:
    """What is recorded by the last command that began after `since`; None if none did. Times are Unix times.

    Other sweeps' rows of `trials` say which ones that command need not run.

    Raises:
        ResultsError: if the records cannot be read.
    """
    plan, runs, epochs = (read(results, name, sweep, set_aside=False) for name in ("plan", "runs", "epochs"))
    trials = read(results, "trials", set_aside=False)  # of all sweeps: one that another has trained is not run
    began = datetime.fromtimestamp(since, UTC)
    starts = runs.filter(pl.col("event") == "start", pl.col("at") >= began).sort("at").to_dicts()
    if not starts:
        return None
    run = starts[-1]
    last = runs.filter(pl.col("event") == "end", pl.col("run") == run["run"])["outcome"].to_list()
    asked = {row["trial_id"]: row for row in plan.filter(pl.col("run") == run["run"]).to_dicts()}
    own_last = last_ends(trials).sort(pl.col("sweep") == sweep, maintain_order=True)
    ends = {row["trial_id"]: row for row in own_last.to_dicts()}
    wanted = {trial: row for trial, row in asked.items() if not _known(row, ends.get(trial), run)}
    own = epochs.filter(pl.col("at") >= run["at"], pl.col("trial_id").is_in(list(wanted)))
    newest = {row["trial_id"]: row for row in own.sort("attempt", "epoch").to_dicts()}
    over = {t for t, end in ends.items() if t in wanted and end["run"] == run["run"] and not _later(newest.get(t), end)}
    mine = trials.filter(pl.col("run") == run["run"], pl.col("trial_id").is_in(list(wanted)))
    ended = [_ended(row, ends, over, metric) for row in mine.sort("ended_at", maintain_order=True).to_dicts()]
    reached = {trial: row["epoch"] for trial, row in newest.items()}
    to_come = sum(row["epochs"] - reached.get(trial, 0) for trial, row in wanted.items() if trial not in over)
    at_work = Counter(end.host for end in ended if end.host is not None)
    return Watched(
        trials=len(wanted),
        recorded=len(asked) - len(wanted),
        running=tuple(_running(wanted[t], row, own, metric) for t, row in newest.items() if t not in over),
        ended=tuple(ended),
        outcomes=Counter(end.outcome for end in ended if end.final),
        best=_best(own, wanted, metric, mode),
        hosts=dict.fromkeys(json.loads(run["hosts_json"] or "[]"), 0) | dict(at_work),
        slots=run["slots"] or 0,
        epochs_done=own.height,
        epochs_planned=own.height + to_come,
        start_time=run["at"].timestamp(),
        now=now,
        outcome=last[-1] if last else None,
    )


def _known(asked: Row, end: Row | None, run: Row) -> bool:
    """Whether a trial had ended before the command, which therefore does not run it."""
    if end is None or end["run"] == run["run"] or end["outcome"] == "failed":
        return False
    return bool(end["outcome"] != "completed" or end["epochs"] >= asked["epochs"])


def _later(epoch: Row | None, end: Row) -> bool:
    """Whether a trial has made an epoch since it ended, so that it runs again."""
    if epoch is None:
        return False
    return bool(epoch["attempt"] > end["attempt"] or (end["ended_at"] is not None and epoch["at"] > end["ended_at"]))


def _running(asked: Row, epoch: Row, own: pl.DataFrame, metric: str) -> RunningRow:
    rungs = own.filter(pl.col("trial_id") == epoch["trial_id"], pl.col("rung").is_not_null()).sort("attempt", "epoch")
    return RunningRow(
        name=_name(asked),
        seed=asked["seed"],
        epoch=epoch["epoch"],
        epochs=asked["epochs"],
        value=epoch[metric],
        rung=rung_text(rungs["rung"][-1], rungs["cutoff"][-1]) if rungs.height else "",
    )


def _ended(row: Row, ends: Mapping[str, Row], over: set[str], metric: str) -> Ended:
    key = (row["trial_id"], row["attempt"], row["continuation"])
    end = ends[row["trial_id"]]
    return Ended(
        key=key,
        label=_label(row),
        outcome=row["outcome"],
        epochs=row["epochs"] or 0,
        value=row[f"last_{metric}"],
        host=row["host"],
        why=f"{row['error_type']}: {first_line(row['error_message'] or '')}"
        if row["error_type"]
        else row["reason"] or "",
        final=row["trial_id"] in over and key[1:] == (end["attempt"], end["continuation"]),
    )


def _best(own: pl.DataFrame, asked: Mapping[str, Row], metric: str, mode: str) -> tuple[float, str] | None:
    sound = own.filter(pl.all_horizontal(pl.col(metric, "loss", "val_loss").is_finite().fill_null(value=True)))
    sound = sound.drop_nulls(metric)
    if sound.is_empty():
        return None
    row = sound.sort(pl.col(metric) * -sign(mode), maintain_order=True).row(0, named=True)
    return row[metric], f"{_label(asked[row['trial_id']])}, epoch {row['epoch']}"


def _label(row: Row) -> str:
    """What a person calls a trial."""
    fold = "" if row["fold"] is None else f", fold {row['fold'] + 1}"
    return f"{_name(row)}, seed {row['seed']}{fold}"


def _name(row: Row) -> str:
    """The arm, and which candidate of it."""
    candidate = row.get("candidate")
    return str(row["arm"]) if candidate is None else f"{row['arm']} candidate {candidate}"
