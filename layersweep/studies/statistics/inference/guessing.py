"""How likely a result is for a network that guesses: one whose predictions do not depend on the images.

The labels of a validation set are fixed. A guess may say any class with any probability, so each value here is at least
the probability under the guess that is best for the result:

- accuracy: the binomial test at the largest class's share, which is never too small (Hoeffding 1956, Annals of
  Mathematical Statistics 27, 713). If one class has more than half of the images, that test would need hundreds of
  images to tell a perfect network from a constant one, so the exact probability is taken at the best guess between
  the largest class and the rest (Barnard 1945, Nature 156, 177; Suissa and Shuster 1985, Journal of the Royal
  Statistical Society A 148, 317).
- a sum of weighted hits, if it is known how often each class was predicted: the permutation test with these numbers
  fixed. Balanced accuracy and macro F1 are such sums. Its moments are Hoeffding's (1951, Annals of Mathematical
  Statistics 22, 558); where they do not decide, labels are permuted (Phipson and Smyth 2010, Statistical Applications
  in Genetics and Molecular Biology 9, 39).
- balanced accuracy, if only the sizes of the classes are known: the bound of Hoeffding (1963, Journal of the American
  Statistical Association 58, 13). It holds for every guess, and needs more images to show the same.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from layersweep.studies.statistics.inference.arrays import Array, Indices

_GUESSES: Final = 160
"""The probabilities of the rest that are tried for the best guess: the probability of a result is smooth in them."""
_RAREST: Final = 1e-7
_PERMUTATIONS: Final = 999
_DECISIVE: Final = 1e-2
"""Cantelli's bound decides alone below this probability."""
_MANY_HITS: Final = 400
"""With so many expected hits, the sum is normal: at .01, the error is below .0015."""
_SEED: Final = 20261130
_ROUNDING: Final = 1e-9


@lru_cache(maxsize=4096)
def accuracy_p_value(hits: int, images: int, largest: int) -> float:
    """The probability of so many hits or more for the best guess; `largest` is the number of the largest class."""
    from scipy.special import bdtrc  # scipy.stats takes three times as long to import

    if hits <= 0:
        return 1.0
    bound = float(bdtrc(hits - 1, images, largest / images))
    if 2 * largest <= images:
        return bound
    return min(bound, _best_of_two(hits, images, largest)) if hits > largest else 1.0


def _best_of_two(hits: int, images: int, largest: int) -> float:
    """The highest probability of the hits over all guesses that say the rest with one probability."""
    from scipy.special import bdtr, xlog1py, xlogy

    rest = images - largest
    of_rest = np.arange(hits - largest, rest + 1)
    says_rest = np.concatenate([np.geomspace(_RAREST, 0.5, _GUESSES // 2), np.linspace(0.5, 1, _GUESSES // 2)[:-1]])
    logarithms = _log_choose(rest, of_rest) + xlogy(of_rest, says_rest[:, None])
    of_rest_only = np.exp(logarithms + xlog1py(rest - of_rest, -says_rest[:, None]))
    most_misses = np.minimum(largest - (hits - of_rest), largest).astype(np.float64)
    return float((of_rest_only * bdtr(most_misses, largest, says_rest[:, None])).sum(-1).max())


def _log_choose(n: int, k: Indices) -> Array:
    from scipy.special import gammaln

    result: Array = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result


def balanced_accuracy_bound(value: float, supports: Sequence[int]) -> float:
    """At least the probability of this balanced accuracy or more, for every guess.

    Args:
        value: the mean recall of the classes that occur.
        supports: their numbers of images.
    """
    classes = len(supports)
    above = value - 1 / classes
    if above <= 0:
        return 1.0
    return math.exp(-2 * (above * classes) ** 2 / math.fsum(1 / n for n in supports))


@lru_cache(maxsize=4096)
def permutation_p_value(
    hits: tuple[int, ...], supports: tuple[int, ...], predicted: tuple[int, ...], weights: tuple[float, ...]
) -> float:
    """The probability of the sum of weighted hits or more, if the predictions are dealt to the images by chance.

    Args:
        hits: the number of images of each class that were classified as it.
        supports: the number of images of each class, at least 1.
        predicted: how often each class was predicted; other predictions are of classes that do not occur.
        weights: what a hit of each class counts.
    """
    from scipy.special import ndtr

    n = sum(supports)
    weight, support, dealt = (np.array(values, dtype=np.float64) for values in (weights, supports, predicted))
    value = float(weight @ np.array(hits))
    expected = support * dealt / n
    mean, variance = float(weight @ expected), _variance(weight, support, dealt)
    if value <= mean + _ROUNDING or variance <= 0:
        return 1.0
    z = (value - mean) / math.sqrt(variance)
    cantelli = 1 / (1 + z**2)
    if cantelli <= _DECISIVE:
        return cantelli
    if (weight @ expected) ** 2 >= _MANY_HITS * float(weight**2 @ expected):
        return float(ndtr(-z))
    return _by_permutation(value, supports, predicted, weight)


def _variance(weight: Array, support: Array, dealt: Array) -> float:
    """The variance of the sum over all ways to deal the predictions to the images."""
    n = support.sum()
    if n < 2:  # noqa: PLR2004 (one image has one way)
        return 0.0
    others = n - dealt.sum()
    mean = weight @ (support * dealt) / n**2
    rows, columns = weight * dealt / n, weight * support / n
    deviations = np.diag(weight) - rows[:, None] - columns[None, :] + mean
    squares = support @ deviations**2 @ dealt + others * (support @ (mean - rows) ** 2)
    return float(squares / (n - 1))


def _by_permutation(value: float, supports: Sequence[int], predicted: Sequence[int], weight: Array) -> float:
    classes = len(supports)
    labels = np.repeat(np.arange(classes), supports)
    others = len(labels) - sum(predicted)
    predictions = np.repeat(np.arange(classes + 1), [*predicted, others])
    generator = np.random.default_rng(_SEED)
    of_image = weight[labels]
    sums = [np.where(generator.permutation(predictions) == labels, of_image, 0.0).sum() for _ in range(_PERMUTATIONS)]
    return (1 + int((np.array(sums) >= value - _ROUNDING).sum())) / (1 + _PERMUTATIONS)
