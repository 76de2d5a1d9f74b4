"""Whether trainings beat chance, and how often those of an arm do.

A network that guesses is right as often as the largest class occurs, or with 1 / (number of classes) of the images if
all classes are equally frequent. A completed training has learned if its validation accuracy is above that in an exact
one-sided binomial test at .01 (Conover 1999, Practical Nonparametric Statistics, section 3.1), or if its validation
loss is below that of the best prediction that is the same for every image. The latter is the entropy of the classes'
shares, at most log(number of classes): no such prediction is below it (Gibbs' inequality), so no test is needed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from layersweep.formatting import first_names
from layersweep.records.tables import REFUSAL_TYPES
from layersweep.studies.statistics.judgement import ACCURACY, LOSS
from layersweep.studies.statistics.replicates import configuration

SIGNIFICANCE: Final = 0.01
"""Of the test that an accuracy is above chance."""

CLASS_COLUMNS: Final = ("trial_id", "set_name", "class_index", "support")
"""The columns of the table `classes` that are read here."""

CLASSES_OF: Final = {
    "fashion_mnist": 10,
    "cifar10": 10,
    "mnist": 10,
    "cifar100": 100,
    "tiny_imagenet": 200,
    "tiny_imagenet_70_30": 200,
}
"""The number of classes by name of the data set. A folder of images can have any: only the table `classes` knows it."""

MACHINE_ERRORS: Final = (
    *REFUSAL_TYPES,
    "OutOfMemory",
    "ResourceExhaustedError",
    "MemoryError",
    "ProcessKilled",
    "ProcessExited",
    "SlotDied",
    "TimedOut",
    "NotFetched",
    "NotSaved",
    "DataError",
    "WeightsError",
    "OSError",
    "FileNotFoundError",
    "PermissionError",
)
"""Error types that say nothing about the network: memory, time, files or a process of the machine were at fault. Such a
trial counts neither as learned nor as not. Every other error came from the training itself: it has not learned."""


_EVERY_CLASS: Final = "all"
_DATA_COLUMNS: Final = ("trial_id", "dataset", "data_fingerprint", "config_json")
_FLAG_COLUMNS: Final = ("arm", "seed", "fold", "trial_id", "chance", "learned")
_NORMAL_QUANTILE: Final = 1.959963984540054
"""97.5 % of the standard normal distribution are below it."""


def learned(value: float, chance: float, validation_images: int | None, *, metric: str = ACCURACY) -> bool:
    """Whether a result beats chance; see the module for the rule.

    Args:
        value: the validation accuracy (0 to 1) or the validation loss (nats); one that is not finite has not learned.
        chance: the chance level of the same metric.
        validation_images: those that the accuracy was measured on; None if not recorded: then no test is made.
        metric: `val_accuracy` or `val_loss`.

    Raises:
        ValueError: if the metric is another one.
    """
    _check_metric(metric)
    if not math.isfinite(value):
        return False
    if metric == LOSS:
        return value < chance
    if validation_images is None:
        return value > chance
    from scipy.special import bdtrc  # scipy.stats takes three times as long to import

    hits = round(value * validation_images)
    return hits > 0 and float(bdtrc(hits - 1, validation_images, chance)) <= SIGNIFICANCE


def learning_flags(
    rows: pl.DataFrame, classes: pl.DataFrame, *, metric: str = ACCURACY, value: str = "accuracy"
) -> pl.DataFrame:
    """One row per replicate: arm, seed, fold, trial_id, chance (null: unknown) and learned.

    `learned` is null for replicates that count neither way: stopped, unfinished, screening, and those that failed by a
    fault of the machine (`MACHINE_ERRORS`). A completed one has learned if it beats chance, or if the chance level is
    unknown; a diverged, hopeless or failed one has not.

    Args:
        rows: as `Replicates.rows`.
        classes: the table `classes`, with `CLASS_COLUMNS` at least; rows of other trials do no harm.
        metric: `val_accuracy` or `val_loss`.
        value: the column of `rows` with the metric at the equal epochs.
    """
    _check_metric(metric)
    levels = _chance_levels(rows, classes, metric)
    facts = rows.select("outcome", "error_type", "validation_images", pl.col(value).alias("value")).to_dicts()
    flags = [_flag(row, level, metric) for row, level in zip(facts, levels, strict=True)]
    return rows.with_columns(pl.Series("chance", levels, pl.Float64), pl.Series("learned", flags, pl.Boolean)).select(
        _FLAG_COLUMNS
    )


def learned_shares(flags: pl.DataFrame) -> pl.DataFrame:
    """One row per arm of `learning_flags`, in their order: arm, learned, ended, low, high.

    `ended` counts the replicates that have learned or have not, and low and high are the Wilson 95 % interval of the
    share of those that have; null if `ended` is 0.
    """
    counts = flags.group_by("arm", maintain_order=True).agg(
        pl.col("learned").sum().cast(pl.Int64), pl.col("learned").count().cast(pl.Int64).alias("ended")
    )
    intervals = [
        wilson_interval(number, ended) if ended else (None, None)
        for number, ended in counts.select("learned", "ended").rows()
    ]
    return counts.with_columns(
        pl.Series("low", [low for low, _ in intervals], pl.Float64),
        pl.Series("high", [high for _, high in intervals], pl.Float64),
    )


def arms_that_learned(shares: pl.DataFrame) -> frozenset[str]:
    """The arms of `learned_shares` with at least one replicate that beats chance."""
    return frozenset(shares.filter(pl.col("learned") > 0)["arm"].to_list())


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927; examples in Newcombe 1998, Statistics in Medicine 17, 857).

    Raises:
        ValueError: if `n` is not positive, or `successes` is not between 0 and `n`.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is not a share; valid: 0 to n of n, with n of 1 or more")
    square = _NORMAL_QUANTILE**2
    middle = successes + square / 2
    half = _NORMAL_QUANTILE * math.sqrt(successes * (n - successes) / n + square / 4)
    low, high = (middle - half) / (n + square), (middle + half) / (n + square)
    return (0.0 if successes == 0 else low), (1.0 if successes == n else high)


def unknown_chance_note(flags: pl.DataFrame) -> str:
    """A sentence if the chance level of a completed replicate is unknown, because it then counts as learned; or ""."""
    unknown = flags.filter(pl.col("chance").is_null() & pl.col("learned").fill_null(value=False))
    if not unknown.height:
        return ""
    arms = first_names(unknown["arm"].unique(maintain_order=True).to_list())
    return f"The number of classes of {arms} is not recorded: every completed training there counts as learned."


def _check_metric(metric: str) -> None:
    if metric not in (ACCURACY, LOSS):
        raise ValueError(f"no chance level is known for metric {metric!r}; valid: {ACCURACY}, {LOSS}")


def _flag(row: Mapping[str, Any], chance: float | None, metric: str) -> bool | None:
    """Whether one replicate has learned; None if it counts neither way."""
    outcome, value = row["outcome"], row["value"]
    if outcome in ("diverged", "hopeless"):
        return False
    if outcome == "failed":
        return None if row["error_type"] in MACHINE_ERRORS else False
    if outcome != "completed" or value is None:
        return None
    return chance is None or learned(value, chance, row["validation_images"], metric=metric)


def _chance_levels(rows: pl.DataFrame, classes: pl.DataFrame, metric: str) -> list[float | None]:
    """The chance level of each row: by its trial's validation images, by another trial's on the same data, by names."""
    supports = _supports(classes.filter(pl.col("trial_id").is_in(rows["trial_id"].to_list())))
    trials = [
        (trial_id, (dataset, fingerprint, str(configuration(config_json).get("classes", _EVERY_CLASS))))
        for trial_id, dataset, fingerprint, config_json in rows.select(_DATA_COLUMNS).rows()
    ]
    by_data = {data: supports[trial_id] for trial_id, data in trials if trial_id in supports}
    return [
        _level(supports.get(trial_id) or by_data.get(data) or _equal_classes(data[0], data[2]), metric)
        for trial_id, data in trials
    ]


def _supports(classes: pl.DataFrame) -> dict[str, Sequence[int]]:
    """The numbers of validation images of each class, by trial; without classes that have none."""
    validation = classes.filter((pl.col("set_name").cast(pl.String) == "validation") & (pl.col("support") > 0))
    by_class = validation.unique(["trial_id", "class_index"], keep="last")
    return dict(
        by_class.group_by("trial_id").agg("support").select(pl.col("trial_id").cast(pl.String), "support").rows()
    )


def _equal_classes(dataset: str | None, classes: str) -> Sequence[int] | None:
    """One image of each class; None if their number is unknown."""
    if classes == _EVERY_CLASS:
        return (1,) * CLASSES_OF.get(dataset or "", 0) or None
    spans = [[int(end) for end in span.split("-")] for span in classes.split("+")]
    return (1,) * len({index for span in spans for index in range(span[0], span[-1] + 1)})


def _level(support: Sequence[int] | None, metric: str) -> float | None:
    if not support:
        return None
    shares = [n / sum(support) for n in support]
    return max(shares) if metric == ACCURACY else -math.fsum(share * math.log(share) for share in shares)
