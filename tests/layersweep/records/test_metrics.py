"""Every metric is one description, whose columns the tables have."""

import pytest

from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, LOSS, MACRO_F1, METRICS, valid_metrics
from layersweep.records.tables import EPOCHS, TESTS, TRIALS


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_tables_have_the_columns_of_every_metric(metric):
    assert metric.column in EPOCHS.schema.names
    assert f"last_{metric.column}" in TRIALS.schema.names
    assert metric.test_column in TESTS.schema.names


def test_a_metric_has_a_name_a_direction_and_limits():
    balanced, loss = METRICS[BALANCED_ACCURACY], METRICS[LOSS]
    assert balanced.name == "validation balanced accuracy"
    assert balanced.test_name == "test balanced accuracy"
    assert (balanced.mode, balanced.limits) == ("max", (0.0, 1.0))
    assert (loss.mode, loss.limits[1]) == ("min", float("inf"))
    assert METRICS[MACRO_F1].name == "validation macro F1"
    assert [name for name, metric in METRICS.items() if metric.counts_images] == [ACCURACY]


def test_a_message_names_all_metrics():
    assert valid_metrics() == "val_accuracy, val_loss, val_balanced_accuracy, val_macro_f1"
