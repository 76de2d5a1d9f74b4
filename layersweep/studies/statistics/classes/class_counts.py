"""The classes of a validation set, as the table `classes` records them: names, images, hits and predictions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import polars as pl

from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, LOSS, MACRO_F1

CLASS_NAME: Final = "class_name"
CLASS_COLUMNS: Final = ("trial_id", "set_name", "class_index", CLASS_NAME, "support")
"""The columns of the table `classes` that every study reads."""
PREDICTIONS: Final = "predicted"
"""The column that is read besides for the metrics in `NEED_PREDICTIONS`: it is large if there are many classes."""
NEED_PREDICTIONS: Final = (BALANCED_ACCURACY, MACRO_F1)


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """The classes that occur in a trial's validation set.

    Attributes:
        names: their names; "" if they are not recorded.
        supports: the number of images of each.
        hits: how many of them were classified as their class; None if that was not read.
        predicted: how many images were classified as each class, right or wrong; None if that was not read.
    """

    names: tuple[str, ...]
    supports: tuple[int, ...]
    hits: tuple[int, ...] | None = None
    predicted: tuple[int, ...] | None = None

    @property
    def largest(self) -> int:
        """The place of the class with the most images."""
        return self.supports.index(max(self.supports))

    @property
    def majority_share(self) -> float:
        """The share of the images that the largest class has."""
        return max(self.supports) / sum(self.supports)

    @property
    def entropy(self) -> float:
        """The entropy of the classes' shares in nats: no loss of a prediction that is always the same is below it."""
        shares = [n / sum(self.supports) for n in self.supports]
        return -math.fsum(share * math.log(share) for share in shares)

    @property
    def resolution(self) -> float:
        """The standard deviation that rounding alone gives to a mean over classes, times √12.

        The recall of a class has steps of 1 / (its images). Rounding to a step has a variance of step² / 12 (Sheppard
        1898), and the mean of the classes' recalls is rounded in each of them. F1 has steps of about the same size.
        """
        return math.sqrt(math.fsum(1 / n**2 for n in self.supports)) / len(self.supports)

    @cached_property
    def values(self) -> Mapping[str, float]:
        """The metrics that the hits and predictions make."""
        if self.hits is None or self.predicted is None:
            return {}
        hits = np.array(self.hits)
        return {name: float(np.array(self.weights(name)) @ hits) for name in (BALANCED_ACCURACY, MACRO_F1)}

    def weights(self, metric: str) -> tuple[float, ...]:
        """What a hit of each class adds to the metric, for the predictions made.

        Raises:
            KeyError: for a metric that is no sum of hits by class.
        """
        predicted = self.predicted or (0,) * len(self.supports)
        halves = {
            BALANCED_ACCURACY: self.supports,
            MACRO_F1: [(n + number) / 2 for n, number in zip(self.supports, predicted, strict=True)],
        }[metric]
        return tuple(1 / (len(self.supports) * half) for half in halves)

    def level(self, metric: str) -> float:
        """What the best guess reaches, which is the same for every image or drawn by the same probabilities.

        Accuracy: the largest class's share. Balanced accuracy: 1 / classes, for every guess. Macro F1: 1 / classes, for
        guesses in proportion to the classes' shares; a class that is said with another probability has the mean F1
        2 s q / (s + q), whose sum over the classes is highest at q = s, and a constant guess is below that. Loss: the
        entropy of the shares.
        """
        if metric == LOSS:
            return self.entropy
        return self.majority_share if metric == ACCURACY else 1 / len(self.supports)


def class_counts(classes: pl.DataFrame, trial_ids: Iterable[str]) -> dict[str, ClassCounts]:
    """The classes in the validation sets of trials, by trial; later rows of a trial count.

    Args:
        classes: the table, with at least trial_id, set_name, class_index and support.
        trial_ids: the trials; rows of others do no harm.
    """
    is_validation = pl.col("set_name").cast(pl.String) == "validation"
    rows = classes.filter(is_validation & pl.col("trial_id").is_in(list(trial_ids)))
    rows = rows.unique(["trial_id", "class_index"], keep="last").sort("class_index")
    if CLASS_NAME not in rows.columns:
        rows = rows.with_columns(pl.lit("").alias(CLASS_NAME))
    columns = ["class_index", CLASS_NAME, "support", *([PREDICTIONS] if PREDICTIONS in rows.columns else [])]
    by_trial = rows.group_by(pl.col("trial_id").cast(pl.String)).agg(columns).to_dicts()
    counts = {part["trial_id"]: _counts(part) for part in by_trial}
    return {trial_id: one for trial_id, one in counts.items() if one.supports}


def _counts(part: Mapping[str, Sequence[Any]]) -> ClassCounts:
    """The classes of one trial; those without images are left out."""
    indices, all_supports = part["class_index"], part["support"]
    present = [place for place, n in enumerate(all_supports) if n]
    names = tuple(str(part[CLASS_NAME][place] or "") for place in present)
    supports = tuple(int(all_supports[place]) for place in present)
    lists = [part[PREDICTIONS][place] for place in present] if PREDICTIONS in part else []
    if not lists or None in lists:
        return ClassCounts(names=names, supports=supports)
    matrix = _matrix(lists, size=1 + max(indices))
    return ClassCounts(
        names=names,
        supports=supports,
        hits=tuple(int(matrix[row, indices[place]]) for row, place in enumerate(present)),
        predicted=tuple(int(matrix[:, indices[place]].sum()) for place in present),
    )


def _matrix(lists: Sequence[Sequence[int]], *, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    width = max(size, *map(len, lists))
    matrix = np.zeros((len(lists), width), dtype=np.int64)
    for row, numbers in enumerate(lists):
        matrix[row, : len(numbers)] = numbers
    return matrix
