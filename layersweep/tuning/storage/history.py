"""What earlier commands recorded, of this sweep and of others, as far as a new command needs it.

The records are the only state: a command reads them and does what is missing. What has completed (with as many epochs),
diverged, is hopeless or would be stopped now is read, also where another sweep trained it. The rest is trained: failed
trials once more, unfinished ones from their checkpoint. A trial that completed fewer epochs than are asked for now has
no checkpoint any more, so it begins at epoch 1, and its recorded epochs are compared and dropped.
"""

import contextlib
import functools
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from layersweep.records.questions import TUNING
from layersweep.records.read import read
from layersweep.records.spans import Span, merge_spans, training_spans
from layersweep.records.tables import REFUSAL_TYPES, STOPPED_ON_REQUEST, TIME_CLASSES
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.candidate_limits import epoch_flops
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage.recorded_attempt import (
    ALONGSIDE,
    EPOCH_SECONDS,
    METRICS,
    RecordedAttempt,
    known,
    result_columns,
    stop_columns,
)
from trainables import config as domains
from trainables.errors import ConfigError

_NO_DECISIONS: Mapping[int, Decision] = {}


@dataclass(frozen=True, kw_only=True)
class RecordedEpoch:
    """One recorded epoch as a scheduler saw it; `value` is None where a loss was NaN or infinite."""

    trial_id: str
    epoch: int
    value: float | None
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A candidate that was refused: the error, the FLOPs of its forward pass for one image, and its training images."""

    error: Error
    flops: int
    train_images: int


class History:
    """The records below a results folder, read once.

    Args:
        results: the results folder.
        sweep: the sweep that is to run; the same trials of other sweeps count as well.

    Raises:
        ResultsError: if the results cannot be read.
    """

    def __init__(self, results: Path, sweep: Sweep) -> None:
        self._results, self._sweep = results, sweep
        self._read = functools.partial(read, results)
        self._trials = self._read("trials").sort("attempt", "continuation", maintain_order=True)
        columns = ("sweep", "trial_id", "attempt", "epoch", "sequence", "at", "decision", "rung", "cutoff", *METRICS)
        epochs = self._read("epochs", columns=columns)
        self._epochs = epochs.unique(["trial_id", "attempt", "epoch"], keep="first", maintain_order=True)

    @cached_property
    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        """The ends of each trial in their order."""
        columns = [
            *("sweep", "trial_id", "attempt", "continuation", "outcome", "epochs", "epochs_asked", "reason"),
            "error_type",
        ]
        return self._trials.select(columns).rows_by_key("trial_id", named=True)

    @cached_property
    def _by_trial(self) -> dict[Any, pl.DataFrame]:
        return self._epochs.partition_by("trial_id", as_dict=True)

    @cached_property
    def _alongside(self) -> dict[str, dict[tuple[str, int], frozenset[int]]]:
        """For each table of `ALONGSIDE` the epochs that have rows there, by trial and attempt."""
        epochs_by_table: dict[str, dict[tuple[str, int], frozenset[int]]] = {}
        for table in ALONGSIDE:
            keys = self._read(table, columns=("trial_id", "attempt", "epoch")).unique()
            groups = keys.group_by("trial_id", "attempt").agg("epoch").iter_rows()
            epochs_by_table[table] = {(trial_id, attempt): frozenset(epochs) for trial_id, attempt, epochs in groups}
        return epochs_by_table

    @cached_property
    def _highest_attempt(self) -> dict[str, int]:
        """The highest attempt of each trial with rows in `ALONGSIDE`, which a kill may have left without an epoch."""
        return dict(sorted(itertools.chain(*self._alongside.values())))  # of each trial its last pair stays

    def attempt(self, trial_id: str) -> RecordedAttempt:
        """The latest attempt of a trial, which a new training continues."""
        rows = self._rows.get(trial_id, [])
        epochs = self._by_trial.get((trial_id,))
        attempts = [row["attempt"] for row in rows] + ([] if epochs is None else epochs["attempt"].to_list())
        attempt = max(attempts, default=0)
        return RecordedAttempt(
            attempt=attempt,
            continuation=1 + max((row["continuation"] for row in rows if row["attempt"] == attempt), default=-1),
            fresh=1 + max(attempt, self._highest_attempt.get(trial_id, 0)),
            epochs=self._metrics(trial_id, attempt),
            alongside={t: e.get((trial_id, attempt), frozenset()) for t, e in self._alongside.items()},
        )

    def _metrics(self, trial_id: str, attempt: int) -> dict[int, dict[str, float]]:
        epochs = self._by_trial.get((trial_id,))
        rows = [] if epochs is None else epochs.filter(attempt=attempt).to_dicts()
        return {row["epoch"]: known(row) for row in rows}

    def ending(
        self, trial: Trial, *, decisions: Mapping[int, Decision] = _NO_DECISIONS, keep_hopeless: bool = False
    ) -> Ending | None:
        """How the trial ended, if it need not run; None if it has to be trained, or to continue.

        Args:
            trial: what is asked for now.
            decisions: what ASHA decides of its recorded epochs now.
            keep_hopeless: whether a trial that was ended at chance continues.
        """
        rows, epochs = self._rows.get(trial.trial_id, []), self._by_trial.get((trial.trial_id,))
        if not rows or (epochs is not None and rows[-1]["attempt"] < epochs["attempt"].max()):
            return None
        if self._is_requested_stop(rows[-1], trial):
            value = self._metrics(trial.trial_id, rows[-1]["attempt"]).get(rows[-1]["epochs"], {})
            return Ending(
                outcome="stopped", epoch=rows[-1]["epochs"], value=value.get(self._sweep.metric), requested=True
            )
        return None if epochs is None else self._trained_ending(trial, rows, decisions, keep_hopeless=keep_hopeless)

    def _trained_ending(
        self, trial: Trial, rows: Sequence[Mapping[str, Any]], decisions: Mapping[int, Decision], *, keep_hopeless: bool
    ) -> Ending | None:
        """How a trial with epochs ended, if it need not run, unless a person stopped it."""
        attempt, outcome, reached = (rows[-1][name] for name in ("attempt", "outcome", "epochs"))
        metrics = self._metrics(trial.trial_id, attempt)

        def at_epoch(epoch: int, outcome: str) -> Ending | None:
            if any(e not in metrics for e in range(1, epoch + 1)):
                return None  # some were in a damaged part: they are trained again
            return Ending(outcome=outcome, epoch=epoch, value=metrics[epoch].get(self._sweep.metric) if epoch else None)

        completed = [r for r in rows if r["attempt"] == attempt and r["outcome"] == "completed"]
        if any(row["epochs"] >= trial.epochs for row in completed):  # whatever happened later, with more epochs
            return at_epoch(trial.epochs, "completed")
        if outcome == "failed":
            return None
        if outcome in ("diverged", "hopeless") and (not keep_hopeless or reached >= trial.epochs):
            return at_epoch(reached, outcome)
        stops = [epoch for epoch, decision in decisions.items() if decision.action == "stop" and epoch <= reached]
        return at_epoch(min(stops), "stopped") if stops else None

    def _is_requested_stop(self, row: Mapping[str, Any], trial: Trial) -> bool:
        """Whether this end says that a person stopped the trial, and the sweep asks for no other training now.

        A stop by another sweep's person holds for that sweep only. More epochs than were asked for then are another
        training, and so are fewer than it has had.
        """
        is_own = row["sweep"] == self._sweep.name and row["reason"] == STOPPED_ON_REQUEST
        return bool(is_own and row["epochs"] < trial.epochs <= (row["epochs_asked"] or 0))

    def lacks(self, trial_id: str, metric: str) -> bool:
        """Whether a trial has recorded epochs, and none of them this metric: an older version recorded them."""
        epochs = self._by_trial.get((trial_id,))
        return epochs is not None and epochs[metric].is_null().all()

    def missing_row(self, trial: Trial, ending: Ending, decision: Decision) -> dict[str, Any] | None:
        """The row to add if the present flags end a trial otherwise than its last recorded row says, else None.

        For example, a trial that completed under earlier flags may be stopped by a longer screening now. The row is
        as if it had been stopped there: no later numbers, no seconds.
        """
        last = self._rows[trial.trial_id][-1]
        if ending.outcome != "stopped" or (last["outcome"] == "stopped" and last["epochs"] == ending.epoch):
            return None
        key = {name: last[name] for name in ("attempt", "continuation")}
        last_row = self._trials.filter(trial_id=trial.trial_id, **key).row(-1, named=True)
        later = ("seconds_", "latency_", "last_", "best_", "warning", "sweep")
        row = {name: value for name, value in last_row.items() if value is not None and not name.startswith(later)}
        metrics = self._metrics(trial.trial_id, last["attempt"])
        row |= result_columns({epoch: metrics[epoch] for epoch in range(1, ending.epoch + 1)})
        return row | {
            "continuation": last["continuation"] + 1,
            "outcome": "stopped",
            "reason": decision.stop_reason(self._sweep.metric),
            "epochs_asked": trial.epochs,
            "rung": decision.rung,
            "cutoff": decision.cutoff,
        }

    def stop_at_recorded_end(self, trial: Trial, reason: str) -> tuple[Ending, dict[str, Any] | None]:
        """The ending of a trial that is not continued, and the row to add unless its last row says the same.

        A trial without an epoch gets no row: it has not begun.
        """
        attempt = self.attempt(trial.trial_id)
        row = stop_columns(attempt, trial.epochs, reason)
        reached, value = row["epochs"], row.get(f"last_{self._sweep.metric}")
        rows = reversed(self._rows.get(trial.trial_id, []))
        last = next((r for r in rows if r["attempt"] == attempt.attempt), None)
        if last is not None and last["outcome"] != "completed" and (last["epochs"] or 0) >= attempt.last:
            refused = last["error_type"] in REFUSAL_TYPES
            return Ending(outcome=last["outcome"], epoch=reached, value=value, refused=refused), None
        return Ending(outcome="stopped", epoch=reached, value=value), row if reached else None

    def refusal(self, trial_id: str) -> Refusal | None:
        """The refusal of a candidate by an estimate, if that is its last recorded end."""
        rows = self._rows.get(trial_id, [])
        if not rows or rows[-1]["error_type"] not in REFUSAL_TYPES or self.attempt(trial_id).last:
            return None
        row = self._trials.filter(trial_id=trial_id).row(-1, named=True)
        error = Error(type=row["error_type"], message=row["error_message"] or "")
        return Refusal(error=error, flops=row["flops"] or 0, train_images=row["train_images"] or 0)

    @cached_property
    def flops_per_second(self) -> float | None:
        """The highest rate of a training epoch of this sweep, counted as the record builder does; None without one."""
        columns = ("sweep", "trial_id", "loss", "val_loss", "seconds_build", "seconds_train")
        epochs = self._read("epochs", self._sweep.name, columns=columns)
        without_tracing = (pl.col("seconds_build") == 0) & (pl.col("seconds_train") > 0)
        sound = epochs.filter(without_tracing, *(pl.col(name).is_finite() for name in ("loss", "val_loss")))
        sizes = (
            self._trials.filter(sweep=self._sweep.name)
            .select("trial_id", "flops", "train_images")
            .drop_nulls()
            .unique("trial_id")
        )
        images = (pl.col("flops") * pl.col("train_images") / pl.col("seconds_train")).max()
        fastest = sound.join(sizes, on="trial_id").select(images).item()
        return None if fastest is None else epoch_flops(1, 1) * float(fastest)

    def spans(self, trial_ids: Iterable[str]) -> list[Span]:
        """When any of these trials ran in this sweep, in Unix time (`layersweep.records.spans.training_spans`)."""
        selected = pl.col("sweep") == self._sweep.name, pl.col("trial_id").is_in(list(trial_ids))
        ended_spans: dict[str, list[Span]] = {}
        ends = self._trials.filter(*selected).select("trial_id", "started_at", "ended_at").drop_nulls()
        for trial_id, start, end in ends.iter_rows():
            ended_spans.setdefault(trial_id, []).append((start.timestamp(), end.timestamp()))
        runs = self._read("runs", self._sweep.name, columns=("event", "at")).filter(event="start")
        commands = sorted(at.timestamp() for at in runs["at"])
        seconds = [f"seconds_{name}" for name in EPOCH_SECONDS]
        epochs = self._read("epochs", self._sweep.name, columns=("sweep", "trial_id", "at", *seconds)).filter(*selected)
        epoch_times: dict[str, list[tuple[float, float]]] = {}
        for row in epochs.drop_nulls("at").to_dicts():
            duration = sum(row[name] or 0.0 for name in seconds)
            epoch_times.setdefault(row["trial_id"], []).append((row["at"].timestamp(), duration))
        ids = ended_spans.keys() | epoch_times.keys()
        spans = (training_spans(ended_spans.get(i, ()), epoch_times.get(i, ()), commands) for i in ids)
        return list(merge_spans(itertools.chain(*spans)))

    def epochs_in_order(self, trial_ids: Iterable[str]) -> list[RecordedEpoch]:
        """The recorded epochs of these trials in the order in which drivers saw them, each once.

        A sweep's own order is its sequence, whatever the clock did; the clock places epochs of other sweeps between.
        """
        epochs = self._epochs.filter(pl.col("trial_id").is_in(list(trial_ids)))
        of_this_sweep = pl.col("sweep") == self._sweep.name
        by_sweep = epochs.sort(~of_this_sweep, "sweep", "sequence", maintain_order=True)
        in_order = by_sweep.with_columns(pl.col("at").cum_max().over("sweep")).sort("at", maintain_order=True)
        unique = in_order.unique(["trial_id", "epoch"], keep="first", maintain_order=True)
        return [_recorded_epoch(row, self._sweep.metric) for row in unique.to_dicts()]

    def sequence(self) -> int:
        """The number of the next epoch that a driver of this sweep sees."""
        last = self._epochs.filter(sweep=self._sweep.name)["sequence"].max()
        return 0 if last is None else int(str(last)) + 1

    def candidates(self, arm: str, config_type: type[domains.Dataclass]) -> list[tuple[str, int, domains.Dataclass]]:
        """The configurations that a tuned arm's search drew, with their trials' ids and numbers, in their order.

        A configuration that its family's present Config does not allow is left out.
        """
        columns = ("trial_id", "arm", "question", "candidate", "config_json")
        plan = self._read("plan", self._sweep.name, columns=columns)
        plan = plan.filter(question=TUNING, arm=arm).drop_nulls("config_json")
        unique = plan.unique("trial_id", keep="first", maintain_order=True).sort("candidate", maintain_order=True)
        candidates = []
        for trial_id, number, text in unique.select("trial_id", "candidate", "config_json").iter_rows():
            with contextlib.suppress(ConfigError):
                candidates.append((str(trial_id), int(number), domains.make(config_type, json.loads(text))))
        return candidates

    def candidate_seeds(self, arm: str) -> set[int]:
        """The seeds of the recorded candidates of a tuned arm."""
        plan = self._read("plan", self._sweep.name, columns=("question", "arm", "seed"))
        return set(plan.filter(question=TUNING, arm=arm)["seed"].drop_nulls())

    def rows_until(self, table: str, trial_id: str, attempt: int, epoch: int) -> list[dict[str, Any]]:
        """An attempt's rows of a table, to its epoch, without the sweep's name; read from disk."""
        rows = self._read(table).filter(pl.col("epoch") <= epoch, trial_id=trial_id, attempt=attempt)
        return rows.drop("sweep").unique(maintain_order=True).to_dicts()

    def other_meaning(self, meaning: int) -> int | None:
        """The meaning of the training code that this sweep was last run with, if it is another one."""
        runs = self._read("runs", self._sweep.name, columns=("versions_json",))
        meanings = [json.loads(text).get("meaning") for text in runs["versions_json"].drop_nulls()]
        last = next((int(m) for m in reversed(meanings) if m is not None), None)
        return last if last is not None and last != meaning else None

    def seconds_per_image(self, family: str, dataset: str, image_size: int) -> float | None:
        """The median seconds of a slot for one training image, overhead included; None if no such trial is recorded.

        It is the median over trials of that family on that data set, with images resized to `image_size` (0: not).
        """
        return self._rates.get((family, dataset, image_size))

    @cached_property
    def _rates(self) -> dict[tuple[str, str, int], float]:
        """The seconds for one training image, by family, data set and size of images."""
        has_size = "image_size" in self._trials.columns
        size = pl.col("image_size").fill_null(0) if has_size else pl.lit(0).alias("image_size")
        first_ends = self._trials.filter(pl.col("epochs") > 0, pl.col("continuation") == 0)
        seconds = pl.sum_horizontal(f"seconds_{name}" for name in TIME_CLASSES)
        rate = seconds / (pl.col("epochs") * pl.col("train_images"))
        rates = first_ends.select(pl.col("family", "dataset").cast(pl.String), size, rate.alias("rate"))
        medians = rates.drop_nulls().group_by("family", "dataset", "image_size").agg(pl.col("rate").median())
        return {(family, dataset, size): rate for family, dataset, size, rate in medians.rows()}


def _recorded_epoch(row: Mapping[str, Any], metric: str) -> RecordedEpoch:
    finite = all(abs(row[name]) < float("inf") for name in ("loss", "val_loss"))  # a NaN compares false
    decision = Decision(action=row["decision"], rung=row["rung"], cutoff=row["cutoff"])
    return RecordedEpoch(
        trial_id=row["trial_id"], epoch=row["epoch"], value=row[metric] if finite else None, decision=decision
    )
