"""From the recorded tables to one row per replicate: what an arm's trial with one seed and fold reached."""

import json
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY, METRICS
from layersweep.records.questions import COMPARISON, FIRST_PHASE, SCREENING, TUNING
from layersweep.records.tables import EPOCHS, STOPPED_ON_REQUEST, TIME_CLASSES
from layersweep.studies.statistics.comparable_trials import (
    IS_CURRENT,
    PLANNED_EPOCHS,
    Exclusion,
    comparable_trials,
)
from layersweep.studies.statistics.latest_names import with_latest_names
from layersweep.studies.statistics.short_names import shorten_names

REPLICATE: Final = ("arm", "seed", "fold")
"""The columns that identify a replicate. Arms that survive a screening are compared on fresh seeds, without it."""
EXCLUDED_OUTCOMES: Final = ("diverged", "hopeless", "failed")
"""The outcomes of trials that are counted, but left out of every mean."""

_TUNED_SUFFIX: Final = " tuned"
_IS_CANDIDATE: Final = (pl.col("question") == TUNING).fill_null(value=False)
SECONDS: Final = tuple(f"seconds_{name}" for name in TIME_CLASSES)
"""The columns of `trials` that add up to the seconds of an end."""
_END_SECONDS: Final = pl.sum_horizontal(pl.col(SECONDS).fill_null(0))
_SECONDS_OF_EPOCHS: Final = tuple(name for name in EPOCHS.schema.names if name.startswith("seconds_"))
EPOCH_SECONDS: Final = pl.sum_horizontal(pl.col(_SECONDS_OF_EPOCHS).fill_null(0))
"""The seconds of an epoch."""
TIMES: Final = "\N{MULTIPLICATION SIGN}"
"""The unit of a latency that is a multiple of the time of a fixed computation."""

TRAINING: Final = ("seconds_train", "seconds_validate")
"""The columns of `epochs` whose seconds every epoch needs; the others occur once per trial."""
EPOCH_COLUMNS: Final = ("trial_id", "attempt", "epoch", *METRICS, *_SECONDS_OF_EPOCHS)
"""The columns of `epochs` that a study reads."""


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """The rows that a comparison is computed from.

    Attributes:
        epoch: the equal epochs: what most of the compared trials were planned for.
        rows: one row per replicate: arm (by its short name), seed, fold, trial_id, attempt, outcome (completed,
            stopped, "stopped on request", diverged, hopeless, failed or unfinished, as it was at `epoch`; or
            "screening" for the screening trial of an arm that was compared later), epochs_reached (at most `epoch`),
            latency, latency_unit, accuracy (at `epoch`, completed only), stop_accuracy, rung, cutoff, epochs_spent,
            seconds (of the whole attempt), and the columns of `trials`. In every frame, the columns of accuracies
            contain the metric that was asked for.
        candidates: one row per candidate of an arm's tuning: `candidate`, `last_finite_accuracy` and the columns of
            `rows`, as they were at the planned epochs of the candidate. `rows` and `curves` contain no candidate.
        curves: arm, seed, fold, epoch, val_accuracy (finite ones), seconds (cumulative); at most `epoch` epochs.
        exclusions: sentences that say which planned trials are not compared, and why.
    """

    epoch: int
    rows: pl.DataFrame
    candidates: pl.DataFrame
    curves: pl.DataFrame
    exclusions: tuple[str, ...]


