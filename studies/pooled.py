"""Tests of arms whose residual variance is pooled over arms and seeds.

With three seeds, a paired t-test has 2 degrees of freedom and finds nothing; the additive model `accuracy = arm + seed`
has (A-1)(S-1) for A arms and S seeds. It assumes that the arms scatter alike.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ALPHA: Final = 0.05
_ZERO: Final = 1e-12


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
        from scipy.special import stdtrit

        return float(stdtrit(self.df, 1 - ALPHA / 2)) * self.deviation / math.sqrt(n)

    def p_value(self, first: str, second: str) -> float:
        """Two-sided t-test of two arms' difference, uncorrected."""
        from scipy.special import stdtr

        difference = abs(self.effects[first] - self.effects[second])
        error = self.deviation * self.factors[first, second] ** 0.5
        if error < _ZERO:
            return 1.0 if difference < _ZERO else 0.0
        return 2 * float(stdtr(self.df, -difference / error))


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
    """Holm's step-down correction (1979): adjusted p-values, to be compared with alpha, in the given order."""
    adjusted: dict[str, float] = {}
    highest = 0.0
    for i, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - i) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


def verdicts(fit: Pooled) -> tuple[dict[str, str], dict[str, float]]:
    """Says of each arm whether it is best, tied or worse; with Holm-adjusted p-values against the arm that leads.

    The leader is "best" only if every other arm is "worse"; else it is "tied" with those that no test tells from it.
    """
    leader = max(fit.effects, key=lambda name: fit.effects[name])
    others = [name for name in fit.effects if name != leader]
    adjusted = holm({name: fit.p_value(leader, name) for name in others})
    said = {name: "worse" if adjusted[name] < ALPHA else "tied" for name in others}
    if not others:
        return {leader: "only arm"}, adjusted
    return {leader: "tied" if "tied" in said.values() else "best", **said}, adjusted
