"""Variances of arms, shrunk towards each other as far as they may be equal.

With three seeds, the variance of one arm is hardly known, and the common variance of all arms is known well. But one
arm may scatter five times as much as the others. Smyth (2004) shrinks each variance towards a common one. Phipson and
others (2016) shrink an arm less, the less its variance fits to those of the others. Here the fit is the posterior
probability that the arm has the common variance: of two kinds of arms, 70 % have it, and the others have any.

How far the variances are shrunk was chosen by simulation (docs/statistics.md): with two seeds not at all, because two
seeds cannot show that an arm scatters more.
"""

from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array, Indices

_COMMON_SHARE: Final = 0.7
_OTHER_FREEDOM: Final = 1.0
"""The degrees of freedom of the F distribution of an arm's own variance, relative to the common one."""
_FREEDOM_PER_SEED: Final = 4.0
_FREE_SEEDS: Final = 2
_STEPS: Final = 8
_SMALLEST: Final = 1e-8


def shrink(variances: Array, freedom: Array, seeds: int) -> tuple[Array, Array]:
    """Shrinks the variances of arms towards their common variance.

    Args:
        variances: (…, arms), each estimated with the `freedom` of its arm; ignored where that is 0.
        freedom: (…, arms), degrees of freedom.
        seeds: the number of seeds.

    Returns:
        The shrunk variances and their degrees of freedom, both (…, arms). No arm has more degrees of freedom than all
        arms together.
    """
    common, share = _common_variance(variances, freedom)
    prior = np.maximum(prior_freedom(np.array(seeds)) * share, 1e-9)
    total = freedom.sum(-1, keepdims=True)
    shrunk = (prior * common[..., None] + freedom * variances) / (prior + freedom)
    return shrunk, np.minimum(prior + freedom, total)


def prior_freedom(seeds: Indices) -> Array:
    """The degrees of freedom that the common variance adds to an arm which certainly has it."""
    freedom: Array = _FREEDOM_PER_SEED * np.maximum(seeds - _FREE_SEEDS, 0.0)
    return freedom


def _common_variance(variances: Array, freedom: Array) -> tuple[Array, Array]:
    """The common variance (…), and the probability that each arm has it (…, arms); by expectation maximisation."""
    from scipy.special import betaln, gammaln, xlogy

    known = freedom > 0
    half = np.where(known, freedom, 1.0) / 2
    start = np.where(known, variances, np.nan)
    common = np.nanmedian(np.where(known.any(-1, keepdims=True), start, 1.0), -1)
    common = np.where(common > 0, common, 1.0)
    other = _OTHER_FREEDOM / 2
    constant_if_common = half * np.log(half) - gammaln(half)
    constant_if_other = half * np.log(half / other) - betaln(half, other)
    share = np.where(known, _COMMON_SHARE, 0.0)
    for _ in range(_STEPS):
        ratio = np.maximum(variances / common[..., None], _SMALLEST)
        if_common = xlogy(half - 1, ratio) - half * ratio + constant_if_common
        if_other = xlogy(half - 1, ratio) - (half + other) * np.log1p(half / other * ratio) + constant_if_other
        odds = (1 - _COMMON_SHARE) / _COMMON_SHARE * np.exp(np.clip(if_other - if_common, -50, 50))
        share = np.where(known, 1 / (1 + odds), 0.0)
        weights = share * freedom
        common = (weights * variances).sum(-1) / np.maximum(weights.sum(-1), _SMALLEST)
        common = np.where(common > 0, common, 1.0)
    return common, np.where(known, share, 1.0)
