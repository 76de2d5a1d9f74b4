"""A least-squares model of a grid whose errors need not be equal: one choice may scatter more than another.

No training is removed: in a small grid, a training that is far from the model cannot be told from a strong interaction.

- Variances are estimated training by training: e² / (1 - h), with residual e and leverage h (HC2: MacKinnon and White
  1985, Journal of Econometrics 29, 305). Their degrees of freedom are a lower bound of those of Bell and McCaffrey
  (2002, Survey Methodology 28, 169; Imbens and Kolesár 2016, Review of Economics and Statistics 98, 701), and equal
  to them if all trainings weigh the same. In a balanced grid this is the usual analysis of variance.
- The F-test of a term compares its sum of squares with what those variances lead one to expect (Brown and Forsythe
  1974, Technometrics 16, 129; degrees of freedom: Box 1954, Annals of Mathematical Statistics 25, 290).
- Where a choice may do well on some seeds and badly on others, more trainings on the same seeds do not average that
  out. The mean square of seed x key is then the error of the effects of a key (as in a mixed model with random seeds:
  Montgomery 2017, section 13.2): the one pooled over all keys if it is larger than the residual's, or that
  of the key itself where it is larger still, and above the residual in an F-test at .2 (pooling after a preliminary
  test: Bancroft 1964, Biometrics 20, 427).
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array

Term = tuple[str, ...]
"""One key, or two keys that interact; the empty term is the effect of the seeds."""

_TINY: Final = 1e-9
_PRELIMINARY: Final = 0.2
"""The error of the test whether a key has an error of its own."""
_ZERO: Final = 1e-20


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorOfTerms:
    """What the errors of effects are computed from.

    Attributes:
        free: one minus the leverage of each training.
        variances: the estimated variance of each training.
        variance: the mean square of the residual.
        df: its degrees of freedom.
        seed_errors: the mean square of seed x key and its degrees of freedom, for each key whose error it is.
    """

    free: Array
    variances: Array
    variance: float
    df: int
    seed_errors: Mapping[str, tuple[float, int]]

    def excess(self, term: Term) -> float:
        """By how much seeds that prefer other choices raise the variance of this term's estimates."""
        return self.seed_errors[term[0]][0] - self.variance if self._has_seed_error(term) else 0.0

    def _has_seed_error(self, term: Term) -> bool:
        return len(term) == 1 and term[0] in self.seed_errors

    def of(self, weights: Array, term: Term) -> tuple[Array, Array]:
        """The variances of sums of weighted errors, and their degrees of freedom.

        With w = weight / (1 - h) and the residual's projection M, Bell and McCaffrey's degrees of freedom are
        (Σ w_i M_ii)² / Σ w_i w_j M_ij². The divisor is at most Σ w_i² M_ii, because M is a projection; that is used.

        Args:
            weights: the squared weight of each training (trainings, estimates).
            term: whose estimates they are.
        """
        totals, noise = weights.sum(0), weights.T @ self.variances
        df = np.clip(totals**2 / ((weights**2).T @ (1 / self.free)), 1.0, self.df)
        if not self._has_seed_error(term):
            return noise, df
        seed_variance, seed_df = self.seed_errors[term[0]]
        seeds, rest = totals * seed_variance, noise - totals * self.variance
        raised = noise + totals * self.excess(term)
        return raised, np.clip(raised**2 / (seeds**2 / seed_df + rest**2 / df), 1.0, self.df)


@dataclass(frozen=True, kw_only=True, eq=False)
class GridModel:
    """The fitted model.

    Attributes:
        design: the columns of all terms (trainings, columns).
        products: the products of these columns with each other.
        spans: where the columns of each term are.
        observed: the value of each training.
        influence: what a unit of each training adds to each coefficient (trainings, columns).
        coefficients: of all columns.
        error: what errors are computed from.
    """

    design: Array
    products: Array
    spans: Mapping[Term, slice]
    observed: Array
    influence: Array
    coefficients: Array
    error: ErrorOfTerms

    def squares(self, term: Term) -> tuple[float, float, float, float]:
        """A term's sum of squares (type II), what noise alone leads one to expect, and two degrees of freedom."""
        directions = _basis(self._beyond_others(term))
        squares = float(((directions.T @ self.observed) ** 2).sum())
        (expected,), (df,) = self.error.of((directions**2).sum(1, keepdims=True), term)
        covariance = directions.T @ (self.error.variances[:, None] * directions)
        covariance += self.error.excess(term) * np.eye(len(covariance))
        effective = float(np.trace(covariance) ** 2 / (covariance**2).sum())
        return squares, float(expected), effective, float(df)

    def _beyond_others(self, term: Term) -> Array:
        """The term's columns less what the terms that do not contain it explain of them."""
        span = self.spans[term]
        others = [np.arange(s.start, s.stop) for other, s in self.spans.items() if not set(term) <= set(other)]
        indices = np.concatenate(others)
        weights = np.zeros((len(self.products), span.stop - span.start))
        weights[span] = np.eye(span.stop - span.start)
        weights[indices] = -np.linalg.solve(self.products[np.ix_(indices, indices)], self.products[indices, span])
        columns: Array = self.design @ weights
        return columns


