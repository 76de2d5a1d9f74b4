"""Whether predictions depend on the labels at all, at any share of any class.

If they do not, every assignment of the labels to the predictions is equally likely, given how often each label and each
prediction occurs. So chance is what a permutation of the labels gives: a network that always predicts the largest class
is never above it, and one that tells 970 images from 30 without a mistake has a probability of 1e-57.

- Two classes: the number of right predictions, the hits, is hypergeometric (Fisher's exact test).
- Few images: the exact distribution of the hits, by inclusion and exclusion with rook polynomials (Riordan, An
  Introduction to Combinatorial Analysis, 1958, chapters 7 and 8).
- Otherwise: a Pearson distribution of type III with the exact mean, variance and skewness of the hits, as Mielke and
  Berry do (Permutation Methods, 2007). It errs towards chance: near .001 by up to 3 times where classes are rare, else
  by a few percent. A normal distribution errs the other way.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from layersweep.records.values import ClassCounts

EXACT_UP_TO_IMAGES: Final = 150

_TWO_CLASSES: Final = 2
_SYMMETRIC: Final = 1e-6
"""The skewness up to which the normal distribution is as good."""

Pairs = Sequence[tuple[int, int]]
"""For each class the numbers of its images and of its predictions."""


def p_value(counts: ClassCounts) -> float:
    """The probability of at least so many right predictions if they did not depend on the labels."""
    pairs = [pair for pair in zip(counts.images, counts.predicted, strict=True) if any(pair)]
    images, hits = sum(counts.images), sum(counts.hits)
    if not hits or sum(map(min, pairs)) == 0:
        return 1.0
    if len(pairs) <= _TWO_CLASSES:
        return _hypergeometric(pairs, images, hits)
    return _exact(pairs, images, hits) if images <= EXACT_UP_TO_IMAGES else _pearson(pairs, images, hits)


def _hypergeometric(pairs: Pairs, images: int, hits: int) -> float:
    import numpy as np
    from scipy.special import gammaln  # scipy.stats takes three times as long to import

    labels, predicted = pairs[0]
    first = (hits + labels + predicted - images) // 2  # the hits of the first class; each one is also one of the other
    right = np.arange(max(first, 0, labels + predicted - images), min(labels, predicted) + 1)
    cells = (right, labels - right, predicted - right, images - labels - predicted + right)
    margins = (labels, images - labels, predicted, images - predicted)
    logs = sum(gammaln(n + 1) for n in margins) - gammaln(images + 1) - sum(gammaln(n + 1) for n in cells)
    return min(1.0, float(np.exp(logs).sum()))


def _exact(pairs: Pairs, images: int, hits: int) -> float:
    """The sum over k of (-1)^(k - hits) C(k - 1, hits - 1) E[C(H, k)]."""
    moments = _binomial_moments(pairs, images, images)
    terms = range(hits, len(moments))
    return float(sum((-1) ** (k - hits) * math.comb(k - 1, hits - 1) * moments[k] for k in terms))


def _pearson(pairs: Pairs, images: int, hits: int) -> float:
    from scipy.special import gammainc, gammaincc, ndtr

    _, mean, second, third = _binomial_moments(pairs, images, 3)
    square, cube = 2 * second + mean, 6 * third + 6 * second + mean
    variance = square - mean**2
    if not variance:
        return 1.0
    deviation = math.sqrt(variance)
    skewness = float(cube - 3 * mean * square + 2 * mean**3) / deviation**3
    distance = float(hits - Fraction(1, 2) - mean) / deviation
    if abs(skewness) < _SYMMETRIC:
        return float(ndtr(-distance))
    shape = 4 / skewness**2
    place = max(0.0, shape + math.copysign(distance, distance * skewness) * math.sqrt(shape))
    return float(gammaincc(shape, place) if skewness > 0 else gammainc(shape, place))


def _binomial_moments(pairs: Pairs, images: int, most: int) -> list[Fraction]:
    """E[C(H, k)] of the hits H for k up to `most`: the rook numbers of the hits' cells, over n (n - 1) ... (n - k + 1).

    A class with n images and m predictions has C(n, j) C(m, j) j! ways to place j hits.
    """
    numbers = [1]
    for labels, predicted in pairs:
        ways = [math.comb(labels, j) * math.perm(predicted, j) for j in range(min(labels, predicted, most) + 1)]
        product = [0] * min(len(numbers) + len(ways) - 1, most + 1)
        for i, number in enumerate(numbers):
            for j, way in enumerate(ways[: len(product) - i]):
                product[i + j] += number * way
        numbers = product
    numbers += [0] * (min(most, images) + 1 - len(numbers))
    return [Fraction(number, math.perm(images, k)) for k, number in enumerate(numbers)]
