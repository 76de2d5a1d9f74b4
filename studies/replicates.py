"""From the recorded tables to one row a replicate: what an arm's trial with a seed and fold reached at equal epochs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from records.tables import COMPARISON, EPOCHS, SCREENING, TIME_CLASSES, TRIALS

REPLICATE: Final = ("arm", "seed", "fold")
"""What makes a replicate. A screening's survivors are compared on fresh seeds; what screened them does not count."""
BAD_ENDS: Final = ("diverged", "hopeless", "failed")
"""The outcomes of trials that are counted, and left out of every mean."""

_SETTING: Final = ("family", "dataset", "data_fingerprint", "train_images", "validation_images", "precision")
_ASKED: Final = "epochs_planned"
_SECONDS: Final = tuple(f"seconds_{name}" for name in TIME_CLASSES)
_EPOCH_SECONDS: Final = tuple(name for name in EPOCHS.schema.names if name.startswith("seconds_"))


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """What a comparison is made of.

    Attributes:
        epoch: the equal epochs: what most of the compared trials were asked for.
        rows: one row a replicate: arm, seed, fold, trial_id, attempt, outcome (completed, stopped, diverged, hopeless,
            failed or unfinished, seen at `epoch`; or "screening": what an arm was screened on before it was compared),
            done (epochs reached, at most `epoch`), accuracy (at `epoch`, completed only), stop_accuracy, rung, cutoff,
            spent (epochs), seconds (of the whole attempt), and the columns of `trials`.
        curves: arm, seed, fold, epoch, val_accuracy (finite ones), seconds (cumulative); at most `epoch` epochs.
        left_out: why planned trials are not compared, in words.
    """

    epoch: int
    rows: pl.DataFrame
    curves: pl.DataFrame
    left_out: tuple[str, ...]


def replicates(plan: pl.DataFrame, trials: pl.DataFrame, epochs: pl.DataFrame) -> Replicates:
    """Joins the tables of one question; only the latest attempt of a trial counts, and a shared trial counts once.

    Where an arm was planned twice with a seed and fold (other images, another configuration), the later plan counts;
    trials on other data, or of another configuration than their arm's latest one, are left out.
    """
    plan = (plan if plan.height else _plan_of(trials)).with_row_index("planned")
    trials, epochs = latest_attempts(trials, epochs)
    if COMPARISON in plan["question"]:
        plan = plan.filter(pl.col("question").is_in([COMPARISON, SCREENING]))
    plan = plan.unique(REPLICATE, keep="last", maintain_order=True)
    planned = plan.select("planned", "run", *REPLICATE, "trial_id", "question", pl.col("epochs").alias(_ASKED))
    facts = trials.drop("sweep", "run", *REPLICATE, "question", strict=False)
    joined, left_out = _one_setting(planned.join(facts, on="trial_id", how="left", maintain_order="left"))
    at = _asked(joined)
    joined = joined.drop(_ASKED)
    curves = _curves(joined, epochs, at)
    rows = _seen_at(
        at, joined.drop("attempt").join(_reached(epochs, at), on="trial_id", how="left", maintain_order="left")
    )
    rows = _without_screening(rows)
    return Replicates(epoch=at, rows=rows, curves=curves, left_out=left_out)


