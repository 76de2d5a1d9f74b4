"""The judgement on the arms of a comparison: the fitted model, the verdicts, and tests of single pairs."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY, METRICS, Metric, valid_metrics
from layersweep.studies.statistics.inference import new_trainings
from layersweep.studies.statistics.inference.arm_model import ArmModel, fit
from layersweep.studies.statistics.inference.arrays import Array, Flags
from layersweep.studies.statistics.inference.critical_values import all_pairs_value, alpha_of_look, pair_value
from layersweep.studies.statistics.inference.seeds_needed import seeds_needed
from layersweep.studies.statistics.inference.verdicts import Verdicts, judge

BEST: Final = "best"
HIGHER: Final = "higher when it learns"
LEADS: Final = "leads"
WORSE: Final = "worse"
AS_GOOD: Final = "as good"
UNDECIDED: Final = "undecided"
ONLY_ARM: Final = "only arm"
LEADING: Final = (BEST, LEADS, ONLY_ARM)
"""The verdicts of a leading arm."""


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What a study judges by.

    Attributes:
        metric: one of `METRICS`.
        margin: the difference of the metric that does not matter to the reader.
    """

    metric: str = ACCURACY
    margin: float = 0.01

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            ResultsError: for an unknown metric, or a margin that is not from 0 to 1.
        """
        if self.metric not in METRICS:
            raise ResultsError(f"--metric {self.metric!r} is not valid; valid: {valid_metrics()}")
        if not 0 <= self.margin <= 1:
            raise ResultsError(f"--margin {self.margin:g} is not valid; valid: 0 to 1, for example 0.005")

    @property
    def described_metric(self) -> Metric:
        """The metric's words, direction and limits."""
        return METRICS[self.metric]

    @property
    def sign(self) -> float:
        """The factor that makes larger values of the metric better."""
        return 1.0 if self.described_metric.is_higher_better else -1.0

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that the metric can have."""
        return self.described_metric.limits


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """The model of the values times `criteria.sign`, so that larger is better, and the verdicts.

    Attributes:
        arms: their names, in the order of the model's arrays.
        criteria: what was judged by.
        is_reliable: whether each arm has learned in all its trainings; only such an arm is best, and leads if one does.
        look: which answer of the sweep this is: 1 for the first, 2 after seeds were added, and so on.
        model: the fitted model.
        verdicts: the verdicts at the error of this look.
    """

    arms: tuple[str, ...]
    criteria: Criteria
    is_reliable: Flags
    look: int
    model: ArmModel
    verdicts: Verdicts

    @property
    def can_test(self) -> bool:
        """Whether the noise is known at all, so that a difference can be shown."""
        return bool(np.isfinite(pair_value(self.model.total_freedom, 0.05)))

    @property
    def means(self) -> dict[str, float]:
        """The fitted means, in the metric's own direction."""
        means = np.clip(self.model.means * self.criteria.sign, *self.criteria.limits)
        return dict(zip(self.arms, map(float, means), strict=True))

    def p_value(self, first: str, second: str) -> float:
        """The p-value of a two-sided t-test of two arms, not corrected; 1 if there is no test."""
        from scipy.special import stdtr

        difference, error, freedom = self._difference(first, second)
        return 2 * float(stdtr(freedom, -abs(difference) / error)) if self.can_test and error > 0 else 1.0

    def is_better(self, first: str, second: str) -> bool:
        """Whether the first arm is shown to be better than the second, by a test that holds for all pairs together."""
        return second in self.worse_than(first)

    def worse_than(self, arm: str) -> frozenset[str]:
        """The arms that an arm is shown to be better than, by a test that holds for all pairs together."""
        estimates, errors, freedom = self.model.differences(np.array(self.arms.index(arm)))
        values = all_pairs_value(len(self.arms), freedom, alpha_of_look(self.look))
        is_worse = (errors > 0) & (estimates > values * errors)
        return frozenset(other for other, worse in zip(self.arms, is_worse, strict=True) if worse)

    def _difference(self, first: str, second: str) -> tuple[float, float, float]:
        """The difference, its standard error and its degrees of freedom."""
        i, j = self.arms.index(first), self.arms.index(second)
        estimates, errors, freedom = self.model.differences(np.array(i))
        return float(estimates[j]), float(errors[j]), float(freedom[j])

    def seeds_needed(self) -> int:
        """The seeds per arm, in all, that would show a difference of the margin between the arms that are open."""
        is_open = ~self.verdicts.is_worse & ~self.verdicts.is_as_good
        if not self.criteria.margin:
            return 0
        alpha = alpha_of_look(self.look + 1)
        return int(seeds_needed(self.model, is_open, difference=self.criteria.margin, alpha=alpha))

    def columns(self) -> dict[str, dict[str, Any]]:
        """What is known of each arm, by its name, in the metric's own direction.

        Columns: verdict; mean (fitted); low and high (of the mean over new seeds); difference (arm minus leader) with
        difference_low and difference_high; new_training (the shrunken estimate). An interval that the data do not
        support is None: it would contain all values that the metric can have, or differences that it cannot have. A
        fitted value beyond those that the metric can have, of an arm that lacks easy or hard seeds, is the nearest one.
        """
        sign, verdicts = self.criteria.sign, self.verdicts
        is_open = ~verdicts.is_worse
        has_spread = (self.model.counts > 1) & self.can_test
        low, high = new_trainings.mean_intervals(self.model, verdicts.leader)
        values = {
            "mean": self.model.means * sign,
            **_ends("low", "high", low, high, sign),
            "difference": 0.0 - verdicts.differences * sign,
            **_ends("difference_low", "difference_high", -verdicts.high, -verdicts.low, sign),
            "new_training": np.where(has_spread, new_trainings.shrunken_means(self.model, is_open) * sign, np.nan),
        }
        limits = self.criteria.limits
        for name in ("mean", "new_training"):
            values[name] = np.clip(values[name], *limits)
        values["difference"] = np.clip(values["difference"], -limits[1], limits[1])
        _keep_inside(values, ("low", "high"), limits)
        values["difference_low"][verdicts.leader] = np.nan
        _keep_inside(values, ("difference_low", "difference_high"), (-limits[1], limits[1]), clip=False)
        return {
            arm: {"verdict": self._verdict(i), **{name: _finite(column[i]) for name, column in values.items()}}
            for i, arm in enumerate(self.arms)
        }

    def _verdict(self, index: int) -> str:
        verdicts = self.verdicts
        if index == int(verdicts.leader):
            return BEST if verdicts.is_best and self.is_reliable[index] else LEADS
        flags = ((WORSE, verdicts.is_worse), (AS_GOOD, verdicts.is_as_good), (HIGHER, verdicts.is_higher))
        return next((name for name, flag in flags if flag[index]), UNDECIDED)


