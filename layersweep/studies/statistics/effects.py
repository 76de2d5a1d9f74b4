"""The effect of each key of a grid on accuracy: main effects with intervals, and interactions of two keys.

In a full grid, every value of a key occurs in many trainings, so its mean is known much better than that of a single
arm. The model is `accuracy = seed + keys + pairs of keys`, fitted by least squares with sum-to-zero coding.
Interactions of three or more keys count as noise. Sums of squares are of type II: the gain of a term over all terms
that do not contain it. How errors are estimated: `grid_model`. Every term and every test of failures is paid for: all
are in one family of Holm's correction, so that a grid without any effect shows one in at most 5 % of studies.
"""

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array
from layersweep.studies.statistics.inference.grid_model import GridModel, Term, fit_grid
from layersweep.studies.statistics.inference.multiplicity import ALPHA, holm

_PAIR: Final = 2


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
    """A term's F-test: its p-value, Holm-corrected over the whole family, and its share of the sum of squares."""

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
        failure_p: for each key with failures, the p-value of the test that they depend on it, in the same family.
        has_seed_error: whether the error of main effects is that of seeds which prefer other choices.
    """

    n: int
    df: int
    deviation: float
    levels: Mapping[str, Sequence[Level]]
    main: Sequence[TermTest]
    pairs: Sequence[TermTest]
    cells: Mapping[Term, Mapping[tuple[str, str], float]]
    failure_p: Mapping[str, float] = field(default_factory=dict)
    has_seed_error: bool = False

    @property
    def best(self) -> dict[str, list[str]]:
        """For each key with an effect: its best value, and those that are not shown to differ from it."""
        return {
            key: [level.value for level in self.levels[key] if level.p_to_best >= ALPHA]
            for (key,) in (test.term for test in self.main if test.p < ALPHA)
        }


def effects(
    keys: Mapping[str, Sequence[Hashable]],
    seeds: Sequence[Hashable],
    values: Sequence[float],
    failure_p: Mapping[str, float] | None = None,
) -> Effects | None:
    """Fits the model to trainings; `keys` has the values of each key in all of them.

    Pairs are left out if there are too few trainings for them.

    Args:
        keys: the values of each key in each training.
        seeds: what was common to trainings: the seed, or the seed and the fold.
        values: the accuracies.
        failure_p: p-values of tests whether failures depend on a key, which join the family.

    Returns:
        None if the effects of the keys cannot be separated, or no degree of freedom is left.
    """
    columns = {name: list(map(str, column)) for name, column in keys.items() if len(set(map(str, column))) > 1}
    if not columns:
        return None
    observed = np.asarray(values, dtype=np.float64)
    coded = {name: coded_column(column) for name, column in columns.items()}
    model = fit_coded(coded, coded_column(list(map(repr, seeds))), observed)
    return None if model is None else _effects(model, columns, failure_p or {})


def fit_coded(coded: Mapping[str, Array], seeds: Array, observed: Array) -> GridModel | None:
    """The model with pairs of keys, or without them if there are too few trainings.

    Args:
        coded: the columns of each key (trainings, columns), sum-to-zero coded.
        seeds: those of the seeds; without columns for one seed.
        observed: the value of each training.
    """
    base: dict[Term, Array] = {(): np.hstack([np.ones((len(observed), 1)), seeds])}
    alone: dict[Term, Array] = {(name,): block for name, block in coded.items()}
    pairs: dict[Term, Array] = {(a, b): _product(coded[a], coded[b]) for a, b in itertools.combinations(coded, _PAIR)}
    seed_blocks = {key: _product(seeds, block) for key, block in coded.items()}
    return fit_grid(base | alone | pairs, seed_blocks, observed) or fit_grid(base | alone, seed_blocks, observed)


def coded_column(column: Sequence[str]) -> Array:
    """Sum-to-zero coding of a column: (trainings, values - 1)."""
    positions = {value: i for i, value in enumerate(_values(column))}
    return _weights(len(positions))[[positions[value] for value in column], :]


def level_errors(model: GridModel, term: Term, contrasts: Array) -> tuple[Array, Array, Array]:
    """Estimates of contrasts of a key's values, with standard errors and degrees of freedom.

    Args:
        model: the fitted model.
        term: the key.
        contrasts: the weights of the term's coefficients (contrasts, columns).
    """
    span = model.spans[term]
    variances, df = model.error.of((model.influence[:, span] @ contrasts.T) ** 2, term)
    return contrasts @ model.coefficients[span], np.sqrt(variances), df


def term_tests(model: GridModel, failure_p: Mapping[str, float]) -> tuple[list[TermTest], dict[str, float]]:
    """The F-tests of all terms, and the tests of failures, corrected together."""
    from scipy.special import fdtrc

    total = float(((model.observed - model.observed.mean()) ** 2).sum())
    tests = []
    for term in filter(None, model.spans):
        squares, expected, effective, df = model.squares(term)
        f = squares / expected
        span = model.spans[term]
        p = float(fdtrc(effective, df, f))
        tests.append(TermTest(term=term, df=span.stop - span.start, f=f, p=p, share=squares / total))
    raw = {f"effect {'*'.join(test.term)}": test.p for test in tests}
    corrected = holm(raw | {f"failures {key}": p for key, p in failure_p.items()})
    return (
        [replace(test, p=corrected[f"effect {'*'.join(test.term)}"]) for test in tests],
        {key: corrected[f"failures {key}"] for key in failure_p},
    )


def _effects(model: GridModel, columns: Mapping[str, Sequence[str]], failure_p: Mapping[str, float]) -> Effects:
    tests, failures = term_tests(model, failure_p)
    pairs = [test for test in tests if len(test.term) == _PAIR]
    return Effects(
        n=len(model.observed),
        df=model.error.df,
        deviation=math.sqrt(model.error.variance),
        levels={name: _levels(model, name, column) for name, column in columns.items()},
        main=[test for test in tests if len(test.term) == 1],
        pairs=sorted(pairs, key=lambda test: -test.share),
        cells={test.term: _cells(model, test.term, columns) for test in pairs},
        failure_p=failures,
        has_seed_error=bool(model.error.seed_errors),
    )


def _levels(model: GridModel, name: str, column: Sequence[str]) -> list[Level]:
    """The effect of each value: its coefficient; that of the last value is minus the sum of the others."""
    from scipy.special import stdtr, stdtrit

    values = _values(column)
    weights = _weights(len(values))
    means, errors, df = level_errors(model, (name,), weights)
    best = int(np.argmax(means))
    gaps, gap_errors, gap_df = level_errors(model, (name,), np.delete(weights - weights[best], best, axis=0))
    others = [value for i, value in enumerate(values) if i != best]
    p = 2 * stdtr(gap_df, gaps / gap_errors)
    adjusted = holm(dict(zip(others, map(float, p), strict=True)))
    half_widths = stdtrit(df, 1 - ALPHA / 2) * errors
    levels = [
        Level(
            value=value,
            n=column.count(value),
            effect=float(means[i]),
            half_width=float(half_widths[i]),
            p_to_best=adjusted.get(value, 1.0),
        )
        for i, value in enumerate(values)
    ]
    return sorted(levels, key=lambda level: -level.effect)


def _cells(model: GridModel, term: Term, columns: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], float]:
    first, second = (_values(columns[name]) for name in term)
    interactions = np.kron(_weights(len(first)), _weights(len(second))) @ model.coefficients[model.spans[term]]
    return dict(zip(itertools.product(first, second), map(float, interactions), strict=True))


def _values(column: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(column))


def _weights(levels: int) -> Array:
    """Sum-to-zero coding: one row per value; the row of the last value is -1 everywhere."""
    return np.vstack([np.eye(levels - 1), -np.ones((1, levels - 1))])


def _product(first: Array, second: Array) -> Array:
    """All products of the columns of two terms."""
    products: Array = np.einsum("ni,nj->nij", first, second).reshape(len(first), -1)
    return products
