"""Whether trainings beat chance, and how often those of an arm do.

A network that guesses is right as often as the largest class occurs, or with 1 / (number of classes) of the images if
all classes are equally frequent; its balanced accuracy is 1 / (number of classes), and its macro F1 at most that (see
`ClassCounts.level`). A completed training has learned if its value is above that level, and a guess reaches it with a
probability of at most .01: `layersweep.studies.statistics.inference.guessing` has the tests and their sources. A
validation loss has learned if it is below that of the best prediction that is the same for every image. The latter is
the entropy of the classes' shares, at most log(number of classes): no such prediction is below it (Gibbs' inequality),
so no test is needed.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from layersweep.formatting import count, first_names
from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, LOSS, METRICS, valid_metrics
from layersweep.records.tables import REFUSAL_TYPES
from layersweep.studies.statistics.classes.class_counts import ClassCounts, class_counts
from layersweep.studies.statistics.inference.guessing import (
    accuracy_p_value,
    balanced_accuracy_bound,
    permutation_p_value,
)
from layersweep.studies.statistics.replicates import configuration

SIGNIFICANCE: Final = 0.01
"""Of the test that a value is above chance."""

FEW_IMAGES: Final = 200
"""With fewer validation images, a training that has learned something may not be proven to."""

CLASSES_OF: Final = {
    "fashion_mnist": 10,
    "mnist": 10,
    "cifar10": 10,
    "cifar100": 100,
    "tiny_imagenet": 200,
    "tiny_imagenet_70_30": 200,
}
"""The number of classes by name of the data set. A folder of images or arrays can have any: records alone know it."""

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
_INDICES: Final = re.compile(r"\d+(?:-\d+)?(?:\+\d+(?:-\d+)?)*")
"""Classes by their indices: `0+2+5-7`. Others are named, or left out: `cats+dogs`, `without:rare`."""
_MAJORITY: Final = "majority_share"
_SAME: Final = 1e-6
"""Up to this difference, recorded counts are of the predictions that a recorded value was computed from."""
_DATA_COLUMNS: Final = ("trial_id", "dataset", "data_fingerprint", "config_json")
_FLAG_COLUMNS: Final = ("arm", "seed", "fold", "trial_id", "chance", "learned", "tested")
_NORMAL_QUANTILE: Final = 1.959963984540054
"""97.5 % of the standard normal distribution are below it."""


def learned(
    value: float,
    chance: float,
    validation_images: int | None,
    *,
    metric: str = ACCURACY,
    counts: ClassCounts | None = None,
) -> bool:
    """Whether a result beats chance; see the module for the rule.

    Args:
        value: the value of the metric; one that is not finite has not learned.
        chance: the chance level of the same metric.
        validation_images: those that it was measured on; None if not recorded: then no accuracy is tested.
        metric: one of `METRICS`.
        counts: the classes of these images; None if not recorded: then no balanced accuracy and no macro F1 is tested.

    Raises:
        ValueError: if the metric is another one.
    """
    _check_metric(metric)
    if not math.isfinite(value):
        return False
    if metric == LOSS:
        return value < chance
    p_value = _p_value(value, chance, validation_images, metric, counts)
    return value > chance if p_value is None else p_value <= SIGNIFICANCE and value > chance


def _p_value(value: float, chance: float, images: int | None, metric: str, counts: ClassCounts | None) -> float | None:
    """The probability of a value under the best guess; None if the records do not allow a test."""
    if metric == ACCURACY:
        return accuracy_p_value(round(value * images), images, round(chance * images)) if images else None
    if counts is None:
        return None
    if counts.hits is not None and counts.predicted is not None and abs(counts.values[metric] - value) < _SAME:
        return permutation_p_value(counts.hits, counts.supports, counts.predicted, counts.weights(metric))
    return balanced_accuracy_bound(value, counts.supports) if metric == BALANCED_ACCURACY else None


def learning_flags(
    rows: pl.DataFrame, classes: pl.DataFrame, *, metric: str = ACCURACY, value: str = "accuracy"
) -> pl.DataFrame:
    """One row per replicate: arm, seed, fold, trial_id, chance (null: unknown), learned and tested.

    `learned` is null for replicates that count neither way: stopped, unfinished, screening, and those that failed by a
    fault of the machine (`MACHINE_ERRORS`). A completed one has learned if it beats chance, or if the chance level is
    unknown; a diverged, hopeless or failed one has not. `tested` says whether the records allow a test of a completed
    one: without it, any value above chance has learned.

    Args:
        rows: as `Replicates.rows`.
        classes: the table `classes`, with trial_id, set_name, class_index and support at least.
        metric: one of `METRICS`.
        value: the column of `rows` with the metric at the equal epochs.
    """
    return flags_by_counts(rows, counts_of_rows(rows, classes), metric=metric, value=value)


def flags_by_counts(
    rows: pl.DataFrame, counts: Sequence[ClassCounts | None], *, metric: str = ACCURACY, value: str = "accuracy"
) -> pl.DataFrame:
    """As `learning_flags`, with the classes of each row, as `counts_of_rows` reads them."""
    _check_metric(metric)
    levels = _chance_levels(rows, counts, metric)
    facts = rows.select("outcome", "error_type", "validation_images", pl.col(value).alias("value")).to_dicts()
    flags = [_flag(row, level, metric, one) for row, level, one in zip(facts, levels, counts, strict=True)]
    return rows.with_columns(
        pl.Series("chance", levels, pl.Float64),
        pl.Series("learned", [learned for learned, _ in flags], pl.Boolean),
        pl.Series("tested", [tested for _, tested in flags], pl.Boolean),
    ).select(_FLAG_COLUMNS)


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


def untested_note(flags: pl.DataFrame, metric: str) -> str:
    """A sentence if a value could not be tested against a known chance level; "" for a loss, which needs no test."""
    untested = flags.filter(pl.col("chance").is_not_null() & ~pl.col("tested") & pl.col("learned").is_not_null())
    if metric in (ACCURACY, LOSS) or not untested.height:
        return ""
    arms, level = first_names(untested["arm"].unique(maintain_order=True).to_list()), max(untested["chance"].to_list())
    return (
        f"How often each class was predicted is not recorded at this epoch for {arms}: no test says whether the "
        f"{METRICS[metric].noun} there is above that of a guess, and every value above {level:.3g} counts as learned."
    )


def few_images_note(rows: pl.DataFrame, flags: pl.DataFrame, metric: str) -> str:
    """A sentence if trainings with few validation images are above chance and not proven to be; or "".

    Such a training may have learned: its arm's share of learned ones is then too low, and its mean too high.
    """
    unsure = rows.with_columns(flags["chance"], flags["learned"]).filter(
        (pl.col("outcome") == "completed")
        & ~pl.col("learned").fill_null(value=True)
        & (pl.col("accuracy") > pl.col("chance"))
        & (pl.col("validation_images") < FEW_IMAGES)
    )
    if metric == LOSS or not unsure.height:
        return ""
    images = min(unsure["validation_images"].to_list())
    return (
        f"Only {images} images to validate: of {count(unsure.height, 'training')} above the level of a guess this may "
        "be chance. They count as not learned, and no mean has them, so means may be too high. More images or "
        "--folds 5 would show more."
    )


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise ValueError(f"no chance level is known for metric {metric!r}; valid: {valid_metrics()}")


def _flag(
    row: Mapping[str, Any], chance: float | None, metric: str, counts: ClassCounts | None
) -> tuple[bool | None, bool]:
    """Whether one replicate has learned, None if it counts neither way; and whether its value could be tested."""
    outcome, value = row["outcome"], row["value"]
    if outcome in ("diverged", "hopeless"):
        return False, True
    if outcome == "failed":
        return (None if row["error_type"] in MACHINE_ERRORS else False), True
    if outcome != "completed" or value is None:
        return None, True
    if chance is None:
        return True, False
    images = row["validation_images"]
    tested = metric == LOSS or not math.isfinite(value) or _p_value(value, chance, images, metric, counts) is not None
    return learned(value, chance, images, metric=metric, counts=counts), tested


def counts_of_rows(rows: pl.DataFrame, classes: pl.DataFrame) -> list[ClassCounts | None]:
    """The classes in the validation set of each row: of its trial, or the sizes of another trial's on the same data."""
    own = class_counts(classes, rows["trial_id"].to_list())
    trials = _data_of(rows)
    by_data = {data: own[trial_id] for trial_id, data in trials if trial_id in own}
    shared = {data: ClassCounts(names=counts.names, supports=counts.supports) for data, counts in by_data.items()}
    return [own.get(trial_id) or shared.get(data) for trial_id, data in trials]


