"""The best trial of a sweep, whose weights another one begins with, is that by the sweep's own metric."""

import pytest
from imbalanced_sweep import imbalanced_sweep

from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1
from layersweep.tuning.common import kept_weights


@pytest.mark.parametrize(
    ("metric", "best"), [(ACCURACY, "hasty-1"), (BALANCED_ACCURACY, "careful-3"), (MACRO_F1, "hasty-3")]
)
def test_the_best_trial_is_that_by_the_metric_of_the_sweep(tmp_path, metric, best):
    sweep = imbalanced_sweep(tmp_path / "results", metric)
    for row in sweep.rows["trials"]:
        last = next(one for one in reversed(sweep.rows["epochs"]) if one["trial_id"] == row["trial_id"])
        row["last_val_accuracy"] = last["val_accuracy"]
    sweep.write()
    assert kept_weights._best(sweep.results, sweep.name) == best


def test_a_trial_without_the_metric_is_not_the_best(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", BALANCED_ACCURACY, older=("careful",))
    assert kept_weights._best(sweep.results, sweep.name).startswith("hasty-")
