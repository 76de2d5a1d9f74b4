"""From the recorded tables to one row a replicate: what an arm's trial with a seed and fold reached at equal epochs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import polars as pl

from layersweep.records.questions import COMPARISON, FIRST_PHASE, SCREENING, TUNING
from layersweep.records.tables import EPOCHS, TIME_CLASSES
from layersweep.studies.statistics.short_names import brief
from layersweep.words import count

_T = TypeVar("_T")

REPLICATE: Final = ("arm", "seed", "fold")
"""What makes a replicate. A screening's survivors are compared on fresh seeds; what screened them does not count."""
BAD_ENDS: Final = ("diverged", "hopeless", "failed")
"""The outcomes of trials that are counted, and left out of every mean."""

_TUNED: Final = " tuned"
_SETTING: Final = ("dataset", "data_fingerprint", "precision")
_SIZES: Final = ("train_images", "validation_images")
_PART: Final = frozenset({"classes", "train_share", "validation_share"})
"""Keys of a configuration that change the sizes of an arm's own sets."""
_ASKED: Final = "epochs_planned"
_IS_TUNING: Final = (pl.col("question") == TUNING).fill_null(value=False)
SECONDS: Final = tuple(f"seconds_{name}" for name in TIME_CLASSES)
"""The columns of `trials` that say what an end's seconds were spent on."""
_OF_EPOCHS: Final = tuple(name for name in EPOCHS.schema.names if name.startswith("seconds_"))
EPOCH_SECONDS: Final = pl.sum_horizontal(pl.col(_OF_EPOCHS).fill_null(0))
"""The seconds of an epoch."""
TIMES: Final = "\N{MULTIPLICATION SIGN}"
"""The unit of a latency that was timed beside a fixed computation, of which it is so many times the time."""

TRAINING: Final = ("seconds_train", "seconds_validate")
"""The columns of `epochs` that say how long an epoch takes as it is: nothing that is read or made once."""
EPOCH_COLUMNS: Final = ("trial_id", "attempt", "epoch", "val_accuracy", *_OF_EPOCHS)
"""What is read of `epochs`."""


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """What a comparison is made of.

    Attributes:
        epoch: the equal epochs: what most of the compared trials were asked for.
        rows: one row a replicate: arm (by its brief name), seed, fold, trial_id, attempt, outcome (completed, stopped,
            diverged, hopeless, failed or unfinished, seen at `epoch`; or "screening": what an arm was screened on
            before it was compared), done (epochs reached, at most `epoch`), latency, latency_unit, accuracy (at
            `epoch`, completed only), stop_accuracy, rung, cutoff, spent (epochs), seconds (of the whole attempt), and
            the columns of `trials`.
        tuning: one row a candidate of an arm's tuning, with `candidate`, `last` (its last finite accuracy) and the
            columns of `rows`, each seen at the epochs that were asked of it. None of them is in `rows` or `curves`.
        curves: arm, seed, fold, epoch, val_accuracy (finite ones), seconds (cumulative); at most `epoch` epochs.
        left_out: why planned trials are not compared, in words.
    """

    epoch: int
    rows: pl.DataFrame
    tuning: pl.DataFrame
    curves: pl.DataFrame
    left_out: tuple[str, ...]


def replicates(plan: pl.DataFrame, trials: pl.DataFrame, epochs: pl.DataFrame) -> Replicates:
    """Joins the tables of one question; only the latest attempt of a trial counts, and a shared trial counts once.

    Where an arm was planned twice with a seed and fold (other images, another configuration), the later plan counts;
    trials on other data, or of another configuration than their arm's latest one, are left out.
    """
    plan = (plan if plan.height else _plan_of(trials)).with_row_index("planned")
    plan = plan.filter((pl.col("question") != FIRST_PHASE).fill_null(value=True))
    trials, epochs = latest_attempts(trials, epochs)
    tuning = plan.filter(_IS_TUNING).unique(["arm", "trial_id"], keep="last")
    plan = plan.filter(~_IS_TUNING)
    if COMPARISON in plan["question"]:
        plan = plan.filter(pl.col("question").is_in([COMPARISON, SCREENING]))
    plan = pl.concat([plan.unique(REPLICATE, keep="last"), tuning]).sort("planned")
    joined, left_out = _one_setting(_with_facts(plan, trials))
    searched, joined = joined.filter(_IS_TUNING), joined.filter(~_IS_TUNING).drop("candidate")
    at = _asked(joined if joined.height else searched)
    rows = _without_screening(_seen_at(at, joined, epochs).drop("last"))
    tuning, curves = _each_at_its_end(searched, epochs), _curves(joined, epochs, at)
    called = pl.col("arm").replace(brief([*dict.fromkeys([*rows["arm"], *tuning["arm"]])]))
    return Replicates(
        epoch=at,
        rows=rows.with_columns(called, *latency(rows)),
        tuning=tuning.with_columns(called),
        curves=curves.with_columns(called),
        left_out=left_out,
    )


