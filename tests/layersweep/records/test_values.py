"""What a training yields: frozen values that travel between processes."""

import dataclasses
import pickle
from pathlib import Path

import pytest

from layersweep.records.values import (
    ClassReport,
    Epoch,
    Latency,
    Layer,
    LayerStatistics,
    NetworkSummary,
    Test,
    cannot_save,
)

NAN, INF = float("nan"), float("inf")

LAYER = Layer(
    index=0, name="conv2d", kind="Conv2D", activation="relu", filters=32, kernel="5x5", stride="1x1", parameters=832,
    trainable=True, output_shape="28x28x32",
)  # fmt: skip
STATISTICS = LayerStatistics(
    index=0, activation_mean=0.1, activation_deviation=0.2, dead_share=0.25, weight_norm=1.0, gradient_norm=None
)
BUILT = NetworkSummary(
    parameters=832, trainable_parameters=832, flops=1_254_400, size_bytes=3_328, layers=(LAYER,), seconds_build=0.5
)
TEST = Test(loss=0.3, accuracy=0.9, images=10_000)
REPORT = ClassReport(
    set_name="test", class_index=1, class_name="Trouser", precision=1.0, recall=0.5, f1=2 / 3, support=4,
    predicted=(2, 2),
)  # fmt: skip
LATENCY = Latency(min_ms=1.0, median_ms=1.5, p95_ms=2.0, n=100, ratio=2.5, reference_ms=0.5)


def epoch(**changes):
    values = {
        "epoch": 3, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75, "learning_rate": 0.001,
        "seconds_build": 0.0, "seconds_train": 9.0, "seconds_validate": 1.0, "seconds_test": 0.0,
        "seconds_measure": 0.25,
    }  # fmt: skip
    return Epoch(**(values | changes))


FULL = epoch(statistics=(STATISTICS,), test=TEST, classes=(REPORT,), latency=LATENCY)
VALUES = pytest.mark.parametrize(
    "value", [LAYER, STATISTICS, BUILT, TEST, REPORT, LATENCY, FULL], ids=lambda v: type(v).__name__
)


@pytest.mark.parametrize("name", ["loss", "val_loss"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_loss_that_is_no_number_has_diverged(name, value):
    assert epoch(**{name: value}).diverged


def test_a_large_loss_or_a_missing_accuracy_has_not_diverged():
    assert not epoch().diverged
    assert not epoch(loss=1e300, val_loss=-1e300).diverged
    assert not epoch(accuracy=NAN, learning_rate=INF).diverged


def test_an_epoch_out_of_the_models_reach_cannot_be_saved(tmp_path):
    with pytest.raises(RuntimeError, match=r"holds no model to save to .*weights\.h5"):
        epoch().save(tmp_path / "weights.h5")
    with pytest.raises(RuntimeError):
        cannot_save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_save_is_no_part_of_what_an_epoch_says():
    saved = []
    other = epoch(save=saved.append)
    other.save(Path("here"))
    assert saved == [Path("here")]
    assert other == epoch()
    assert "save" not in repr(other)


@VALUES
def test_values_are_frozen(value):
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, 7)


@VALUES
def test_values_are_equal_after_a_journey(value):
    returned = pickle.loads(pickle.dumps(value))
    assert returned == value
    assert returned is not value


def test_an_epoch_that_travelled_still_refuses_to_save(tmp_path):
    with pytest.raises(RuntimeError, match="holds no model"):
        pickle.loads(pickle.dumps(FULL)).save(tmp_path)


@VALUES
def test_values_are_made_by_name(value):
    with pytest.raises(TypeError, match="positional argument"):
        type(value)(*(getattr(value, f.name) for f in dataclasses.fields(value)))
