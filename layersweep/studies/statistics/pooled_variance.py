"""Tests of arms with a residual variance that is pooled over the seeds of all arms with a similar spread.

A paired t-test on three seeds has 2 degrees of freedom and hardly ever finds a difference. The additive model
`accuracy = arm + seed` has (A-1)(S-1) degrees of freedom for A arms and S seeds. It assumes that all arms have the same
spread. An arm with a much larger spread would widen the intervals of the others; an arm that does not learn (at chance
in every epoch, for example) would narrow them. Both stay out of the pool. The former is tested with Welch's t-test, the
latter with the pooled variance, which is conservative there. An arm that learns and has equal values by chance (two
seeds on few images, for example) is in the pool.
"""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.05
MAX_SPREAD: Final = 3.0
"""An arm stays out of the pool if its standard deviation is more than this many times that of the median arm.

With 3 seeds that is about an F-test at .005: F(2, 12) is 8.5 there, the square of 2.9.
"""
_MAX_SPREAD_OF_TWO: Final = 5.0  # for two seeds: F(1, 7) is 16 there, and the median arm is as uncertain
_ZERO: Final = 1e-12
_PAIR: Final = 2  # seeds


@dataclass(frozen=True, kw_only=True)
class PooledModel:
    """A fitted model: its name (`model`), and the standard deviation and degrees of freedom (`df`) of its residual.

    `effects` are the means of the arms, adjusted for missing seeds. `factors` are the variances of the differences of
    two arms, as multiples of the residual variance.
    """

    model: str
    df: int
    deviation: float
    effects: Mapping[str, float]
    factors: Mapping[tuple[str, str], float]

    def half_width(self, n: int) -> float:
        """Half of the 95 % interval of a mean of n replicates, to compare arms on the same seeds."""
        return _half_width(self.deviation, self.df, n)

    def p_value(self, first: str, second: str) -> float:
        """The p-value of a two-sided t-test of two arms, not corrected for multiple tests."""
        error = self.deviation * self.factors[first, second] ** 0.5
        return _t_test(self.effects[first] - self.effects[second], error, self.df)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The values of the arms, and the model of the arms with a similar spread.

    `pool` is None if all arms are constant; `unpooled` has the standard deviations of the arms outside the pool.
    """

    values: Mapping[str, Sequence[float]]
    pool: PooledModel | None
    unpooled: Mapping[str, float]

    @property
    def effects(self) -> Mapping[str, float]:
        """The means of the arms; those in the pool are adjusted for missing seeds."""
        adjusted = self.pool.effects if self.pool else {}
        return {name: adjusted.get(name, fmean(values)) for name, values in self.values.items()}

    def half_width(self, name: str) -> float | None:
        """Half of the 95 % interval of an arm's mean; None for an unpooled arm that is constant or has one seed."""
        values = self.values[name]
        if self.pool and name in self.pool.effects:
            return self.pool.half_width(len(values))
        deviation = self.unpooled.get(name)
        return _half_width(deviation, len(values) - 1, len(values)) if deviation else None

    def p_value(self, first: str, second: str) -> float:
        """The p-value of a two-sided test of two arms, not corrected for multiple tests.

        It uses the pooled variance, or Welch's t-test if one of the arms has a larger spread than the pool.
        """
        a, b = self.values[first], self.values[second]
        if self.pool is None or self.unpooled.get(first) or self.unpooled.get(second):
            return welch(a, b)
        if first in self.pool.effects and second in self.pool.effects:
            return self.pool.p_value(first, second)
        error = self.pool.deviation * math.sqrt(1 / len(a) + 1 / len(b))
        return _t_test(self.effects[first] - self.effects[second], error, self.pool.df)


def fit_arms(
    arms: Sequence[str], seeds: Sequence[Hashable], values: Sequence[float], *, learning: Collection[str] = ()
) -> Fit | None:
    """Pools the arms with a similar spread; None if no arm has two values, because one seed allows no test.

    An arm with one value is assumed to have the spread of the pool, or of the arm that it is tested against. An arm
    with equal values is assumed to be constant, unless it is one of the `learning` arms.
    """
    by_arm: dict[str, list[float]] = {}
    for arm, value in zip(arms, values, strict=True):
        by_arm.setdefault(arm, []).append(value)
    deviations = {name: stdev(arm_values) for name, arm_values in by_arm.items() if len(arm_values) > 1}
    spread = {name: deviation if deviation > _ZERO else 0.0 for name, deviation in deviations.items()}
    if not spread:
        return None
    seeds_of = {name: len(arm_values) for name, arm_values in by_arm.items()}
    pooled_arms = arms_of_similar_spread(spread, seeds_of, learning=learning)
    unpooled = {name: deviation for name, deviation in spread.items() if name not in pooled_arms}
    rows = [row for row in zip(arms, seeds, values, strict=True) if row[0] not in unpooled] if pooled_arms else []
    pool = fit_pool([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]) if rows else None
    return Fit(values=by_arm, pool=pool, unpooled=unpooled)


