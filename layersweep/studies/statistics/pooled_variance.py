"""Tests of arms; the residual variance is pooled over seeds and over those arms that scatter alike.

With three seeds, a paired t-test has 2 degrees of freedom and finds nothing; the additive model `accuracy = arm + seed`
has (A-1)(S-1) for A arms and S seeds. It assumes that the arms scatter alike: an arm that scatters much more would
widen the others' intervals, one that is stuck (at chance in every epoch, say) would narrow them. Neither is pooled. The
former is tested by Welch's t-test; the latter by the pooled variance, which is for it on the safe side. Arms that learn
and agree by chance, as two seeds on few images may, are pooled like any other.
"""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.05
ALIKE: Final = 3.0
"""An arm scatters more than the others if its standard deviation exceeds this many times the median arm's.

With 3 seeds that is about an F-test at .005: F(2, 12) is 8.5 there, the square of 2.9.
"""
_ALIKE_OF_TWO: Final = 5.0  # two seeds: F(1, 7) is 16 there, and the median arm is as uncertain
_ZERO: Final = 1e-12
_PAIR: Final = 2  # seeds


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """A fitted model: `model` names it, `deviation` is the residual's, `df` its degrees of freedom.

    `effects` are the arms' means, adjusted for missing seeds; `factors` the variance of each pair's difference in units
    of the residual variance.
    """

    model: str
    df: int
    deviation: float
    effects: Mapping[str, float]
    factors: Mapping[tuple[str, str], float]

    def half_width(self, n: int) -> float:
        """Half of the 95 % interval of a mean of n replicates, for comparing arms on the same seeds."""
        return _half_width(self.deviation, self.df, n)

    def p_value(self, first: str, second: str) -> float:
        """Two-sided t-test of two arms' difference, uncorrected."""
        error = self.deviation * self.factors[first, second] ** 0.5
        return _t_test(self.effects[first] - self.effects[second], error, self.df)


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The arms' values, and the model of those arms that scatter alike.

    `pool` is None where all arms are constant; `apart` holds the standard deviations of the arms left out of it.
    """

    values: Mapping[str, Sequence[float]]
    pool: Pooled | None
    apart: Mapping[str, float]

    @property
    def effects(self) -> Mapping[str, float]:
        """The arms' means, adjusted for missing seeds where the pool allows it."""
        inside = self.pool.effects if self.pool else {}
        return {name: inside.get(name, fmean(values)) for name, values in self.values.items()}

    def half_width(self, name: str) -> float | None:
        """Half of the 95 % interval of an arm's mean; None for an arm apart that is constant or has one seed."""
        values = self.values[name]
        if self.pool and name in self.pool.effects:
            return self.pool.half_width(len(values))
        deviation = self.apart.get(name)
        return _half_width(deviation, len(values) - 1, len(values)) if deviation else None

    def p_value(self, first: str, second: str) -> float:
        """Two-sided, uncorrected: by the pooled variance; by Welch's t-test if an arm scatters more than the pool."""
        a, b = self.values[first], self.values[second]
        if self.pool is None or self.apart.get(first) or self.apart.get(second):
            return welch(a, b)
        if first in self.pool.effects and second in self.pool.effects:
            return self.pool.p_value(first, second)
        error = self.pool.deviation * math.sqrt(1 / len(a) + 1 / len(b))
        return _t_test(self.effects[first] - self.effects[second], error, self.pool.df)


def fitted(
    arms: Sequence[str], seeds: Sequence[Hashable], values: Sequence[float], *, learning: Collection[str] = ()
) -> Fit | None:
    """Pools the arms that scatter alike; None where no arm has two values: one seed supports no test.

    An arm with one value has no deviation; it is taken to scatter like the pool, or like the arm it is tested against.
    An arm whose values are all equal is taken to be constant, unless it is known to be `learning`.
    """
    by_arm: dict[str, list[float]] = {}
    for arm, value in zip(arms, values, strict=True):
        by_arm.setdefault(arm, []).append(value)
    exact = {name: stdev(mine) for name, mine in by_arm.items() if len(mine) > 1}
    spread = {name: deviation if deviation > _ZERO else 0.0 for name, deviation in exact.items()}
    if not spread:
        return None
    pooled_arms = alike(spread, {name: len(mine) for name, mine in by_arm.items()}, learning=learning)
    apart = {name: deviation for name, deviation in spread.items() if name not in pooled_arms}
    rows = [row for row in zip(arms, seeds, values, strict=True) if row[0] not in apart] if pooled_arms else []
    pool = pooled([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]) if rows else None
    return Fit(values=by_arm, pool=pool, apart=apart)


def alike(spread: Mapping[str, float], n: Mapping[str, int], *, learning: Collection[str] = ()) -> set[str]:
    """The arms that scatter, and not much more than the median one of them; `n` counts each arm's seeds.

    With them those that are `learning`, and whose seeds agree by chance.
    """
    scattering = {name: deviation for name, deviation in spread.items() if deviation}
    if not scattering:
        return set()
    typical = median(scattering.values())
    limits = {name: ALIKE if n[name] > _PAIR else _ALIKE_OF_TWO for name in scattering}
    near = {name for name, deviation in scattering.items() if deviation <= limits[name] * typical}
    return near | {name for name in spread if name not in scattering and name in learning}


def welch(first: Sequence[float], second: Sequence[float]) -> float:
    """Welch's two-sided t-test. A constant arm adds no variance; a single value is taken to scatter as the other arm.

    Two constant arms differ for certain or not at all; of a single value and a constant arm nothing is known: 1.
    """
    numbers = [len(first), len(second)]
    variances = [stdev(values) ** 2 if len(values) > 1 else None for values in (first, second)]
    known = [variance for variance in variances if variance is not None]
    single = len(known) == 1
    if not known or (single and known[0] < _ZERO**2):
        return 1.0
    errors = [(known[0] if var is None else var) / n for var, n in zip(variances, numbers, strict=True)]
    df = float(max(numbers) - 1)
    if not single and sum(errors) > _ZERO**2:
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


def pooled(arms: Sequence[str], seeds: Sequence[Hashable], values: Sequence[float]) -> Pooled | None:
    """Fits `value = arm + seed` by least squares; `value = arm` where seeds do not connect the arms.

    Returns:
        None if no degree of freedom is left for the residual: one seed supports no test.
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
) -> Pooled:
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
    return Pooled(
        model=model, df=df, deviation=float(residual @ residual / df) ** 0.5, effects=effects, factors=factors
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down correction (1979): adjusted p-values, to be compared with alpha, in the given order.

    Raises:
        ValueError: for a p-value that is no number.
    """
    if any(math.isnan(p) for p in p_values.values()):
        raise ValueError(f"a p-value is no number: {dict(p_values)}")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for i, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def verdicts(fit: Fit) -> tuple[dict[str, str], dict[str, float]]:
    """Says of each arm whether it is best, tied or worse; with Holm-adjusted p-values against the arm that leads.

    The leader is "best" only if every other arm is "worse"; else it is "tied" with those that no test tells from it.
    """
    effects = fit.effects
    leader = max(effects, key=lambda name: effects[name])
    others = [name for name in effects if name != leader]
    adjusted = holm({name: fit.p_value(leader, name) for name in others})
    said = {name: "worse" if adjusted[name] < ALPHA else "tied" for name in others}
    if not others:
        return {leader: "only arm"}, adjusted
    return {leader: "tied" if "tied" in said.values() else "best", **said}, adjusted
