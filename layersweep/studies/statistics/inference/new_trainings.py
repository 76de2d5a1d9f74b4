"""What a new training of an arm, with a new seed, would reach: an interval of its mean, and a shrunken estimate."""

import numpy as np

from layersweep.studies.statistics.inference.arm_model import ArmModel
from layersweep.studies.statistics.inference.arrays import Array, Flags, Indices
from layersweep.studies.statistics.inference.critical_values import CONFIDENCE, pair_value

_TINY = 1e-12


def mean_intervals(model: ArmModel, leader: Indices | None = None) -> tuple[Array, Array]:
    """The 95 % intervals of the arms' means over new seeds, (…, arms): infinite where the data support none.

    Seeds are a random effect: a mean over few seeds also varies because these seeds are easy or hard. Its variance is
    the sum of two mean squares with the degrees of freedom of Satterthwaite (1946), and at least that of the arm's own
    values. The leader was chosen for being high, so the lower end of its interval holds for the highest of all arms
    (Bonferroni's inequality).
    """
    seeds, arms = model.seed_effects.shape[-1], model.means.shape[-1]
    replicated = max(seeds - 1, 1)
    of_seeds = (model.seed_effects**2).sum(-1) / replicated / seeds
    known_part = np.trace(model.seed_covariance, axis1=-2, axis2=-1) / replicated / seeds
    of_arms = np.maximum(model.variances / model.counts - known_part[..., None], 0)
    variances = of_seeds[..., None] + of_arms
    parts = (of_seeds**2)[..., None] / replicated + of_arms**2 / np.maximum(model.freedom, _TINY)
    freedom = np.where(model.total_freedom[..., None] > 0, variances**2 / np.maximum(parts, 1e-300), 0.0)
    variances = np.maximum(variances, model.own_variances / model.counts)
    errors = np.sqrt(variances * (1 + model.overlap * model.counts))
    both_ends, leader_end = (pair_value(freedom, (1 - CONFIDENCE) / n) for n in (1, arms))
    is_leader = np.arange(arms) == (model.leader() if leader is None else leader)[..., None]
    lower = np.where(is_leader, leader_end, both_ends)
    with np.errstate(invalid="ignore"):  # no noise and no degree of freedom: 0 times infinity is an unknown end
        return model.means - lower * errors, model.means + both_ends * errors


def shrunken_means(model: ArmModel, is_leading: Flags) -> Array:
    """The means of the leading arms, shrunk towards their common mean; the others as they are, (…, arms).

    The highest of several means is too high: it was also lucky. As far as the leading arms differ no more than by
    chance, each is moved to their mean (James and Stein 1961; Efron and Morris 1975). The variance between arms is
    that of DerSimonian and Laird (1986), and 0 if the arms differ less than by chance. No arm is moved by more than one
    standard error, because an arm may be unlike the others (limited translation: Efron and Morris 1972).
    """
    errors = np.maximum(model.variances / model.counts, _TINY)
    weights = np.where(is_leading, 1 / errors, 0.0)
    total = np.maximum(weights.sum(-1, keepdims=True), _TINY)
    centre = (weights * model.means).sum(-1, keepdims=True) / total
    spread = (weights * (model.means - centre) ** 2).sum(-1, keepdims=True)
    excess = spread - (is_leading.sum(-1, keepdims=True) - 1)
    scale = total - (weights**2).sum(-1, keepdims=True) / total
    between = np.maximum(excess, 0) / np.maximum(scale, _TINY)
    shrunken_centre_weights = np.where(is_leading, 1 / (errors + between), 0.0)
    centre = (shrunken_centre_weights * model.means).sum(-1, keepdims=True) / np.maximum(
        shrunken_centre_weights.sum(-1, keepdims=True), _TINY
    )
    shifts = errors / (between + errors) * (centre - model.means)
    limited = np.clip(shifts, -np.sqrt(errors), np.sqrt(errors))
    shrunken: Array = np.where(is_leading, model.means + limited, model.means)
    return shrunken
