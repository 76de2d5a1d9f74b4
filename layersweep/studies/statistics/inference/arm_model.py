"""The model of a comparison: `value = arm + seed + noise`, with a noise variance of its own for each arm.

All arms are trained on the same seeds, and a seed has an effect on all of them (its validation images are easier, for
example). Differences of arms do not contain this effect. It is estimated by weighted least squares: an arm that
scatters much has a small weight. If the arms share too few seeds for that, the model is `value = arm + noise`.

All functions work on arrays with any number of leading axes, so that a simulation of 10,000 sweeps is one call.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array, Flags, Indices
from layersweep.studies.statistics.inference.variance_shrinkage import shrink

_STEPS: Final = 5
_TINY: Final = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmModel:
    """The fitted model; shapes without leading axes.

    Attributes:
        means: (arms,) the fitted means over all seeds, also of an arm that lacks some of them.
        counts: (arms,) the number of values.
        variances: (arms,) the noise variance of one training, shrunk.
        own_variances: (arms,) the variance of the arm's own values, seed effects included; 0 for one value.
        freedom: (arms,) its degrees of freedom; 0 if nothing is known.
        total_freedom: () the degrees of freedom of all arms together; 0 if all values of each arm are equal.
        has_seed_effects: () whether the model contains the seeds.
        seed_effects: (seeds,) their sum is 0; 0 without seeds in the model.
        seed_covariance: (seeds, seeds) the covariance of the estimated seed effects.
        seeds_of_arms: (arms, seeds) 1 / counts where the arm has a value, else 0.
        overlap: images to validate per image to train, if all replicates are folds of the same images; else 0.
    """

    means: Array
    counts: Array
    variances: Array
    own_variances: Array
    freedom: Array
    total_freedom: Array
    has_seed_effects: Flags
    seed_effects: Array
    seed_covariance: Array
    seeds_of_arms: Array
    overlap: float

    def leader(self, is_eligible: Flags | None = None) -> Indices:
        """The index of the arm with the highest fitted mean, of the eligible ones if there are any."""
        if is_eligible is None:
            is_eligible = np.ones(self.means.shape, dtype=np.bool_)
        nobody = ~is_eligible.any(-1, keepdims=True)
        leader: Indices = np.argmax(np.where(is_eligible | nobody, self.means, -np.inf), -1)
        return leader

    def differences(self, arm: Indices) -> tuple[Array, Array, Array]:
        """The differences of an arm to each arm: estimates, standard errors, degrees of freedom, each (…, arms).

        The degrees of freedom are Satterthwaite's (1946), at most those of all arms together. Folds train on the same
        images, so their results are not independent: the variance of a mean of n folds is not 1/n, but 1/n + overlap
        times that of one (Nadeau and Bengio 2003).
        """
        index = arm[..., None]
        own = self.variances / self.counts
        other = np.take_along_axis(own, index, -1)
        rows = np.take_along_axis(self.seeds_of_arms, index[..., None], -2) - self.seeds_of_arms
        seeds = np.einsum("...as,...st,...at->...a", rows, self.seed_covariance, rows)
        own_part = own**2 / np.maximum(self.freedom, _TINY)
        parts = own_part + np.take_along_axis(own_part, index, -1)
        freedom = np.minimum((own + other) ** 2 / np.maximum(parts, 1e-300), self.total_freedom[..., None])
        estimates = np.take_along_axis(self.means, index, -1) - self.means
        variances = (own + other + seeds) * (1 + self.overlap * np.maximum(self.counts, 1))
        return estimates, np.sqrt(np.maximum(variances, 0)), freedom


def fit(values: Array, *, step: float = 0.0, overlap: float = 0.0) -> ArmModel:
    """Fits the model.

    Args:
        values: (…, arms, seeds), NaN where an arm has no value. Each arm and each seed has at least one.
        step: the smallest difference of two values, for example 1 / images for an accuracy. Equal values do not show
            that there is no noise: the variance is at least that of rounding, step² / 12 (Sheppard 1898).
        overlap: see `ArmModel`.
    """
    is_present = ~np.isnan(values)
    present = is_present.astype(np.float64)
    counts = present.sum(-1)
    means = np.where(is_present, values, 0.0).sum(-1) / counts
    deviations = np.where(is_present, values - means[..., None], 0.0)
    squares = (deviations**2).sum((-1, -2)) / np.maximum((counts - 1).sum(-1), 1)
    scale = np.where(squares > 0, np.sqrt(squares), 1.0)
    with_seeds = _shares_seeds(present)
    variances = np.ones_like(means)
    for _ in range(_STEPS):
        covariance = _seed_covariance(present, counts, 1 / variances, with_seeds)
        effects, residuals, freedom = _residuals(
            deviations / scale[..., None, None], present, counts, variances, covariance
        )
        raw = np.where(freedom > 0, (residuals**2).sum(-1) / np.maximum(freedom, _TINY), 0.0)
        shrunk, shrunk_freedom = shrink(raw, freedom, values.shape[-1])
        variances = np.maximum(shrunk, 1e-6)
    shifts = (present * effects[..., None, :]).sum(-1) / counts
    return ArmModel(
        means=means - shifts * scale[..., None],
        counts=counts,
        variances=np.maximum(shrunk * scale[..., None] ** 2 * (squares > 0)[..., None], step**2 / 12),
        own_variances=(deviations**2).sum(-1) / np.maximum(counts - 1, 1),
        freedom=shrunk_freedom,
        total_freedom=np.where(squares > 0, freedom.sum(-1), 0.0),
        has_seed_effects=with_seeds,
        seed_effects=effects * scale[..., None],
        seed_covariance=covariance * scale[..., None, None] ** 2,
        seeds_of_arms=present / counts[..., None],
        overlap=overlap,
    )


def _shares_seeds(present: Array) -> Flags:
    """Whether the arms share enough seeds to estimate the seeds' effects, with a degree of freedom left for noise."""
    arms, seeds = present.shape[-2:]
    counts = present.sum(-1)
    links = _information(present, counts, np.ones_like(counts))
    is_connected = (np.linalg.eigvalsh(links) > _TINY).sum(-1) == seeds - 1
    shares: Flags = is_connected & (counts.sum(-1) - arms - (seeds - 1) >= 1) & (seeds > 1)
    return shares


