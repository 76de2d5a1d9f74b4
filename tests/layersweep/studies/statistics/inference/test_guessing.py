"""How likely a result is for a guess: the tests are right in known cases, and wrong in at most 1 % of guesses."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from layersweep.studies.statistics.inference import guessing
from layersweep.studies.statistics.inference.guessing import (
    accuracy_p_value,
    balanced_accuracy_bound,
    permutation_p_value,
)

LEVEL = 0.01


def balanced(supports):
    return tuple(1 / (len(supports) * n) for n in supports)


def exact_two_class_tail(hits, images, largest):
    """By brute force over the guesses: the highest probability of so many hits."""
    rest, p = images - largest, np.linspace(0, 1, 4001)
    tails = sum(binom.pmf(b, rest, p) * binom.sf(hits - b - 1, largest, 1 - p) for b in range(rest + 1))
    return float(tails.max())


@pytest.mark.parametrize(("hits", "images", "largest"), [(10, 10, 7), (98, 100, 97), (9, 10, 6), (33, 40, 30)])
def test_the_probability_of_an_accuracy_is_that_of_the_best_guess(hits, images, largest):
    assert accuracy_p_value(hits, images, largest) == pytest.approx(
        exact_two_class_tail(hits, images, largest), rel=0.02
    )


def test_without_a_majority_it_is_the_binomial_test():
    assert accuracy_p_value(28, 40, 20) == pytest.approx(float(binom.sf(27, 40, 0.5)), rel=1e-12)
    assert accuracy_p_value(56, 400, 40) == pytest.approx(float(binom.sf(55, 400, 0.1)), rel=1e-12)


@pytest.mark.parametrize("images", [8, 20, 100, 167, 1000])
def test_of_970_and_30_a_perfect_network_has_learned_and_a_constant_one_has_not(images):
    largest = round(0.97 * images) if images > 40 else images - 2
    assert accuracy_p_value(largest, images, largest) == 1.0
    assert accuracy_p_value(0, images, largest) == 1.0
    perfect = accuracy_p_value(images, images, largest)
    assert perfect <= (LEVEL if images > 8 else 0.025)  # of 8 images, 2 are guessed with a probability of .02


@pytest.mark.parametrize(("largest", "rest"), [(97, 3), (30, 10), (7, 3), (160, 7)])
def test_a_guess_seldom_has_learned_by_its_accuracy(largest, rest):
    """Guesses of any share: the best one is among them. 3 standard errors of 40,000 guesses are .0015."""
    generator = np.random.default_rng(1)
    images, rates = largest + rest, []
    for share in (0.0, rest / images / 3, rest / images, 2 * rest / images, 0.5):
        hits = generator.binomial(largest, 1 - share, 40_000) + generator.binomial(rest, share, 40_000)
        values, counts = np.unique(hits, return_counts=True)
        p_values = [accuracy_p_value(int(hit), images, largest) for hit in values]
        rates.append(sum(n for p, n in zip(p_values, counts, strict=True) if p <= LEVEL) / 40_000)
    assert max(rates) <= LEVEL + 0.0015


def confusion_of_guess(generator, supports, shares):
    """The hits and predictions of a network that says each class with a probability, whatever the image is."""
    rows = np.array([generator.multinomial(n, shares) for n in supports])
    return tuple(map(int, rows.diagonal())), tuple(map(int, rows.sum(axis=0)))


GUESSES = {
    "two rare": ((97, 3), (0.9, 0.1)),
    "in proportion": ((97, 3), (0.97, 0.03)),
    "even": ((20, 20), (0.5, 0.5)),
    "few of three": ((12, 5, 2), (0.5, 0.3, 0.2)),
    "three": ((40, 30, 30), (0.4, 0.3, 0.3)),
}


@pytest.mark.parametrize(("supports", "shares"), GUESSES.values(), ids=GUESSES)
@pytest.mark.parametrize("metric", ["balanced accuracy", "macro F1"])
def test_a_guess_seldom_beats_chance_by_its_classes(supports, shares, metric, monkeypatch):
    """1,500 guesses: 3 standard errors are .0077. A permutation test needs fewer draws to show that it is valid."""
    monkeypatch.setattr(guessing, "_PERMUTATIONS", 199)
    generator = np.random.default_rng(2)
    false = 0
    for _ in range(1500):
        hits, predicted = confusion_of_guess(generator, supports, shares)
        sizes = (
            supports
            if metric == "balanced accuracy"
            else [(n + p) / 2 for n, p in zip(supports, predicted, strict=True)]
        )
        false += permutation_p_value(hits, supports, predicted, balanced(sizes)) <= LEVEL
    assert false / 1500 <= LEVEL + 0.0077


def test_the_permutation_test_is_fishers_where_there_are_two_classes():
    """Of 3 rare images in 100, 2 are among the 4 that were called rare."""
    supports, predicted = (97, 3), (96, 4)
    p = permutation_p_value((95, 2), supports, predicted, balanced(supports))
    assert p == pytest.approx(float(hypergeom.sf(1, 100, 3, 4)), abs=0.004)
    assert p <= LEVEL


def test_moments_are_those_of_all_permutations():
    supports, predicted, weights = (2, 2, 1), (1, 2, 1), np.array([0.2, 0.3, 0.9])
    labels, predictions = [0, 0, 1, 1, 2], [0, 1, 1, 2, 3]  # 3: a class that does not occur
    sums = [
        sum(weights[label] for label, one in zip(labels, order, strict=True) if label == one)
        for order in itertools.permutations(predictions)
    ]
    variance = guessing._variance(weights, np.array(supports, float), np.array(predicted, float))
    assert variance == pytest.approx(float(np.var(sums)))
    assert float(np.mean(sums)) == pytest.approx(float(weights @ (np.array(supports) * predicted) / 5))


def test_a_constant_network_and_one_below_chance_have_no_evidence():
    assert permutation_p_value((97, 0), (97, 3), (100, 0), balanced((97, 3))) == 1.0
    assert permutation_p_value((1, 1), (10, 10), (10, 10), balanced((10, 10))) == 1.0
    assert permutation_p_value((1,), (1,), (1,), (1.0,)) == 1.0


@pytest.mark.parametrize("supports", [(4, 4), (97, 3), (30, 20, 10)])
def test_the_bound_of_balanced_accuracy_holds_for_every_guess(supports):
    generator = np.random.default_rng(3)
    for _ in range(20):
        shares = generator.dirichlet(np.ones(len(supports)))
        values = sum(generator.binomial(n, p, 20_000) / n for n, p in zip(supports, shares, strict=True)) / len(
            supports
        )
        for value in np.quantile(values, (0.9, 0.99, 0.999)):
            assert (values >= value - 1e-12).mean() <= balanced_accuracy_bound(float(value), supports) + 0.002


def test_the_bound_shows_that_a_perfect_network_has_learned():
    assert balanced_accuracy_bound(1.0, (97, 3)) <= LEVEL
    assert balanced_accuracy_bound(0.5, (97, 3)) == 1.0
    assert balanced_accuracy_bound(1.0, (5, 5)) == pytest.approx(math.exp(-2 / 0.4))
