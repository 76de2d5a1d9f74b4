"""The effect of each key of a grid on accuracy: main effects with intervals, and interactions of two keys.

In a full grid, every value of a key occurs in many trainings, so its mean is known much better than that of a single
arm. The model is `accuracy = seed + keys + pairs of keys`, fitted by least squares with sum-to-zero coding.
Interactions of three or more keys count as noise. Sums of squares are of type II: the gain of a term over all terms
that do not contain it.
"""

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from layersweep.studies.statistics.inference.multiplicity import ALPHA, holm

Term = tuple[str, ...]
"""One key, or two keys that interact; the empty term is the effect of the seeds."""

_PAIR: Final = 2
_ZERO: Final = 1e-20
_MIN_FREEDOM: Final = 1e-6
_OUTLIER_P: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Level:
    """One value of a key: its number of trainings `n`, and its mean minus the mean of the key, ± half a 95 % interval.

    All values of the other keys have the same weight, however often they occur. `p_to_best` is the p-value of its
    difference to the best value of the key, Holm-corrected over the values; 1 for the best value.
    """

    value: str
    n: int
    effect: float
    half_width: float
    p_to_best: float


@dataclass(frozen=True, kw_only=True)
class TermTest:
    """A term's F-test: its p-value, Holm-corrected over all terms, and its share of the sum of squares."""

    term: Term
    df: int
    f: float
    p: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The fitted model.

    Attributes:
        n: number of trainings in the fit.
        df: degrees of freedom of the residual.
        deviation: standard deviation of the residual: the noise of one training.
        levels: the values of each key, best first.
        main: the keys, in their order.
        pairs: pairs of keys, the largest share first; empty if there are too few trainings for them.
        cells: for each pair, the interaction of its values (first key, second key), without their main effects.
        outliers: indices of trainings that were left out, because they are too far from the model.
    """

    n: int
    df: int
    deviation: float
    levels: Mapping[str, Sequence[Level]]
    main: Sequence[TermTest]
    pairs: Sequence[TermTest]
    cells: Mapping[Term, Mapping[tuple[str, str], float]]
    outliers: tuple[int, ...] = ()

    @property
    def best(self) -> dict[str, list[str]]:
        """For each key with a significant effect: its best value and those that do not differ significantly from it."""
        return {
            key: [level.value for level in self.levels[key] if level.p_to_best >= ALPHA]
            for (key,) in (test.term for test in self.main if test.p < ALPHA)
        }


def effects(
    keys: Mapping[str, Sequence[Hashable]], seeds: Sequence[Hashable], values: Sequence[float]
) -> Effects | None:
    """Fits the model to trainings; `keys` has the values of each key in all of them.

    Pairs are left out if there are too few trainings for them. Outliers would drown every effect in noise, so they are
    left out one by one, at most a tenth of all trainings: an outlier has a studentised residual with p below .01 after
    Bonferroni's correction.

    Returns:
        None if the effects of the keys cannot be separated, or no degree of freedom is left.
    """
    indices, outliers = list(range(len(values))), list[int]()
    while True:
        columns = {name: [str(column[i]) for i in indices] for name, column in keys.items()}
        columns = {name: column for name, column in columns.items() if len(set(column)) > 1}
        fit = _fit(columns, [seeds[i] for i in indices], np.asarray([values[i] for i in indices], dtype=float))
        if fit is None:
            return None
        worst, p = fit.worst()
        if p * len(indices) >= _OUTLIER_P or len(outliers) >= len(values) // 10:
            return replace(fit.effects(), outliers=tuple(outliers))
        outliers.append(indices.pop(worst))


def _fit(
    columns: Mapping[str, Sequence[str]], seeds: Sequence[Hashable], observed: NDArray[np.float64]
) -> "_Fit | None":
    """The fit with pairs of keys, or without them if there are too few trainings."""
    if not columns:
        return None
    alone: list[Term] = [(name,) for name in columns]
    with_pairs = [*alone, *itertools.combinations(columns, _PAIR)]
    return _Fit.of(columns, seeds, observed, with_pairs) or _Fit.of(columns, seeds, observed, alone)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A least-squares fit; `blocks` are the columns of each term in the design matrix, those of the seeds first."""

    columns: Mapping[str, Sequence[str]]
    observed: NDArray[np.float64]
    blocks: Mapping[Term, NDArray[np.float64]]
    estimate: Mapping[Term, NDArray[np.float64]]
    covariance: Mapping[Term, NDArray[np.floating]]
    df: int
    variance: float
    residual: NDArray[np.float64]
    leverage: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Sequence[str]],
        seeds: Sequence[Hashable],
        observed: NDArray[np.float64],
        terms: Sequence[Term],
    ) -> "_Fit | None":
        """The fit; None if the terms cannot be separated, or no noise is left."""
        coded = {name: _coded(column) for name, column in columns.items()}
        blocks: dict[Term, NDArray[np.float64]] = {(): _base(seeds)}
        blocks |= {term: _product([coded[name] for name in term]) for term in terms}
        design = np.hstack([*blocks.values()])
        df = len(observed) - design.shape[1]
        if df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        inverse = np.linalg.inv(design.T @ design)
        coefficients = inverse @ design.T @ observed
        residual = observed - design @ coefficients
        variance = float(residual @ residual / df)
        if variance < _ZERO:
            return None
        ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        spans = {term: slice(a, b) for term, (a, b) in zip(blocks, itertools.pairwise(ends), strict=True)}
        return cls(
            columns=columns,
            observed=observed,
            blocks=blocks,
            estimate={term: coefficients[span] for term, span in spans.items()},
            covariance={term: inverse[span, span] for term, span in spans.items()},
            df=df,
            variance=variance,
            residual=residual,
            leverage=np.einsum("ij,jk,ik->i", design, inverse, design),
        )

    def worst(self) -> tuple[int, float]:
        """The index of the training that is furthest from the model, and the p-value of its studentised residual.

        The residual variance is estimated without it. A training with a leverage of 1 is never far from the model,
        because the model follows it.
        """
        from scipy.special import stdtr

        free = 1 - self.leverage
        others = (self.df * self.variance - self.residual**2 / np.maximum(free, _ZERO)) / max(self.df - 1, 1)
        scale = np.sqrt(np.maximum(others, _ZERO) * np.maximum(free, _ZERO))
        t = np.where((free > _MIN_FREEDOM) & (self.df > 1), np.abs(self.residual) / scale, 0.0)
        index = int(np.argmax(t))
        return index, 2 * float(stdtr(max(self.df - 1, 1), -t[index]))

    def effects(self) -> Effects:
        """The effects of the keys according to the fit."""
        tests = self._tests()
        pairs = [test for test in tests if len(test.term) == _PAIR]
        return Effects(
            n=len(self.observed),
            df=self.df,
            deviation=math.sqrt(self.variance),
            levels={name: self._levels(name) for name in self.columns},
            main=[test for test in tests if len(test.term) == 1],
            pairs=sorted(pairs, key=lambda test: -test.share),
            cells={test.term: self._cells(test.term) for test in pairs},
        )

    def _levels(self, name: str) -> list[Level]:
        """The effect of each value: its coefficient; that of the last value is minus the sum of the others."""
        from scipy.special import stdtr, stdtrit

        column = self.columns[name]
        values = _values(column)
        weights = _weights(values)
        means, covariance = weights @ self.estimate[name,], weights @ self.covariance[name,] @ weights.T
        t = float(stdtrit(self.df, 1 - ALPHA / 2))
        best = int(np.argmax(means))
        factors = np.diag(covariance) + covariance[best, best] - 2 * covariance[best]
        p = {
            value: 2 * float(stdtr(self.df, (means[i] - means[best]) / math.sqrt(self.variance * factors[i])))
            for i, value in enumerate(values)
            if i != best
        }
        adjusted = holm(p)
        half_widths = [t * math.sqrt(self.variance * factor) for factor in np.diag(covariance)]
        levels = [
            Level(
                value=value,
                n=column.count(value),
                effect=float(means[i]),
                half_width=half_widths[i],
                p_to_best=adjusted.get(value, 1.0),
            )
            for i, value in enumerate(values)
        ]
        return sorted(levels, key=lambda level: -level.effect)

    def _cells(self, term: Term) -> dict[tuple[str, str], float]:
        first, second = (_values(self.columns[name]) for name in term)
        weights = np.kron(_weights(first), _weights(second))
        interactions = weights @ self.estimate[term]
        return dict(zip(itertools.product(first, second), map(float, interactions), strict=True))

    def _tests(self) -> list[TermTest]:
        from scipy.special import fdtrc

        total = float(((self.observed - self.observed.mean()) ** 2).sum())
        rows = []
        for term in filter(None, self.blocks):
            df = self.blocks[term].shape[1]
            squares = self._squares(term)
            f = squares / df / self.variance
            rows.append(TermTest(term=term, df=df, f=f, p=float(fdtrc(df, self.df, f)), share=squares / total))
        corrected = holm({"*".join(row.term): row.p for row in rows})
        return [replace(row, p=corrected["*".join(row.term)]) for row in rows]

    def _squares(self, term: Term) -> float:
        """The sum of squares that the term explains in addition to all terms that do not contain it."""
        others = [other for other in self.blocks if not set(term) <= set(other)]
        return max(0.0, self._residual_squares(others) - self._residual_squares([*others, term]))

    def _residual_squares(self, terms: Sequence[Term]) -> float:
        """The sum of squares that these terms do not explain."""
        design = np.hstack([self.blocks[term] for term in terms])
        coefficients, *_ = np.linalg.lstsq(design, self.observed, rcond=None)
        residual = self.observed - design @ coefficients
        return float(residual @ residual)


def _values(column: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(column))


def _weights(values: Sequence[str]) -> NDArray[np.float64]:
    """Sum-to-zero coding: one row per value; the row of the last value is -1 everywhere."""
    return np.vstack([np.eye(len(values) - 1), -np.ones(len(values) - 1)])


def _coded(column: Sequence[str]) -> NDArray[np.float64]:
    values = _values(column)
    return _weights(values)[[values.index(value) for value in column], :]


def _base(seeds: Sequence[Hashable]) -> NDArray[np.float64]:
    """The columns of the mean and of the seeds."""
    ones = np.ones((len(seeds), 1))
    return np.hstack([ones, _coded([repr(seed) for seed in seeds])]) if len(set(seeds)) > 1 else ones


def _product(coded: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The columns of a term: those of one key, or all products of the columns of two keys."""
    if len(coded) == 1:
        return coded[0]
    first, second = coded
    products: NDArray[np.float64] = np.einsum("ni,nj->nij", first, second)
    return products.reshape(len(first), -1)
