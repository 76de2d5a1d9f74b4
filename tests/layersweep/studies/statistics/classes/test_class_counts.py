"""The classes of a validation set: their sizes, hits and predictions, and the metrics and levels that follow."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, LOSS, MACRO_F1
from layersweep.studies.statistics.classes.class_counts import ClassCounts, class_counts


def table(trial_id, matrix, *, set_name="validation", names=None):
    return pl.DataFrame([
        {"trial_id": trial_id, "set_name": set_name, "class_index": index, "support": sum(row),
         "class_name": names[index] if names else f"class {index}", "predicted": row}
        for index, row in enumerate(matrix)
    ])  # fmt: skip


def labels_of(matrix):
    """The label and the prediction of each image of a confusion matrix."""
    pairs = [(i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) for _ in range(n)]
    return zip(*pairs, strict=True)


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize(
    "matrix", [[[95, 2], [1, 2]], [[4, 0, 1], [2, 3, 0], [0, 0, 7]], [[5, 1, 2], [0, 0, 0], [1, 1, 1]]]
)
def test_the_metrics_of_the_counts_are_those_of_scikit_learn(matrix):
    (counts,) = class_counts(table("t", matrix), ["t"]).values()
    labels, predictions = labels_of(matrix)
    occurring = sorted({*labels})
    assert counts.values[BALANCED_ACCURACY] == pytest.approx(balanced_accuracy_score(labels, predictions))
    expected = f1_score(labels, predictions, labels=occurring, average="macro")
    assert counts.values[MACRO_F1] == pytest.approx(expected)


def test_other_trials_and_the_test_set_do_no_harm_and_a_class_without_images_is_left_out():
    rows = pl.concat([
        table("t", [[3, 0, 1], [0, 0, 0], [1, 1, 0]], names=["a", "b", "c"]),
        table("t", [[9, 9], [9, 9]], set_name="test"),
        table("other", [[9, 9], [9, 9]]),
    ])  # fmt: skip
    assert class_counts(rows, ["t"]) == {
        "t": ClassCounts(names=("a", "c"), supports=(4, 2), hits=(3, 0), predicted=(4, 1))
    }


def test_without_predictions_and_names_the_sizes_are_known():
    rows = table("t", [[3, 1], [0, 2]]).drop("class_name", "predicted")
    assert class_counts(rows, ["t"]) == {"t": ClassCounts(names=("", ""), supports=(4, 2))}
    assert class_counts(rows.clear(), ["t"]) == {}


def test_no_guess_is_above_the_level_of_macro_f1():
    """The mean F1 of a guess with shares q, given those of the classes, s: the mean of 2 s q / (s + q)."""
    generator = np.random.default_rng(4)
    counts = ClassCounts(names=("",) * 3, supports=(70, 25, 5))
    shares = np.array(counts.supports) / 100
    guesses = generator.dirichlet(np.ones(3), 10_000)
    assert (2 * shares * guesses / (shares + guesses)).mean(axis=1).max() <= counts.level(MACRO_F1) + 1e-12
    constant = 2 * 0.7 / 1.7 / 3
    assert constant < counts.level(MACRO_F1) == pytest.approx((2 * shares * shares / (2 * shares)).mean())


def test_levels_are_those_of_the_best_guess():
    counts = ClassCounts(names=("", ""), supports=(97, 3))
    assert counts.level(ACCURACY) == 0.97
    assert counts.level(BALANCED_ACCURACY) == counts.level(MACRO_F1) == 0.5
    assert counts.level(LOSS) == pytest.approx(-0.97 * math.log(0.97) - 0.03 * math.log(0.03))


def test_the_resolution_is_that_of_the_recalls_together():
    """Recalls that are rounded to steps of 1 / images: their mean has this variance, times 12."""
    counts = ClassCounts(names=("",) * 3, supports=(40, 10, 4))
    generator = np.random.default_rng(5)
    errors = sum(generator.uniform(-0.5 / n, 0.5 / n, 200_000) for n in counts.supports) / 3
    assert counts.resolution / math.sqrt(12) == pytest.approx(float(errors.std()), rel=0.01)
