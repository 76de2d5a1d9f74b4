"""How many seeds an arm needs, until a difference of a given size is shown."""

from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arm_model import ArmModel
from layersweep.studies.statistics.inference.arrays import Array, Flags, Indices
from layersweep.studies.statistics.inference.critical_values import pair_value
from layersweep.studies.statistics.inference.variance_shrinkage import prior_freedom

POWER: Final = 0.8
MAX_SEEDS: Final = 1000
"""No larger number is computed."""
_MIN_SEEDS: Final = 3
_SCALES: Final = 16
_NODES: Final = 15


def seeds_needed(model: ArmModel, is_open: Flags, *, difference: float, alpha: float) -> Indices:
    """The number of seeds per arm, in all, with which an arm that is ahead by `difference` is called best.

    The arm beats all others with a probability of 80 % if it is ahead of each by the difference, each test at `alpha`.
    The noise is not known exactly: the probability is a mean over what it may be, given its degrees of freedom
    (assurance: O'Hagan, Stevens and Campbell 2005). The observed differences are not used, because chance made the
    largest of them large (Hoenig and Heisey 2001).

    Args:
        model: the fitted model.
        is_open: (…, arms) the arms that are to be told apart, with the leader.
        difference: in units of the values.
        alpha: the error of the next look.

    Returns:
        (…) the number; `MAX_SEEDS` if it is not smaller; 0 if the noise is not known, or only one arm is open.
    """
    low = np.full(model.total_freedom.shape, _MIN_SEEDS - 1)
    high = np.full(model.total_freedom.shape, MAX_SEEDS)
    while (high - low > 1).any():
        middle = (low + high) // 2
        is_enough = _power(model, is_open, middle, difference, alpha) >= POWER
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    is_known = (
        np.isfinite(pair_value(model.total_freedom, alpha)) & (is_open.sum(-1) > 1) & (model.variances > 0).all(-1)
    )
    seeds: Indices = np.where(is_known, high, 0)
    return seeds


def _power(model: ArmModel, is_open: Flags, seeds: Indices, difference: float, alpha: float) -> Array:
    """The probability (…) that an arm which is ahead by `difference` beats all other open arms with so many seeds."""
    from scipy.special import chdtri, ndtr, roots_hermitenorm

    arms = model.means.shape[-1]
    leader = model.leader(is_open)[..., None]
    own = np.take_along_axis(model.variances, leader, -1)
    others = np.where(is_open & (np.arange(arms) != leader), model.variances, 0.0)
    freedom = np.minimum(2 * (prior_freedom(seeds) + (seeds - 1) * (1 - 1 / arms)), (seeds - 1) * max(arms - 1, 1))
    critical = pair_value(freedom, alpha)[..., None]
    nodes, weights = roots_hermitenorm(_NODES)
    known = np.maximum(model.total_freedom, 1)
    total = np.zeros(model.total_freedom.shape)
    for quantile in (np.arange(_SCALES) + 0.5) / _SCALES:
        scale = np.sqrt(known / chdtri(known, 1 - quantile))[..., None]
        limit = difference * np.sqrt(seeds)[..., None] / scale - critical * np.sqrt(own + others)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            beaten = np.where(
                others > 0, ndtr((limit + node * np.sqrt(own)) / np.sqrt(np.maximum(others, 1e-300))), 1.0
            )
            total += weight * beaten.prod(-1) / _SCALES
    return total
