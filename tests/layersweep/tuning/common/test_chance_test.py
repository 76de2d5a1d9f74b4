"""Whether predictions depend on the labels: against every permutation, and in how many of 1,000 draws it errs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from layersweep.records.values import ClassCounts
from layersweep.tuning.common import chance_test
from layersweep.tuning.common.chance_test import p_value


def counts(labels, predicted, classes):
    labels, predicted = map(np.asarray, (labels, predicted))
    by_class = (np.bincount(each, minlength=classes) for each in (labels, predicted, labels[labels == predicted]))
    images, predictions, hits = (tuple(map(int, each)) for each in by_class)
    return ClassCounts(images=images, predicted=predictions, hits=hits)


@pytest.mark.parametrize(
    ("labels", "predicted"),
    [
        ([0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0]),
        ([0, 1, 2, 3, 0, 1, 2], [0, 1, 2, 3, 1, 1, 0]),
        ([0, 0, 0, 0, 0, 1, 2], [0, 0, 0, 0, 1, 1, 2]),
        ([0, 0, 0, 0, 0, 3, 3], [0, 0, 3, 3, 3, 3, 3]),
        ([2, 2, 2, 1], [0, 0, 1, 2]),
    ],
)
def test_it_is_the_share_of_permutations_with_as_many_hits(labels, predicted):
    hits = sum(map(int.__eq__, labels, predicted))
    permutations = [sum(map(int.__eq__, each, predicted)) >= hits for each in itertools.permutations(labels)]
    assert p_value(counts(labels, predicted, 4)) == pytest.approx(np.mean(permutations), abs=1e-12)


def test_two_classes_have_fishers_exact_test_however_many_images_there_are():
    table = np.array([[9_600, 100], [240, 60]])
    of_classes = ClassCounts(images=(9_700, 300), predicted=(9_840, 160), hits=(9_600, 60))
    assert p_value(of_classes) == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue, rel=1e-6)


def test_a_perfect_model_of_970_and_30_images_is_far_above_chance():
    perfect = ClassCounts(images=(970, 30), predicted=(970, 30), hits=(970, 30))
    assert p_value(perfect) == pytest.approx(1 / math.comb(1000, 30), rel=1e-6)


@pytest.mark.parametrize("images", [(5, 5), (970, 30), (97, *[3] * 9), (9_700, *[33] * 9), (1, 0, 9)])
def test_a_network_that_predicts_one_class_is_at_chance_whichever_it_is(images):
    for label, n in enumerate(images):
        predicted, hits = [0] * len(images), [0] * len(images)
        predicted[label], hits[label] = sum(images), n
        assert p_value(ClassCounts(images=images, predicted=tuple(predicted), hits=tuple(hits))) == 1


def test_without_images_or_hits_it_is_1():
    assert p_value(ClassCounts(images=(0, 0), predicted=(0, 0), hits=(0, 0))) == 1
    assert p_value(ClassCounts(images=(2, 0, 0), predicted=(0, 1, 1), hits=(0, 0, 0))) == 1


@pytest.mark.parametrize("images", [160, 300])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("hits_above", [0, 1, 2, 3])
def test_the_pearson_distribution_is_close_to_the_exact_one_and_errs_towards_chance(images, share, hits_above):
    """Near .001 it is up to 3 times as large where nine classes share 3 % of the images, else at most a quarter off."""
    draws, chances = np.random.default_rng(5), [share, *[(1 - share) / 9] * 9]
    labels, predicted = draws.multinomial(images, chances), draws.multinomial(images, chances)
    pairs = list(zip(map(int, labels), map(int, predicted), strict=True))
    mean = sum(n * m for n, m in pairs) / images
    hits = round(mean + hits_above * math.sqrt(mean * (1 - share)))
    exact, approximate = (f(pairs, images, hits) for f in (chance_test._exact, chance_test._pearson))
    assert 0.95 * exact <= approximate <= (1.25 if share < 0.97 else 3) * exact or max(exact, approximate) < 1e-4


def simulated(share, classes, images, *, recall, draws=1_000):
    """The shares of draws in which predictions count as dependent on the labels, for classifiers of this recall."""
    random = np.random.default_rng([int(100 * share), classes, images, int(100 * recall)])
    chances = [share, *[(1 - share) / (classes - 1)] * (classes - 1)]
    significant = 0
    for _ in range(draws):
        labels = random.choice(classes, images, p=chances)
        guesses = random.choice(classes, images, p=chances)
        predicted = np.where(random.random(images) < recall, labels, guesses)
        significant += p_value(counts(labels, predicted, classes)) <= 0.001
    return significant / draws


CASES = pytest.mark.parametrize(("share", "classes"), list(itertools.product([0.1, 0.5, 0.97], [2, 10])))


@CASES
def test_predictions_that_do_not_depend_on_the_labels_hardly_ever_seem_to(share, classes):
    """Of 1,000 draws at .001, 5 or more have a probability of .004."""
    assert simulated(share, classes, 1_000, recall=0.0) <= 0.004


@CASES
def test_predictions_that_depend_on_the_labels_are_recognised(share, classes):
    """Three in ten images are recognised, the others are guessed; of 1,000 images, 30 or fewer may be no majority's."""
    assert simulated(share, classes, 1_000, recall=0.3, draws=300) >= 0.97
