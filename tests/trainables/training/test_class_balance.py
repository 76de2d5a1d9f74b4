"""Unequal classes: what an epoch shows of each, and what each counts."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from trainables.training.batches import epoch_rows
from trainables.training.class_balance import balanced_rows, class_weights

RARE = np.repeat([0, 1], [970, 30])
SKEWED = np.repeat([0, 1, 2, 4, 7], [1, 3, 50, 500, 46])
"""The classes 3, 5 and 6 do not occur."""

KINDS = pytest.mark.parametrize("labels", [RARE, SKEWED, np.tile(np.arange(10), 13)], ids=["rare", "skewed", "equal"])


def shuffled(labels):
    return np.random.default_rng(0).permutation(labels)


@KINDS
@pytest.mark.parametrize("epoch", [1, 2, 7])
def test_an_epoch_shows_all_classes_equally_often_and_each_image_of_a_class_evenly(labels, epoch):
    labels = shuffled(labels)
    rows = epoch_rows(labels, seed=3, epoch=epoch, oversample=True)
    classes = np.unique(labels)
    of_classes = np.bincount(labels[rows])[classes]
    assert len(rows) == len(labels)
    assert np.ptp(of_classes) <= 1
    uses = np.bincount(rows, minlength=len(labels))
    assert [np.ptp(uses[labels == label]) <= 1 for label in classes] == [True] * len(classes)


@KINDS
def test_all_epochs_together_use_the_images_of_a_class_evenly(labels):
    labels = shuffled(labels)
    uses = np.zeros(len(labels), dtype=int)
    for epoch in range(1, 8):
        uses += np.bincount(balanced_rows(labels, seed=3, epoch=epoch), minlength=len(labels))
        assert all(np.ptp(uses[labels == label]) <= 1 for label in np.unique(labels))
    assert np.ptp(np.bincount(labels, weights=uses)[np.unique(labels)]) <= 1


def test_epochs_and_seeds_differ_and_an_epoch_needs_no_other():
    labels = shuffled(RARE)
    one, again, next_epoch, other_seed = (
        epoch_rows(labels, seed=seed, epoch=epoch, oversample=True) for seed, epoch in ((1, 4), (1, 4), (1, 5), (2, 4))
    )
    assert one.tolist() == again.tolist()
    assert one.tolist() != next_epoch.tolist()
    assert sorted(one) != sorted(other_seed)
    assert np.ptp(np.diff(np.flatnonzero(labels[one] == 1))) > 1, "the classes are mixed"


def test_without_it_each_image_is_shown_once_in_the_same_order_as_ever():
    expected = np.random.default_rng([1, 4]).permutation(len(RARE))
    assert epoch_rows(RARE, seed=1, epoch=4).tolist() == expected.tolist()


@KINDS
def test_weights_are_those_of_scikit_learn(labels):
    classes = np.unique(labels)
    weights = class_weights(shuffled(labels), 10, oversample=False)
    expected = compute_class_weight("balanced", classes=classes, y=labels)
    np.testing.assert_allclose(weights[classes], expected, rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)


def test_classes_that_an_epoch_shows_equally_often_have_equal_weights():
    assert class_weights(RARE, 2, oversample=True).tolist() == [1, 1]