def judge_arms(
    values: pl.DataFrame,
    criteria: Criteria,
    *,
    look: int,
    unreliable: Collection[str] = (),
    resolution: float | None = None,
) -> Judgement | None:
    """Judges the arms by the trainings that learned; None if there is none.

    Args:
        values: one row per training: arm, seed, fold, accuracy (the metric), train_images and validation_images.
        criteria: what to judge by.
        look: see `Judgement`.
        unreliable: the arms that have not learned in all their trainings.
        resolution: the smallest difference of two values of a mean over classes (`ClassCounts.resolution`); None if
            the sizes of the classes are not recorded.
    """
    if not values.height:
        return None
    arms = tuple(values["arm"].unique(maintain_order=True))
    replicates = list(values.select("seed", "fold").unique(maintain_order=True).rows())
    matrix: Array = np.full((len(arms), len(replicates)), np.nan)
    rows, columns = ({key: i for i, key in enumerate(keys)} for keys in (arms, replicates))
    for arm, seed, fold, value in values.select("arm", "seed", "fold", "accuracy").rows():
        matrix[rows[arm], columns[seed, fold]] = value * criteria.sign
    model = fit(matrix, step=_step(values, criteria.described_metric, resolution), overlap=_overlap(values))
    is_reliable = np.array([arm not in unreliable for arm in arms])
    return Judgement(
        arms=arms,
        criteria=criteria,
        is_reliable=is_reliable,
        look=look,
        model=model,
        verdicts=judge(model, margin=criteria.margin, alpha=alpha_of_look(look), is_reliable=is_reliable),
    )


def _step(values: pl.DataFrame, metric: Metric, resolution: float | None) -> float:
    """The step of the metric's values; 0 for a loss, which has none.

    A share that counts classes has no step of 1 / images; without their sizes, that is the least that it can be.
    """
    images = values["validation_images"].drop_nulls().min()
    if not metric.is_share or not isinstance(images, int):
        return 0.0
    return 1 / images if metric.counts_images or resolution is None else resolution


def _overlap(values: pl.DataFrame) -> float:
    """Images to validate per image to train, if the replicates are folds of the same images; else 0."""
    folds = values.filter(pl.col("fold").is_not_null())
    ratio = folds.select((pl.col("validation_images") / pl.col("train_images")).mean()).item() if folds.height else None
    return float(ratio or 0.0)


def _ends(low_name: str, high_name: str, low: Array, high: Array, sign: float) -> dict[str, Array]:
    """The ends of intervals in the metric's own direction."""
    return {low_name: low, high_name: high} if sign > 0 else {low_name: -high, high_name: -low}


def _keep_inside(
    values: dict[str, Array], names: tuple[str, str], limits: tuple[float, float], *, clip: bool = True
) -> None:
    """Removes intervals that tell nothing: as wide as the limits, or beyond them without clipping."""
    low, high = (values[name] for name in names)
    is_finite = np.isfinite(low) & np.isfinite(high)
    tells = is_finite & ((low > limits[0]) | (high < limits[1]) if clip else (low >= limits[0]) & (high <= limits[1]))
    for name, ends in zip(names, (low, high), strict=True):
        values[name] = np.where(tells, np.clip(ends, *limits), np.nan)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
