"""What is recorded of a trial's attempt, against what a training gives now."""

from dataclasses import replace

import made_up
import pytest

from layersweep.tuning.storage.recorded_attempt import METRICS, RecordedAttempt, metrics, result_columns

EPOCH = made_up.measured(made_up.Config(), 0, 1, last=False)
NEW = ("val_balanced_accuracy", "val_macro_f1")
"""The columns that older records lack."""


def recorded(**changes):
    return RecordedAttempt(epochs={1: metrics(replace(EPOCH, **changes))})


@pytest.mark.parametrize("name", METRICS)
def test_another_digit_of_any_metric_contradicts(name):
    assert not recorded().contradicts(EPOCH)
    assert recorded(**{name: getattr(EPOCH, name) + 1e-12}).contradicts(EPOCH)


@pytest.mark.parametrize("name", NEW)
def test_what_an_older_record_lacks_contradicts_nothing(name):
    older = recorded(**{name: None})
    assert name not in older.epochs[1]
    assert not older.contradicts(EPOCH)
    assert not recorded().contradicts(replace(EPOCH, **{name: None}))
    assert recorded(**{name: None, "loss": 0.0}).contradicts(EPOCH), "what it has is still compared"


def test_nan_equals_nan():
    assert not recorded(val_loss=float("nan")).contradicts(replace(EPOCH, val_loss=float("nan")))
    assert recorded(val_loss=float("nan")).contradicts(EPOCH)


def test_the_columns_of_a_curve_are_its_last_numbers():
    now = result_columns({1: metrics(EPOCH)})
    assert {name: now[f"last_{name}"] for name in METRICS[:-1]} == {name: getattr(EPOCH, name) for name in METRICS[:-1]}
    before = result_columns(recorded(val_balanced_accuracy=None, val_macro_f1=None).epochs)
    assert now.keys() - before.keys() == {f"last_{name}" for name in NEW}