def collect_replicates(
    plan: pl.DataFrame, trials: pl.DataFrame, epochs: pl.DataFrame, metric: str = ACCURACY
) -> Replicates:
    """Joins the tables of one sweep. Only the latest attempt of a trial counts, and a shared trial counts once.

    If an arm was planned twice with a seed and fold (other images, another configuration), the later plan counts.
    Trials on other data, or with another configuration than the latest one of their arm, are left out. A configuration
    that several commands have named differently has its latest name. Trials without a record of the metric, which an
    earlier version trained, are left out and named.

    Raises:
        ResultsError: if the metric is not one of `METRICS`, or no epoch has a value of it.
    """
    sweep = next((str(table["sweep"][0]) for table in (plan, trials) if "sweep" in table.columns and table.height), "?")
    epochs = _with_metric(epochs, metric, sweep)
    plan = with_latest_names(_compared_plan(plan if plan.height else _plan_of(trials)), trials)
    trials, epochs = latest_attempts(trials, epochs)
    joined = _join_trials(_with_currency(plan), trials)
    planned_trials, exclusions = comparable_trials(joined, _configurations(joined))
    planned_trials, epoch, unmeasured = _measured(planned_trials, epochs, metric)
    candidates = planned_trials.filter(_IS_CANDIDATE)
    compared_trials = planned_trials.filter(~_IS_CANDIDATE).drop("candidate")
    rows = _mark_screenings(_rows_at(epoch, compared_trials, epochs).drop("last_finite_accuracy"))
    candidates = _rows_at_planned_epochs(candidates, epochs)
    names_by_run = [names["arm"].to_list() for _, names in plan.group_by("run", maintain_order=True)]
    short_names = shorten_names([*dict.fromkeys([*rows["arm"], *candidates["arm"]])], names_by_run)
    arm = pl.col("arm").replace(short_names)
    return Replicates(
        epoch=epoch,
        rows=rows.with_columns(arm, *latency_columns(rows)),
        candidates=candidates.with_columns(arm),
        curves=_curves(compared_trials, epochs, epoch).with_columns(arm),
        exclusions=tuple(e.sentence(short_names) for e in (*exclusions, *unmeasured)),
    )


def _measured(
    planned_trials: pl.DataFrame, epochs: pl.DataFrame, metric: str
) -> tuple[pl.DataFrame, int, list[Exclusion]]:
    """The trials whose metric is recorded, the equal epochs of them, and those whose metric is not recorded."""
    by_trial = epochs.group_by("trial_id").agg(pl.col(ACCURACY).is_null().all().alias("never"))
    never = by_trial.filter("never")["trial_id"].to_list()
    measured = planned_trials.filter(~pl.col("trial_id").is_in(never))
    compared = measured.filter(~_IS_CANDIDATE)
    epoch = _equal_epochs(compared if compared.height else measured)
    is_epoch = pl.col("epoch") == epoch
    not_then = epochs.filter(is_epoch & pl.col(ACCURACY).is_null())["trial_id"].to_list()
    measured = measured.filter(_IS_CANDIDATE | ~pl.col("trial_id").is_in(not_then))
    others = planned_trials.join(measured.select("trial_id"), on="trial_id", how="anti", maintain_order="left")
    reason = f"their {METRICS[metric].name} is not recorded; `--metric {ACCURACY}` compares them"
    return measured, epoch, [Exclusion(arms=others["arm"].to_list(), reason=reason)] if others.height else []


def _with_metric(epochs: pl.DataFrame, metric: str, sweep: str) -> pl.DataFrame:
    """The epochs, with the metric in place of the validation accuracy."""
    if metric not in METRICS:
        raise ResultsError(f"metric {metric!r} of sweep {sweep!r} is not valid; valid: {', '.join(METRICS)}")
    if metric not in epochs.columns or (epochs.height and epochs[metric].is_null().all()):
        recorded = [name for name in METRICS if name in epochs.columns and not epochs[name].is_null().all()]
        valid = f"valid: {', '.join(recorded or METRICS)}"
        raise ResultsError(f"metric {metric!r} is not recorded in sweep {sweep!r}; {valid}")
    return epochs.with_columns(pl.col(metric).alias(ACCURACY))