def latest_attempts(trials: pl.DataFrame, epochs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One row for each trial, and its epochs, both of its latest attempt; in whatever order they were recorded.

    The row is that of the attempt's last end, with the seconds of all its ends. An attempt that runs for the first time
    has epochs, and no row yet.
    """
    both = pl.concat([trials.select("trial_id", "attempt"), epochs.select("trial_id", "attempt")])
    last = both.group_by("trial_id").agg(pl.col("attempt").max())
    trials, epochs = (
        table.join(last, on=["trial_id", "attempt"], how="semi", maintain_order="left") for table in (trials, epochs)
    )
    ends = trials.unique(["trial_id", "continuation"], keep="last").sort("trial_id", "continuation")
    summed = [pl.col(name).sum().over("trial_id") for name in _SECONDS]
    return (
        ends.with_columns(summed).unique("trial_id", keep="last", maintain_order=True),
        epochs.unique(["trial_id", "epoch"], keep="last").sort("trial_id", "epoch"),
    )


def configuration_keys(trials: pl.DataFrame) -> list[str]:
    """The columns of `trials` that hold configuration keys."""
    fixed = set(TRIALS.schema.names)
    return [name for name in trials.columns if name not in fixed]


def _plan_of(trials: pl.DataFrame) -> pl.DataFrame:
    """A plan made up from the trials, for records that have none."""
    return trials.select("run", "question", *REPLICATE, "trial_id", pl.col("epochs_asked").alias("epochs"))


def _asked(joined: pl.DataFrame) -> int:
    """The epochs that most ended replicates were asked for, or if none has ended, all; the greater one of two."""
    ended = joined.filter(pl.col("outcome").is_not_null())
    asked = (ended if ended.height else joined).drop_nulls(_ASKED)
    counts = asked.group_by(_ASKED).len().sort("len", _ASKED, descending=True)
    return int(counts[_ASKED][0]) if counts.height else 0


def _one_setting(joined: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Keeps the trials that share the latest plan's data and their arm's latest configuration."""
    settings = [tuple(row) for row in joined.select(_SETTING).rows()]
    configs = [_canonical(text) for text in joined["config_json"]]
    ended = joined["outcome"].is_not_null().to_list()
    newest_run = joined["run"][-1] if joined.height else None
    in_newest = [i for i, run in enumerate(joined["run"]) if run == newest_run and ended[i]]
    pool = in_newest or [i for i, end in enumerate(ended) if end]
    setting = max((settings[i] for i in pool), key=[settings[i] for i in pool].count, default=None)
    other_data = [ended[i] and settings[i] != setting for i in range(joined.height)]
    config: Mapping[str, str | None] = {
        arm: configs[i] for i, arm in enumerate(joined["arm"]) if ended[i] and not other_data[i]
    }
    other_config = [ended[i] and not other_data[i] and configs[i] != config[arm] for i, arm in enumerate(joined["arm"])]
    said = [
        (sum(other_data), "on other data (dataset, images, split or precision) than the latest run's"),
        (sum(other_config), "of an earlier configuration of their arm"),
    ]
    keep = [not (a or b) for a, b in zip(other_data, other_config, strict=True)]
    kept = joined.filter(pl.Series(keep, dtype=pl.Boolean))
    return kept, tuple(f"{n} trial{'s' * (n > 1)} left out: {why}" for n, why in said if n)


def _canonical(config_json: str | None) -> str | None:
    """A configuration without what may differ between replicates."""
    if config_json is None:
        return None
    config = json.loads(config_json)
    if not isinstance(config, dict):
        return config_json
    return json.dumps({k: v for k, v in config.items() if k not in ("seed", "fold", "epochs")}, sort_keys=True)


def _reached(epochs: pl.DataFrame, at: int) -> pl.DataFrame:
    """For each trial: its attempt, epochs done and recorded, the accuracy at `at`, seconds in epochs."""
    finite = pl.col("val_accuracy").is_finite().fill_null(value=False)
    spent = pl.sum_horizontal([pl.col(name).fill_null(0) for name in _EPOCH_SECONDS])
    return epochs.group_by("trial_id").agg(
        pl.col("attempt").max(),
        pl.col("epoch").filter(finite & (pl.col("epoch") <= at)).max().fill_null(0).alias("done"),
        pl.col("val_accuracy").filter(finite & (pl.col("epoch") == at)).max().alias("at"),
        pl.col("epoch").max().alias("recorded"),
        pl.struct("epoch", "val_accuracy", spent.alias("seconds")).alias("history"),
    )


def _seen_at(at: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Outcomes as they are at `at` epochs: what happened to a trial later does not count.

    A trial with epochs beyond its last end is being continued: it is unfinished, unless it is seen at `at` already.
    """
    continued = (pl.col("recorded") > pl.col("epochs")).fill_null(value=False)
    went_on = pl.col("epochs_asked") > at
    completed = (
        pl.col("at").is_not_null() & ((pl.col("outcome") == "completed") | went_on) & pl.col("outcome").is_not_null()
    )
    no_value = (pl.col("outcome") == "completed") & pl.col("at").is_null()
    outcome = (
        pl.when(completed)
        .then(pl.lit("completed"))
        .when(no_value & (pl.col("epochs") >= at))
        .then(pl.lit("diverged"))
        .when(no_value | continued | pl.col("outcome").is_null())
        .then(pl.lit("unfinished"))
        .otherwise(pl.col("outcome"))
    )
    stopped_at = pl.coalesce("rung", "epochs")
    seconds = [
        _seconds(*row)
        for row in rows.select(
            pl.sum_horizontal([pl.col(n).fill_null(0) for n in _SECONDS]), "epochs", "history"
        ).rows()
    ]
    rows = rows.with_columns(
        pl.Series("seconds", seconds, pl.Float64),
        pl.max_horizontal("epochs", "recorded").fill_null(0).alias("spent"),
        pl.col("done").fill_null(0),
        stopped_at.alias("rung"),
        outcome.alias("outcome"),
    )
    stops = pl.Series("stop_accuracy", [_value_at(h, r) for h, r in rows.select("history", "rung").rows()], pl.Float64)
    accuracy = pl.when(pl.col("outcome") == "completed").then(pl.col("at")).alias("accuracy")
    return rows.with_columns(accuracy, stops).drop("at", "recorded", "history").sort(REPLICATE)


def _without_screening(rows: pl.DataFrame) -> pl.DataFrame:
    """Lets a screening count only for the arms that it stopped, once there is a comparison."""
    compared = rows.filter(pl.col("question") == COMPARISON)["arm"].to_list()
    if not compared:
        return rows
    screened = pl.col("question") == SCREENING
    survived = pl.col("arm").is_in(compared)
    outcome = (
        pl.when(screened & survived)
        .then(pl.lit(SCREENING))
        .when(screened & (pl.col("outcome") == "completed"))
        .then(pl.lit("unfinished"))
        .otherwise("outcome")
    )
    return rows.with_columns(outcome.alias("outcome")).with_columns(
        pl.when(pl.col("outcome") == "completed").then("accuracy").alias("accuracy")
    )


def _seconds(ended: float, epochs: int | None, history: list[dict[str, float]] | None) -> float:
    """The seconds of an attempt's ends, and of the epochs that are recorded beyond the last of them."""
    after = (epochs or 0) if ended else 0
    return ended + sum(row["seconds"] for row in history or [] if row["epoch"] > after)


def _value_at(history: list[dict[str, float]] | None, epoch: int | None) -> float | None:
    return next((row["val_accuracy"] for row in history or [] if row["epoch"] == epoch), None)


def _curves(joined: pl.DataFrame, epochs: pl.DataFrame, at: int) -> pl.DataFrame:
    seconds = pl.sum_horizontal([pl.col(name).fill_null(0) for name in _EPOCH_SECONDS])
    within = epochs.filter(pl.col("epoch") <= at).sort("trial_id", "epoch")
    summed = within.select("trial_id", "epoch", "val_accuracy", seconds.cum_sum().over("trial_id").alias("seconds"))
    finite = summed.filter(pl.col("val_accuracy").is_finite().fill_null(value=False))
    return joined.select(*REPLICATE, "trial_id").join(finite, on="trial_id").sort(*REPLICATE, "epoch")