def _information(present: Array, counts: Array, weights: Array) -> Array:
    """The information matrix of the seed effects, after the arms' means are estimated: (…, seeds, seeds)."""
    diagonal = (weights[..., None] * present).sum(-2)
    products = np.einsum("...a,...as,...at->...st", weights / counts, present, present)
    information: Array = diagonal[..., None] * np.eye(present.shape[-1]) - products
    return information


def _seed_covariance(present: Array, counts: Array, weights: Array, with_seeds: Flags) -> Array:
    """The covariance of seed effects whose sum is 0; zeros where the model is without seeds."""
    seeds = present.shape[-1]
    information = _information(present, counts, weights)
    mean = np.full((seeds, seeds), 1 / seeds)
    size = np.trace(information, axis1=-2, axis2=-1)[..., None, None] / seeds
    regular = np.where(with_seeds[..., None, None], information + mean * size, np.eye(seeds))
    safe_size = np.where(with_seeds[..., None, None], size, 1.0)
    inverse: Array = np.linalg.inv(regular) - mean / safe_size
    return np.where(with_seeds[..., None, None], inverse, 0.0)


def _residuals(
    deviations: Array, present: Array, counts: Array, variances: Array, covariance: Array
) -> tuple[Array, Array, Array]:
    """The seed effects (…, seeds), the residuals (…, arms, seeds), and the degrees of freedom of each arm (…, arms)."""
    weighted = ((1 / variances)[..., None] * deviations).sum(-2)
    effects = np.einsum("...st,...t->...s", covariance, weighted)
    shifts = (present * effects[..., None, :]).sum(-1) / counts
    residuals = present * (deviations - effects[..., None, :] + shifts[..., None])
    own = np.einsum("...as,...ss->...a", present, covariance)
    shared = np.einsum("...as,...st,...at->...a", present, covariance, present) / counts
    freedom = counts - 1 - (own - shared) / variances
    return effects, residuals, np.where(freedom > _TINY, freedom, 0.0)