def _configurations(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The configuration of each row."""
    texts = rows["config_json"].to_list()
    by_text = {text: configuration(text) for text in dict.fromkeys(texts)}
    return [by_text[text] for text in texts]


def latency_columns(rows: pl.DataFrame) -> tuple[pl.Expr, pl.Expr]:
    """The columns `latency` (of one image) and `latency_unit`: times of a fixed computation, or ms for older rows."""
    if uses_latency_medians(rows):
        return pl.col("latency_ms_median").alias("latency"), pl.lit("ms").alias("latency_unit")
    return pl.col("latency_ratio").alias("latency"), pl.lit(TIMES).alias("latency_unit")


def uses_latency_medians(rows: pl.DataFrame) -> bool:
    """Whether latencies are compared in milliseconds, because a row was recorded before `latency_ratio` existed."""
    return bool((rows["latency_ms_median"].is_not_null() & rows["latency_ratio"].is_null()).any())


def default_arm(arm: str) -> str:
    """The name of the arm with its default configuration: `adam` for `adam tuned`, and for `adam`."""
    return arm.removesuffix(_TUNED_SUFFIX)


def configurations(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """The recorded configuration of each arm; all replicates of an arm have the same one."""
    texts = rows.filter(pl.col("config_json").is_not_null()).select("arm", "config_json").rows()
    return {arm: configuration(text) for arm, text in texts}


def configuration(config_json: str | None) -> dict[str, Any]:
    """A recorded configuration without the keys that differ between replicates; empty for None."""
    config = json.loads(config_json) if config_json else {}
    return {k: v for k, v in config.items() if k not in ("seed", "fold", "epochs")}


def latest_attempts(trials: pl.DataFrame, epochs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The latest attempt of each trial: one row of `trials`, and its rows of `epochs`; the order of rows is irrelevant.

    The row is the last end of the attempt, with the seconds of all its ends. An attempt that is running for the first
    time has epochs, but no row yet.
    """
    both = pl.concat([trials.select("trial_id", "attempt"), epochs.select("trial_id", "attempt")])
    latest = both.group_by("trial_id").agg(pl.col("attempt").max())
    trials, epochs = (
        table.join(latest, on=["trial_id", "attempt"], how="semi", maintain_order="left") for table in (trials, epochs)
    )
    ends = trials.unique(["trial_id", "continuation"], keep="last").sort("trial_id", "continuation")
    ends = _without_failures_after_completion(ends)
    total_seconds = pl.col(SECONDS).sum().over("trial_id")
    return (
        ends.with_columns(total_seconds).unique("trial_id", keep="last", maintain_order=True),
        epochs.unique(["trial_id", "epoch"], keep="last").sort("trial_id", "epoch"),
    )


def _without_failures_after_completion(ends: pl.DataFrame) -> pl.DataFrame:
    """Drops later ends of trials that had already completed: they were only trained again for their weights."""
    completed = pl.when(pl.col("outcome") == "completed").then("epochs")
    completed_before = completed.cum_max().over("trial_id", order_by="continuation").forward_fill().over("trial_id")
    is_other_end = (pl.col("outcome") == "failed") | (pl.col("reason") == STOPPED_ON_REQUEST).fill_null(value=False)
    irrelevant = is_other_end & (pl.col("epochs_asked") <= completed_before)
    return ends.filter(~irrelevant.fill_null(value=False))


def _plan_of(trials: pl.DataFrame) -> pl.DataFrame:
    """A plan derived from the trials, for records without a plan."""
    missing = pl.lit(None, pl.Int32).alias("candidate"), pl.lit(None, pl.String).alias("config_json")
    planned_epochs = pl.col("epochs_asked").alias("epochs")
    return trials.select("run", "question", *REPLICATE, "trial_id", planned_epochs, *missing)


def _compared_plan(plan: pl.DataFrame) -> pl.DataFrame:
    """The plan without first phases. If the sweep has a comparison, only that, the screening and candidates count."""
    plan = plan.filter((pl.col("question") != FIRST_PHASE).fill_null(value=True))
    if COMPARISON in plan.filter(~_IS_CANDIDATE)["question"]:
        return plan.filter(pl.col("question").is_in([COMPARISON, SCREENING, TUNING]))
    return plan


def _with_currency(plan: pl.DataFrame) -> pl.DataFrame:
    """The last planned trial of each replicate and of each candidate, and the trials that they have replaced.

    They are in the order of the plan; the column `is_current` tells them apart.
    """
    plan = plan.with_row_index("plan_order")
    candidates = plan.filter(_IS_CANDIDATE).unique(["arm", "trial_id"], keep="last")
    others = plan.filter(~_IS_CANDIDATE)
    current = pl.concat([others.unique(REPLICATE, keep="last"), candidates])
    replaced = others.filter(~pl.col("trial_id").is_in(current["trial_id"].to_list())).unique("trial_id", keep="last")
    is_current = pl.lit(value=True).alias(IS_CURRENT), pl.lit(value=False).alias(IS_CURRENT)
    parts = [rows.with_columns(flag) for rows, flag in zip((current, replaced), is_current, strict=True)]
    return pl.concat(parts).sort("plan_order")


def _join_trials(plan: pl.DataFrame, trials: pl.DataFrame) -> pl.DataFrame:
    """The rows of the plan with the columns of `trials`; a trial that has not ended has the planned configuration."""
    columns = ("plan_order", "run", *REPLICATE, "trial_id", "question", "candidate", IS_CURRENT)
    planned = plan.select(
        *columns, pl.col("epochs").alias(PLANNED_EPOCHS), pl.col("config_json").alias("config_planned")
    )
    facts = trials.drop("sweep", "run", *REPLICATE, "question", strict=False)
    joined = planned.join(facts, on="trial_id", how="left", maintain_order="left")
    return joined.with_columns(pl.coalesce("config_json", "config_planned").alias("config_json")).drop("config_planned")


def _equal_epochs(rows: pl.DataFrame) -> int:
    """The planned epochs of most ended trials, or of all trials if none has ended; the greater number of two."""
    ends = rows.filter(pl.col("outcome").is_not_null())
    planned = (ends if ends.height else rows).drop_nulls(PLANNED_EPOCHS)
    counts = planned.group_by(PLANNED_EPOCHS).len().sort("len", PLANNED_EPOCHS, descending=True)
    return int(counts[PLANNED_EPOCHS][0]) if counts.height else 0


def _progress_at(epoch: int, epochs: pl.DataFrame) -> pl.DataFrame:
    """One row per trial: what it had reached at `epoch`, and all that it has recorded."""
    is_finite = pl.col("val_accuracy").is_finite().fill_null(value=False)
    is_inside = is_finite & (pl.col("epoch") <= epoch)
    return epochs.group_by("trial_id").agg(
        pl.col("attempt").max(),
        pl.col("epoch").filter(is_inside).max().fill_null(0).alias("epochs_reached"),
        pl.col("val_accuracy").filter(is_finite & (pl.col("epoch") == epoch)).max().alias("accuracy_at_epoch"),
        pl.col("epoch").max().alias("epochs_recorded"),
        pl.sum_horizontal(pl.col(TRAINING).fill_null(0)).sum().alias("seconds_training"),
        pl.col("val_accuracy").filter(is_inside).last().alias("last_finite_accuracy"),
    )


def _outcome_at(epoch: int) -> pl.Expr:
    """The outcome as it was at `epoch`; what happened to a trial later does not count.

    A trial with epochs after its last end is being continued: it is unfinished, unless it has already reached `epoch`.
    """
    has_value = pl.col("accuracy_at_epoch").is_not_null()
    is_completed = pl.col("outcome") == "completed"
    is_longer = pl.col("epochs_asked") > epoch
    is_continued = (pl.col("epochs_recorded") > pl.col("epochs")).fill_null(value=False)
    return (
        pl.when(pl.col("outcome").is_not_null() & has_value & (is_completed | is_longer))
        .then(pl.lit("completed"))
        .when(is_completed & ~has_value & (pl.col("epochs") >= epoch))
        .then(pl.lit("diverged"))
        .when((is_completed & ~has_value) | is_continued | pl.col("outcome").is_null())
        .then(pl.lit("unfinished"))
        .when((pl.col("outcome") == "stopped") & (pl.col("reason") == STOPPED_ON_REQUEST).fill_null(value=False))
        .then(pl.lit(STOPPED_ON_REQUEST))
        .otherwise(pl.col("outcome"))
    )


def _rows_at(epoch: int, planned_trials: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """One row per planned trial, as it was at `epoch`, with what it has spent until now."""
    trials = planned_trials.drop("attempt", PLANNED_EPOCHS)
    rows = trials.join(_progress_at(epoch, epochs), on="trial_id", how="left", maintain_order="left")
    rows = rows.join(_later_seconds(rows, epochs), on="trial_id", how="left", maintain_order="left").with_columns(
        (_END_SECONDS + pl.col("later_seconds").fill_null(0)).cast(pl.Float64).alias("seconds"),
        pl.max_horizontal("epochs", "epochs_recorded").fill_null(0).alias("epochs_spent"),
        pl.col("epochs_reached").fill_null(0),
        pl.coalesce("rung", "epochs").alias("rung"),
        _outcome_at(epoch).alias("outcome"),
    )
    at_rung = epochs.select("trial_id", pl.col("epoch").alias("rung"), pl.col("val_accuracy").alias("stop_accuracy"))
    rows = rows.join(at_rung, on=["trial_id", "rung"], how="left", maintain_order="left")
    accuracy = pl.when(pl.col("outcome") == "completed").then(pl.col("accuracy_at_epoch")).alias("accuracy")
    return rows.with_columns(accuracy).drop("accuracy_at_epoch", "epochs_recorded", "later_seconds").sort(REPLICATE)


def _later_seconds(rows: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """The seconds of the epochs of each trial that are recorded after the last of its ends."""
    last_epoch = pl.when(_END_SECONDS > 0).then(pl.col("epochs").fill_null(0)).otherwise(0).alias("last_epoch")
    later = epochs.select("trial_id", "epoch", EPOCH_SECONDS.alias("later_seconds")).join(
        rows.select("trial_id", last_epoch).unique("trial_id"), on="trial_id"
    )
    return later.filter(pl.col("epoch") > pl.col("last_epoch")).group_by("trial_id").agg(pl.col("later_seconds").sum())


def _rows_at_planned_epochs(candidates: pl.DataFrame, epochs: pl.DataFrame) -> pl.DataFrame:
    """One row per candidate at its own planned epochs: a search may plan more epochs for some candidates."""
    planned = candidates[PLANNED_EPOCHS].fill_null(0)
    parts = [_rows_at(n, candidates.filter(planned == n), epochs) for n in planned.unique(maintain_order=True)]
    return pl.concat([_rows_at(0, candidates.clear(), epochs), *parts], how="vertical_relaxed")


def _mark_screenings(rows: pl.DataFrame) -> pl.DataFrame:
    """Gives the screening trials of arms that are compared the outcome "screening".

    In a sweep with a comparison, an arm that completed its screening is unfinished until it is compared.
    """
    compared_arms = rows.filter(pl.col("question") == COMPARISON)["arm"].to_list()
    if not compared_arms:
        return rows
    is_screening = pl.col("question") == SCREENING
    outcome = (
        pl.when(is_screening & pl.col("arm").is_in(compared_arms))
        .then(pl.lit(SCREENING))
        .when(is_screening & (pl.col("outcome") == "completed"))
        .then(pl.lit("unfinished"))
        .otherwise("outcome")
    )
    return rows.with_columns(outcome.alias("outcome")).with_columns(
        pl.when(pl.col("outcome") == "completed").then("accuracy").alias("accuracy")
    )


def _curves(compared_trials: pl.DataFrame, epochs: pl.DataFrame, last_epoch: int) -> pl.DataFrame:
    inside = epochs.filter(pl.col("epoch") <= last_epoch).sort("trial_id", "epoch")
    total_seconds = EPOCH_SECONDS.cum_sum().over("trial_id").alias("seconds")
    points = inside.select("trial_id", "epoch", "val_accuracy", total_seconds)
    finite_points = points.filter(pl.col("val_accuracy").is_finite().fill_null(value=False))
    return compared_trials.select(*REPLICATE, "trial_id").join(finite_points, on="trial_id").sort(*REPLICATE, "epoch")
