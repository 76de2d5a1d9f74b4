"""Splits of a training file: stratified by class, and always the same for a seed."""

import numpy as np

from trainables.data.splits import stratified_order


def test_every_prefix_is_stratified_where_classes_differ_in_size() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    permutation = stratified_order(labels, 5)
    assert sorted(permutation.tolist()) == list(range(100))
    for length in range(1, 101):
        counts = np.bincount(labels[permutation[:length]], minlength=3)
        assert np.abs(counts - np.array([0.6, 0.3, 0.1]) * length).max() <= 1.0


def test_the_order_of_a_seed_never_changes() -> None:
    """Recorded trials used exactly these images: a change here would make their records wrong."""
    assert stratified_order(np.array([0, 0, 0, 1, 1, 1]), 0).tolist() == [2, 3, 1, 4, 5, 0]