def fit_grid(blocks: Mapping[Term, Array], seed_blocks: Mapping[str, Array], observed: Array) -> GridModel | None:
    """Fits the model.

    Args:
        blocks: the columns of each term (trainings, columns), those of the mean and the seeds first.
        seed_blocks: the columns of seed x key for each key; none for one seed.
        observed: the value of each training.

    Returns:
        None if the terms cannot be separated, or no noise is left.
    """
    design = np.hstack([*blocks.values()])
    n, columns = design.shape
    if n <= columns:
        return None
    products = design.T @ design
    sizes = np.linalg.eigvalsh(products)
    if sizes[0] < _TINY * sizes[-1]:
        return None
    influence = design @ np.linalg.inv(products)
    error = _error(design, influence, seed_blocks, observed)
    if error.variance < _ZERO:
        return None
    ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
    return GridModel(
        design=design,
        products=products,
        spans={term: slice(int(a), int(b)) for term, (a, b) in zip(blocks, itertools.pairwise(ends), strict=True)},
        observed=observed,
        influence=influence,
        coefficients=influence.T @ observed,
        error=error,
    )


def _error(design: Array, influence: Array, seed_blocks: Mapping[str, Array], observed: Array) -> ErrorOfTerms:
    """The errors; with seed x key in the model if it is the error of any key."""
    df = len(design) - design.shape[1]
    residual = observed - design @ (influence.T @ observed)
    leverage = (design * influence).sum(1)
    beyond = {key: block - design @ (influence.T @ block) for key, block in seed_blocks.items()}
    seeds = _basis(np.hstack([*beyond.values()]))
    seed_errors: dict[str, tuple[float, int]] = {}
    if 0 < seeds.shape[1] < df:
        rest, rest_df = residual - seeds @ (seeds.T @ observed), df - seeds.shape[1]
        seed_errors = _seed_errors(beyond, observed, float(rest @ rest) / rest_df, rest_df)
        if seed_errors:
            residual, df, leverage = rest, rest_df, leverage + (seeds**2).sum(1)
    variance = float(residual @ residual) / df
    is_free = leverage < 1 - _TINY
    free = np.where(is_free, 1 - leverage, 1.0)
    return ErrorOfTerms(
        free=free,
        variances=np.where(is_free, residual**2 / free, variance),
        variance=variance,
        df=df,
        seed_errors=seed_errors,
    )


def _seed_errors(
    beyond: Mapping[str, Array], observed: Array, variance: float, df: int
) -> dict[str, tuple[float, int]]:
    """The mean square of seed x key and its degrees of freedom, for each key whose error it is.

    Args:
        beyond: the columns of seed x key beyond the terms of the model, for each key.
        observed: the value of each training.
        variance: the mean square of what is left.
        df: its degrees of freedom.
    """
    from scipy.special import fdtrc

    squares: dict[str, tuple[float, int]] = {}
    for key, columns in beyond.items():
        part = _basis(columns).T @ observed
        squares[key] = float(part @ part), len(part)
    pooled_df = sum(n for _, n in squares.values())
    pooled = sum(square for square, _ in squares.values()) / pooled_df
    own = {
        key: (square / n, n)
        for key, (square, n) in squares.items()
        if n and square / n > max(pooled, variance) and fdtrc(n, df, square / n / max(variance, _ZERO)) < _PRELIMINARY
    }
    shared = {key: (pooled, pooled_df) for key in squares if key not in own} if pooled > variance else {}
    return own | shared


def _basis(columns: Array) -> Array:
    """An orthonormal basis of the columns, which may depend on each other."""
    if not columns.shape[1]:
        return columns
    values, vectors = np.linalg.eigh(columns.T @ columns)
    is_own = values > _TINY * max(values[-1], 1.0)
    basis: Array = columns @ (vectors[:, is_own] / np.sqrt(values[is_own]))
    return basis
