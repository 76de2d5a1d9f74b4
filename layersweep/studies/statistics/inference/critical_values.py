"""Critical values of t-tests of one pair, and of all pairs of arms together.

Fewer than one degree of freedom supports no test: the critical value is infinite.
"""

from functools import cache
from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array

FIRST_LOOK: Final = 0.04
"""The error that a sweep's first answer may spend; all later answers together spend the rest of 5 %."""
_LATER_LOOKS: Final = 0.01
CONFIDENCE: Final = 0.95
"""The level of the intervals of single arms, which decide nothing."""

_LEAST_FREEDOM: Final = 1 - 1e-6  # the sum of the arms' parts of one degree of freedom is rounded
_FREEDOM: Final = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 14.0, 20.0, 30.0, 60.0, 200.0, 1e6)
_QUANTILES: Final = 2000
_WIDEST_RANGE: Final = 60.0


def alpha_of_look(look: int) -> float:
    """The error of the `look`-th answer of a sweep: .04, then .005, .0025, … so that all answers together stay at .05.

    Who adds seeds until something shows tests again and again. By Bonferroni's inequality, the errors of all looks add
    up to at most their sum (Armitage, McPherson and Rowe 1969; alpha spending: Lan and DeMets 1983).
    """
    return FIRST_LOOK if look <= 1 else _LATER_LOOKS / 2.0 ** (look - 1)


def pair_value(freedom: Array, alpha: float) -> Array:
    """The critical value of a two-sided t-test of one pair."""
    from scipy.special import stdtrit

    value: Array = np.where(freedom >= _LEAST_FREEDOM, stdtrit(np.maximum(freedom, 1), 1 - alpha / 2), np.inf)
    return value


def all_pairs_value(arms: int, freedom: Array, alpha: float) -> Array:
    """The critical value of |t| for all pairs of `arms` means together: the studentized range, divided by √2.

    With a standard error and degrees of freedom for each pair, this is the test of Games and Howell (1976). Values
    between tabulated degrees of freedom are interpolated in 1 / df; the error is below 0.2 %.
    """
    if arms <= 1:
        return np.zeros_like(freedom)
    tabulated = _ranges(arms, alpha)
    logarithm = np.interp(-1 / np.maximum(freedom, 1), -1 / np.array(_FREEDOM), np.log(tabulated))
    value: Array = np.where(freedom >= _LEAST_FREEDOM, np.exp(logarithm) / np.sqrt(2), np.inf)
    return value


@cache
def _ranges(arms: int, alpha: float) -> Array:
    """The quantiles of the studentized range at `_FREEDOM`; scipy's function takes .1 s for each and fails at 3,000."""
    from scipy.optimize import brentq
    from scipy.special import chdtri, ndtr

    z = np.linspace(-8, 8, 401)
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    widths = np.linspace(0, _WIDEST_RANGE, 2400)
    below = arms * ((ndtr(z) - ndtr(z - widths[:, None])) ** (arms - 1)) @ weights
    midpoints = (np.arange(_QUANTILES) + 0.5) / _QUANTILES

    def excess(value: float, deviations: Array) -> float:
        return float(np.interp(value * deviations, widths, below).mean()) - (1 - alpha)

    return np.array(
        [brentq(excess, 0.01, 1e5, args=(np.sqrt(chdtri(df, 1 - midpoints) / df),), rtol=1e-6) for df in _FREEDOM]
    )
