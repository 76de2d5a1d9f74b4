"""What each key of a grid does to accuracy: main effects with intervals, and interactions of two keys.

Where every value of a key was tried with all values of the others, each of its values is seen in many trainings, and
their mean is known far better than any single arm. The model is `accuracy = seed + keys + pairs of keys`, by least
squares in sum-to-zero coding; what three keys or more do together counts as noise. Sums of squares are of type II: a
term's, given all terms that do not contain it.
"""

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from layersweep.studies.statistics.pooled_variance import ALPHA, holm

Term = tuple[str, ...]
"""One key, or two that act together; none is what the seeds do."""

_PAIR: Final = 2
_ZERO: Final = 1e-20
_LEAST: Final = 1e-6
_FAR: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Level:
    """One value of a key: its trainings, and its mean less that of all values of the key, with half its 95 % interval.

    All values of the other keys count alike, however often they were tried. `behind` is the p-value of its difference
    to the best value of the key, Holm-corrected over the values; 1 for the best itself.
    """

    value: str
    n: int
    effect: float
    half_width: float
    behind: float


@dataclass(frozen=True, kw_only=True)
class Tested:
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
        n: trainings that it was fitted to.
        df: degrees of freedom of the residual.
        deviation: the residual's standard deviation: the noise of one training.
        levels: the values of each key, best first.
        main: the keys, in their order.
        pairs: pairs of keys, the greatest share first; empty where the trainings are too few to tell.
        cells: for each pair, what its values (first key, second key) do together beyond what each does alone.
        outliers: the places of trainings that were left out, since no other comes near what they did.
    """

    n: int
    df: int
    deviation: float
    levels: Mapping[str, Sequence[Level]]
    main: Sequence[Tested]
    pairs: Sequence[Tested]
    cells: Mapping[Term, Mapping[tuple[str, str], float]]
    outliers: tuple[int, ...] = ()

    @property
    def best(self) -> dict[str, list[str]]:
        """For each key that matters its best value, and those that no test tells from it."""
        return {
            key: [level.value for level in self.levels[key] if level.behind >= ALPHA]
            for (key,) in (test.term for test in self.main if test.p < ALPHA)
        }


def effects(
    keys: Mapping[str, Sequence[Hashable]], seeds: Sequence[Hashable], values: Sequence[float]
) -> Effects | None:
    """Fits the model to trainings: `keys` holds the value of each key in each of them.

    Pairs are left out where the trainings do not suffice for them. A training whose residual is too large to be one of
    so many (studentised, p below .01 after Bonferroni's correction) is left out, one after the other, at most a tenth
    of all: it would drown every effect in noise.

    Returns:
        None where not even the keys alone can be told apart, or no degree of freedom is left.
    """
    kept, left_out = list(range(len(values))), list[int]()
    while True:
        columns = {name: [str(given[i]) for i in kept] for name, given in keys.items()}
        columns = {name: column for name, column in columns.items() if len(set(column)) > 1}
        fit = _fitted(columns, [seeds[i] for i in kept], np.asarray([values[i] for i in kept], dtype=float))
        if fit is None:
            return None
        worst, p = fit.worst()
        if p * len(kept) >= _FAR or len(left_out) >= len(values) // 10:
            return replace(fit.effects(), outliers=tuple(left_out))
        left_out.append(kept.pop(worst))


def _fitted(
    columns: Mapping[str, Sequence[str]], seeds: Sequence[Hashable], observed: NDArray[np.float64]
) -> "_Fit | None":
    """The fit with pairs of keys, or without where they are too many."""
    if not columns:
        return None
    alone: list[Term] = [(name,) for name in columns]
    with_pairs = [*alone, *itertools.combinations(columns, _PAIR)]
    return _Fit.of(columns, seeds, observed, with_pairs) or _Fit.of(columns, seeds, observed, alone)


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A least-squares fit; `blocks` are the columns of each term in the design, those of the seeds first."""

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
        """The fit; None where some term cannot be told from the others, or no noise is left."""
        coded = {name: _coded(column) for name, column in columns.items()}
        blocks: dict[Term, NDArray[np.float64]] = {(): _base(seeds)}
        blocks |= {term: _product([coded[name] for name in term]) for term in terms}
        design = np.hstack([*blocks.values()])
        df = len(observed) - design.shape[1]
        if df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
            return None
        inverse = np.linalg.inv(design.T @ design)
        found = inverse @ design.T @ observed
        residual = observed - design @ found
        variance = float(residual @ residual / df)
        if variance < _ZERO:
            return None
        ends = np.cumsum([0, *(block.shape[1] for block in blocks.values())])
        spans = {term: slice(a, b) for term, (a, b) in zip(blocks, itertools.pairwise(ends), strict=True)}
        return cls(
            columns=columns,
            observed=observed,
            blocks=blocks,
            estimate={term: found[span] for term, span in spans.items()},
            covariance={term: inverse[span, span] for term, span in spans.items()},
            df=df,
            variance=variance,
            residual=residual,
            leverage=np.einsum("ij,jk,ik->i", design, inverse, design),
        )

    def worst(self) -> tuple[int, float]:
        """The place of the training furthest from the model, and the p-value of its studentised residual.

        The residual's variance is estimated without it. A training that the model follows wherever it is (a leverage of
        1) is never far from it.
        """
        from scipy.special import stdtr

        free = 1 - self.leverage
        others = (self.df * self.variance - self.residual**2 / np.maximum(free, _ZERO)) / max(self.df - 1, 1)
        scale = np.sqrt(np.maximum(others, _ZERO) * np.maximum(free, _ZERO))
        t = np.where((free > _LEAST) & (self.df > 1), np.abs(self.residual) / scale, 0.0)
        place = int(np.argmax(t))
        return place, 2 * float(stdtr(max(self.df - 1, 1), -t[place]))

    def effects(self) -> Effects:
        """What the fit says."""
        tested = self._tested()
        pairs = [test for test in tested if len(test.term) == _PAIR]
        return Effects(
            n=len(self.observed),
            df=self.df,
            deviation=math.sqrt(self.variance),
            levels={name: self._levels(name) for name in self.columns},
            main=[test for test in tested if len(test.term) == 1],
            pairs=sorted(pairs, key=lambda test: -test.share),
            cells={test.term: self._cells(test.term) for test in pairs},
        )

    def _levels(self, name: str) -> list[Level]:
        """Each value's effect: its own coefficient; of the last one, less the sum of the others'."""
        from scipy.special import stdtr, stdtrit

        column = self.columns[name]
        values = _values(column)
        weights = _weights(values)
        found, covariance = weights @ self.estimate[name,], weights @ self.covariance[name,] @ weights.T
        t = float(stdtrit(self.df, 1 - ALPHA / 2))
        best = int(np.argmax(found))
        apart = np.diag(covariance) + covariance[best, best] - 2 * covariance[best]
        p = {
            value: 2 * float(stdtr(self.df, (found[i] - found[best]) / math.sqrt(self.variance * apart[i])))
            for i, value in enumerate(values)
            if i != best
        }
        behind = holm(p)
        half = [t * math.sqrt(self.variance * own) for own in np.diag(covariance)]
        made = [
            Level(value=v, n=column.count(v), effect=float(found[i]), half_width=half[i], behind=behind.get(v, 1.0))
            for i, v in enumerate(values)
        ]
        return sorted(made, key=lambda level: -level.effect)

    def _cells(self, term: Term) -> dict[tuple[str, str], float]:
        first, second = (_values(self.columns[name]) for name in term)
        weights = np.kron(_weights(first), _weights(second))
        found = weights @ self.estimate[term]
        return dict(zip(itertools.product(first, second), map(float, found), strict=True))

    def _tested(self) -> list[Tested]:
        from scipy.special import fdtrc

        total = float(((self.observed - self.observed.mean()) ** 2).sum())
        rows = []
        for term in filter(None, self.blocks):
            df = self.blocks[term].shape[1]
            squares = self._squares(term)
            f = squares / df / self.variance
            rows.append(Tested(term=term, df=df, f=f, p=float(fdtrc(df, self.df, f)), share=squares / total))
        corrected = holm({"*".join(row.term): row.p for row in rows})
        return [replace(row, p=corrected["*".join(row.term)]) for row in rows]

    def _squares(self, term: Term) -> float:
        """How much the term explains beyond all terms that do not contain it."""
        others = [other for other in self.blocks if not set(term) <= set(other)]
        return max(0.0, self._left([*others]) - self._left([*others, term]))

    def _left(self, terms: Sequence[Term]) -> float:
        """The sum of squares that these terms leave."""
        design = np.hstack([self.blocks[term] for term in terms])
        found, *_ = np.linalg.lstsq(design, self.observed, rcond=None)
        residual = self.observed - design @ found
        return float(residual @ residual)


def _values(column: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(column))


def _weights(values: Sequence[str]) -> NDArray[np.float64]:
    """Sum-to-zero coding: a row for each value; that of the last one is -1 throughout."""
    return np.vstack([np.eye(len(values) - 1), -np.ones(len(values) - 1)])


def _coded(column: Sequence[str]) -> NDArray[np.float64]:
    values = _values(column)
    return _weights(values)[[values.index(value) for value in column], :]


def _base(seeds: Sequence[Hashable]) -> NDArray[np.float64]:
    """The mean, and the seeds' deviations from it."""
    ones = np.ones((len(seeds), 1))
    return np.hstack([ones, _coded([repr(seed) for seed in seeds])]) if len(set(seeds)) > 1 else ones


def _product(coded: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The columns of a term: those of one key, or all products of two keys' columns."""
    if len(coded) == 1:
        return coded[0]
    first, second = coded
    products: NDArray[np.float64] = np.einsum("ni,nj->nij", first, second)
    return products.reshape(len(first), -1)