def _data_of(rows: pl.DataFrame) -> list[tuple[str, tuple[str | None, str | None, str]]]:
    """Each trial with its data set, the fingerprint of that, and the classes of its configuration."""
    return [
        (trial_id, (dataset, fingerprint, str(configuration(config_json).get("classes", _EVERY_CLASS))))
        for trial_id, dataset, fingerprint, config_json in rows.select(_DATA_COLUMNS).rows()
    ]


def _chance_levels(rows: pl.DataFrame, counts: Sequence[ClassCounts | None], metric: str) -> list[float | None]:
    """The chance level of each row: by its classes, by the recorded share of the largest one, or by names."""
    shares = rows[_MAJORITY].to_list() if _MAJORITY in rows.columns else [None] * rows.height
    levels: list[float | None] = []
    for (_, data), one, share in zip(_data_of(rows), counts, shares, strict=True):
        known = one or (None if metric == ACCURACY and share is not None else _equal_classes(data[0], data[2]))
        levels.append(known.level(metric) if known else share if metric == ACCURACY else None)
    return levels


def _equal_classes(dataset: str | None, classes: str) -> ClassCounts | None:
    """One image of each class; None if their number is unknown."""
    if classes == _EVERY_CLASS:
        number = CLASSES_OF.get(dataset or "", 0)
    elif _INDICES.fullmatch(classes):
        spans = [[int(end) for end in span.split("-")] for span in classes.split("+")]
        number = len({index for span in spans for index in range(span[0], span[-1] + 1)})
    else:
        number = 0
    return ClassCounts(names=("",) * number, supports=(1,) * number) if number else None