def latency(rows: pl.DataFrame) -> tuple[pl.Expr, pl.Expr]:
    """`latency` of one image and its `latency_unit`: times of a fixed computation, or ms for older rows."""
    if of_medians(rows):
        return pl.col("latency_ms_median").alias("latency"), pl.lit("ms").alias("latency_unit")
    return pl.col("latency_ratio").alias("latency"), pl.lit(TIMES).alias("latency_unit")


def of_medians(rows: pl.DataFrame) -> bool:
    """Whether medians of milliseconds have to be compared, since one row is older than the reference."""
    return bool((rows["latency_ms_median"].is_not_null() & rows["latency_ratio"].is_null()).any())


def untuned(arm: str) -> str:
    """The name of the arm at its defaults: `adam` for `adam tuned`, and for `adam`."""
    return arm.removesuffix(_TUNED)


def settings(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Each arm's configuration, as far as it is recorded; of replicates, which share one."""
    texts = rows.filter(pl.col("config_json").is_not_null()).select("arm", "config_json").rows()
    return {arm: configuration(text) for arm, text in texts}


def configuration(config_json: str | None) -> dict[str, Any]:
    """A recorded configuration without what may differ between replicates; empty for none."""
    config = json.loads(config_json) if config_json else {}
    return {k: v for k, v in config.items() if k not in ("seed", "fold", "epochs")}


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
    ends = _without_vain(ends)
    summed = pl.col(SECONDS).sum().over("trial_id")
    return (
        ends.with_columns(summed).unique("trial_id", keep="last", maintain_order=True),
        epochs.unique(["trial_id", "epoch"], keep="last").sort("trial_id", "epoch"),
    )


def _without_vain(ends: pl.DataFrame) -> pl.DataFrame:
    """Leaves out failures of trials that had completed before, with no more epochs asked for: of those for weights."""
    completed = pl.when(pl.col("outcome") == "completed").then("epochs")
    had = completed.cum_max().over("trial_id", order_by="continuation").forward_fill().over("trial_id")
    vain = (pl.col("outcome") == "failed") & (pl.col("epochs_asked") <= had)
    return ends.filter(~vain.fill_null(value=False))


def _plan_of(trials: pl.DataFrame) -> pl.DataFrame:
    """A plan made up from the trials, for records that have none."""
    none = pl.lit(None, pl.Int32).alias("candidate"), pl.lit(None, pl.String).alias("config_json")
    asked = pl.col("epochs_asked").alias("epochs")
    return trials.select("run", "question", *REPLICATE, "trial_id", asked, *none)


def _with_facts(plan: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The plan's rows with what `trials` says of them; the configuration is known before a trial has ended."""
    mine = ("planned", "run", *REPLICATE, "trial_id", "question", "candidate")
    planned = plan.select(*mine, pl.col("epochs").alias(_ASKED), pl.col("config_json").alias("config_planned"))
    facts = trials.drop("sweep", "run", *REPLICATE, "question", strict=False)
    joined = planned.join(facts, on="trial_id", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("config_json", "config_planned").alias("config_json")).drop("config_planned")


def _asked(joined: pl.DataFrame) -> int:
    """The epochs that most ended replicates were asked for, or if none has ended, all; the greater one of two."""
    ended = joined.filter(pl.col("outcome").is_not_null())
    asked = (ended if ended.height else joined).drop_nulls(_ASKED)
    counts = asked.group_by(_ASKED).len().sort("len", _ASKED, descending=True)
    return int(counts[_ASKED][0]) if counts.height else 0


def _one_setting(joined: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Keeps the trials that share the latest plan's data and, unless they tune it, their arm's latest configuration."""
    read = [configuration(text) for text in joined["config_json"]]
    configs = [{"family": family, **config} for family, config in zip(joined["family"], read, strict=True)]
    sizes = [None if _PART & set(c) else row for row, c in zip(joined.select(_SIZES).rows(), read, strict=True)]
    data, questions = joined.select(_SETTING).rows(), joined["question"].to_list()
    fixed = (joined["question"] != TUNING).fill_null(value=True).to_list()
    ended = joined["outcome"].is_not_null().to_list()
    newest_run = joined["run"][-1] if joined.height else None
    in_newest = [i for i, run in enumerate(joined["run"]) if run == newest_run and ended[i]]
    pool = in_newest or [i for i, end in enumerate(ended) if end]
    latest = _most([data[i] for i in pool])
    usual = {
        question: _most([sizes[i] for i in pool if data[i] == latest and questions[i] == question])
        for question in set(questions)
    }
    whole = usual.get(COMPARISON) if joined["fold"].is_null().all() else None
    expected = [usual[question] or whole for question in questions]  # folds are of other sizes than a screening
    other_size = [None not in (sizes[i], expected[i]) and sizes[i] != expected[i] for i in range(joined.height)]
    other_data = [ended[i] and (data[i] != latest or other_size[i]) for i in range(joined.height)]
    judged = [ended[i] and fixed[i] and not other_data[i] for i in range(joined.height)]
    config = {arm: configs[i] for i, arm in enumerate(joined["arm"]) if judged[i]}
    other_config = [judged[i] and configs[i] != config[arm] for i, arm in enumerate(joined["arm"])]
    said = [
        (sum(other_data), "on other data (dataset, images, split or precision) than the latest run's"),
        (sum(other_config), "of an earlier configuration of their arm"),
    ]
    keep = [not (a or b) for a, b in zip(other_data, other_config, strict=True)]
    kept = joined.filter(pl.Series(keep, dtype=pl.Boolean))
    return kept, tuple(f"{count(n, 'trial')} left out: {why}" for n, why in said if n)


def _most(values: Sequence[_T | None]) -> _T | None:
    """The most frequent value that is known."""
    known = [value for value in values if value is not None]
    return max(known, key=known.count, default=None)


def _reached(epochs: pl.DataFrame, at: int) -> pl.DataFrame:
    """For each trial: its attempt, epochs done and recorded, the accuracy at `at`, seconds in epochs."""
    finite = pl.col("val_accuracy").is_finite().fill_null(value=False)
    return epochs.group_by("trial_id").agg(
        pl.col("attempt").max(),
        pl.col("epoch").filter(finite & (pl.col("epoch") <= at)).max().fill_null(0).alias("done"),
        pl.col("val_accuracy").filter(finite & (pl.col("epoch") == at)).max().alias("at"),
        pl.col("epoch").max().alias("recorded"),
        pl.sum_horizontal(pl.col(TRAINING).fill_null(0)).sum().alias("seconds_training"),
        pl.col("val_accuracy").filter(finite & (pl.col("epoch") <= at)).last().alias("last"),
        pl.struct("epoch", "val_accuracy", EPOCH_SECONDS.alias("seconds")).alias("history"),
    )


def _seen_at(at: int, joined: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """Outcomes as they are at `at` epochs: what happened to a trial later does not count.

    A trial with epochs beyond its last end is being continued: it is unfinished, unless it is seen at `at` already.
    """
    reached = _reached(epochs, at)
    rows = joined.drop("attempt", _ASKED).join(reached, on="trial_id", how="left", maintain_order="left")
    continued = (pl.col("recorded") > pl.col("epochs")).fill_null(value=False)
    went_on = pl.col("epochs_asked") > at
    ended_at = pl.col("outcome").is_not_null() & pl.col("at").is_not_null()
    completed = ended_at & ((pl.col("outcome") == "completed") | went_on)
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
    ended = pl.sum_horizontal(pl.col(SECONDS).fill_null(0))
    rows = rows.with_columns(
        pl.Series("seconds", [_seconds(*row) for row in rows.select(ended, "epochs", "history").rows()], pl.Float64),
        pl.max_horizontal("epochs", "recorded").fill_null(0).alias("spent"),
        pl.col("done").fill_null(0),
        pl.coalesce("rung", "epochs").alias("rung"),
        outcome.alias("outcome"),
    )
    stops = pl.Series("stop_accuracy", [_value_at(h, r) for h, r in rows.select("history", "rung").rows()], pl.Float64)
    accuracy = pl.when(pl.col("outcome") == "completed").then(pl.col("at")).alias("accuracy")
    return rows.with_columns(accuracy, stops).drop("at", "recorded", "history").sort(REPLICATE)


def _each_at_its_end(searched: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """Candidates as they are at the epochs that their own plan asked for: a search may ask for more of some."""
    asked = searched[_ASKED].fill_null(0)
    parts = [_seen_at(at, searched.filter(asked == at), epochs) for at in asked.unique(maintain_order=True)]
    return pl.concat([_seen_at(0, searched.clear(), epochs), *parts], how="vertical_relaxed")


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
    within = epochs.filter(pl.col("epoch") <= at).sort("trial_id", "epoch")
    summed = within.select(
        "trial_id", "epoch", "val_accuracy", EPOCH_SECONDS.cum_sum().over("trial_id").alias("seconds")
    )
    finite = summed.filter(pl.col("val_accuracy").is_finite().fill_null(value=False))
    return joined.select(*REPLICATE, "trial_id").join(finite, on="trial_id").sort(*REPLICATE, "epoch")