def arms_of_similar_spread(
    spread: Mapping[str, float], n: Mapping[str, int], *, learning: Collection[str] = ()
) -> set[str]:
    """The arms whose values vary, but not much more than those of the median arm; `n` is the number of seeds per arm.

    Arms that are `learning` belong to them even if their values are equal.
    """
    variable_arms = {name: deviation for name, deviation in spread.items() if deviation}
    if not variable_arms:
        return set()
    typical = median(variable_arms.values())
    limits = {name: MAX_SPREAD if n[name] > _PAIR else _MAX_SPREAD_OF_TWO for name in variable_arms}
    similar = {name for name, deviation in variable_arms.items() if deviation <= limits[name] * typical}
    return similar | {name for name in spread if name not in variable_arms and name in learning}


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """The p-value of Welch's two-sided t-test.

    A constant arm adds no variance; a single value is assumed to have the spread of the other arm. For two constant
    arms the result is 0 or 1; for a single value and a constant arm it is 1, because nothing is known.
    """
    numbers = [len(first), len(second)]
    variances = [stdev(values) ** 2 if len(values) > 1 else None for values in (first, second)]
    known_variances = [variance for variance in variances if variance is not None]
    has_single_value = len(known_variances) == 1
    if not known_variances or (has_single_value and known_variances[0] < _ZERO**2):
        return 1.0
    errors = [(known_variances[0] if var is None else var) / n for var, n in zip(variances, numbers, strict=True)]
    df = float(max(numbers) - 1)
    if not has_single_value and sum(errors) > _ZERO**2:
        df = sum(errors) ** 2 / sum(error**2 / (n - 1) for error, n in zip(errors, numbers, strict=True))
    return _t_test(fmean(first) - fmean(second), math.sqrt(sum(errors)), df)


def _t_test(difference: float, error: float, df: float) -> float:
    from scipy.special import stdtr

    if error < _ZERO:
        return 1.0 if abs(difference) < _ZERO else 0.0
    return 2 * float(stdtr(df, -abs(difference) / error))


def _half_width(deviation: float, df: int, n: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, 1 - ALPHA / 2)) * deviation / math.sqrt(n)


def fit_pool(arms: Sequence[str], seeds: Sequence[Hashable], values: Sequence[float]) -> PooledModel | None:
    """Fits `value = arm + seed` by least squares, or `value = arm` if the arms share too few seeds for that.

    Returns:
        None if no degree of freedom is left for the residual, because one seed allows no test.
    """
    names, blocks = list(dict.fromkeys(arms)), list(dict.fromkeys(seeds))
    arm_design = np.array([[arm == name for name in names] for arm in arms], dtype=float)
    seed_design = np.array([[seed == block for block in blocks[1:]] for seed in seeds], dtype=float)
    observed = np.asarray(values, dtype=float)
    if len(names) > 1 and len(blocks) > 1:
        both = np.hstack([arm_design, seed_design])
        rank = int(np.linalg.matrix_rank(both))
        if rank == len(names) + len(blocks) - 1 and len(observed) > rank:
            return _fit("arm + seed", names, both, observed, rank)
    if len(observed) > len(names):
        return _fit("arm", names, arm_design, observed, len(names))
    return None


def _fit(
    model: str, names: Sequence[str], design: NDArray[np.float64], observed: NDArray[np.float64], rank: int
) -> PooledModel:
    gram = np.linalg.pinv(design.T @ design)
    estimate = gram @ design.T @ observed
    residual = observed - design @ estimate
    df = len(observed) - rank
    shift = float(estimate[len(names) :].sum()) / (design.shape[1] - len(names) + 1)
    factors = {
        (a, b): float(gram[i, i] + gram[j, j] - 2 * gram[i, j])
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j
    }
    effects = {name: float(estimate[i]) + shift for i, name in enumerate(names)}
    return PooledModel(
        model=model, df=df, deviation=float(residual @ residual / df) ** 0.5, effects=effects, factors=factors
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (1979): adjusted p-values, in the order of `p_values`.

    Raises:
        ValueError: if a p-value is NaN.
    """
    if any(math.isnan(p) for p in p_values.values()):
        raise ValueError(f"a p-value is NaN: {dict(p_values)}")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for i, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def verdicts(fit: Fit) -> tuple[dict[str, str], dict[str, float]]:
    """The verdict of each arm (best, tied or worse), and the Holm-adjusted p-values of the tests against the leader.

    The leader is "best" only if every other arm is "worse". Otherwise it is "tied" with the arms from which it does not
    differ significantly.
    """
    effects = fit.effects
    leader = max(effects, key=lambda name: effects[name])
    others = [name for name in effects if name != leader]
    adjusted = holm({name: fit.p_value(leader, name) for name in others})
    verdict_by_arm = {name: "worse" if adjusted[name] < ALPHA else "tied" for name in others}
    if not others:
        return {leader: "only arm"}, adjusted
    return {leader: "tied" if "tied" in verdict_by_arm.values() else "best", **verdict_by_arm}, adjusted
