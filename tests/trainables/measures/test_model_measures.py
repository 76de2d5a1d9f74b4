"""The measurements of a model agree with Keras and with counting by hand."""
# ruff: noqa: E402

import itertools
import math

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras
import tensorflow as tf
from keras import layers as kl
from sklearn.metrics import balanced_accuracy_score, f1_score

from layersweep.records.values import ClassReport
from trainables.data.arrays import ImageSet, Rows
from trainables.measures.model_measures import (
    EVALUATION_BATCH,
    Reading,
    class_counts,
    class_reports,
    evaluate,
    forward,
    latency,
    model_size,
)


@pytest.fixture(scope="module")
def model():
    """A model of 5 x 5 images and three classes."""
    keras.utils.set_random_seed(1)
    image = keras.Input((5, 5, 1), dtype="uint8")
    x = kl.BatchNormalization()(kl.Conv2D(2, 3)(kl.Rescaling(1 / 255)(image)))
    network = keras.Model(image, kl.Dense(3, "softmax")(kl.Flatten()(x)))
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


@pytest.fixture(scope="module")
def images():
    """Random images: more than one batch, and the last batch not full."""
    draw, n = np.random.default_rng(1), EVALUATION_BATCH + 44
    return ImageSet(images=draw.integers(0, 256, (n, 5, 5, 1), dtype=np.uint8), labels=draw.integers(0, 3, n))


def test_loss_and_accuracy_are_those_of_keras(model, images):
    reading = evaluate(forward(model), images)
    loss, accuracy = model.evaluate(images.images, images.labels, batch_size=64, verbose=0)
    assert reading.loss == pytest.approx(loss, abs=1e-6)
    assert reading.accuracy == pytest.approx(accuracy, abs=1e-6)
    assert reading.images == 300


def test_predictions_are_the_likeliest_classes_in_the_order_of_the_images(model, images):
    reading = evaluate(forward(model), images)
    np.testing.assert_array_equal(reading.predicted, np.argmax(model(images.images), axis=1))
    np.testing.assert_array_equal(reading.labels, images.labels)
    assert reading.accuracy == np.mean(reading.predicted == images.labels)


@pytest.mark.parametrize(
    ("size", "batches"), [((128, 128, 1), [256, 1]), ((256, 128, 1), [128, 128, 1]), ((2048, 2049, 1), [1] * 257)]
)
def test_of_large_pictures_fewer_are_evaluated_at_once(size, batches):
    """At most as many pixels as 256 images of 128 x 128 have; an array of one row is repeated without memory."""
    evaluated = []

    def probabilities(batch):
        evaluated.append(len(batch))
        return tf.fill((len(batch), 2), 0.5)

    rows = Rows(np.zeros((1, *size), dtype=np.uint8), np.zeros(257, dtype=np.int64))
    evaluate(probabilities, ImageSet(images=rows, labels=np.zeros(257, dtype=np.int64)))
    assert evaluated == batches


def certain(bias):
    """A model that gives every image the same answer, from biases alone."""
    model = keras.Sequential([keras.Input((5, 5, 1), dtype="uint8"), kl.Rescaling(0.0), kl.Flatten()])
    model.add(kl.Dense(3, "softmax"))
    model.layers[-1].set_weights([np.zeros((25, 3)), np.array(bias)])
    model.compile(loss="sparse_categorical_crossentropy")
    return model


def test_the_loss_of_an_impossible_class_is_finite_as_that_of_probabilities_is_in_keras(images):
    reading = evaluate(forward(certain([1000.0, 0.0, 0.0])), images)
    share_wrong = np.mean(images.labels != 0)
    probabilities = np.tile(np.array([[1.0, 0.0, 0.0]], dtype=np.float32), (300, 1))
    assert reading.loss == pytest.approx(-math.log(1e-7) * share_wrong, rel=1e-6)
    in_keras = keras.losses.sparse_categorical_crossentropy(images.labels, probabilities)
    assert reading.loss == pytest.approx(float(np.mean(in_keras)), rel=1e-6)


def test_the_loss_of_a_broken_model_is_nan(images):
    assert math.isnan(evaluate(forward(certain([math.nan, 0.0, 0.0])), images).loss)


def test_balanced_scores_are_those_of_scikit_learn():
    draws = np.random.default_rng(1)
    labels, predicted = draws.choice([0, 1, 4], 200, p=[0.9, 0.08, 0.02]), draws.choice([0, 1, 4], 200)
    counts = class_counts(labels, predicted, 6)
    assert counts.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    expected = f1_score(labels, predicted, labels=[0, 1, 4], average="macro")
    assert counts.macro_f1 == pytest.approx(expected)
    never = class_counts(labels, np.full(200, 5), 6)
    assert (never.balanced_accuracy, never.macro_f1) == (0, 0)


def test_classes_are_reported_as_counted_by_hand():
    reading = Reading(
        loss=0.0, accuracy=3 / 6, labels=np.array([0, 0, 0, 1, 1, 2]), predicted=np.array([0, 0, 1, 1, 0, 1])
    )
    # of three shirts two are found; of three answers "shirt" two are right; no bag is found; no hat is shown
    assert class_reports("test", reading, ("shirt", "shoe", "bag", "hat")) == [
        ClassReport(
            set_name="test", class_index=0, class_name="shirt", precision=2 / 3, recall=2 / 3,
            f1=pytest.approx(2 / 3), support=3, predicted=(2, 1, 0, 0),
        ),
        ClassReport(
            set_name="test", class_index=1, class_name="shoe", precision=1 / 3, recall=1 / 2,
            f1=pytest.approx(2 * (1 / 3 * 1 / 2) / (1 / 3 + 1 / 2)), support=2, predicted=(1, 1, 0, 0),
        ),
        ClassReport(
            set_name="test", class_index=2, class_name="bag", precision=0.0, recall=0.0,
            f1=0.0, support=1, predicted=(0, 1, 0, 0),
        ),
        ClassReport(
            set_name="test", class_index=3, class_name="hat", precision=0.0, recall=0.0,
            f1=0.0, support=0, predicted=(0, 0, 0, 0),
        ),
    ]  # fmt: skip


def test_latency_is_of_fifty_calls(model, images):
    time = latency(forward(model), images.images[:3])
    assert time.n == 50
    assert 0 < time.min_ms <= time.median_ms <= time.p95_ms < 1000


def test_latency_leaves_out_the_tracing_and_the_other_slow_first_calls(monkeypatch):
    calls = []

    def clock():
        """A stopwatch on which the first five calls take a second each, the others 1, 2, 3, ... milliseconds.

        So does the reference behind each, in a quarter of that.
        """
        calls.append(len(calls))
        pair, place = divmod(calls[-1], 4)
        took = 1.0 if pair < 5 else (pair - 4) / 1000
        return (0.0, took, 0.0, took / 4)[place]

    monkeypatch.setattr("trainables.measures.model_measures.time.perf_counter", clock)
    time = latency(certain([0.0, 0.0, 0.0]), np.zeros((1, 5, 5, 1), dtype=np.uint8))
    assert len(calls) == 4 * (5 + 50)
    assert time.min_ms == pytest.approx(1)
    assert time.median_ms == pytest.approx(25.5)
    assert time.p95_ms == pytest.approx(47.55)  # of 1 to 50, at 95 % of the way
    assert time.ratio == pytest.approx(4)
    assert time.reference_ms == pytest.approx(0.25)


def test_what_slows_the_machine_leaves_the_ratio_as_it_is(monkeypatch):
    slower = {"by": 1.0}
    ticks = itertools.cycle((0.0, 0.006, 0.0, 0.002))
    monkeypatch.setattr("trainables.measures.model_measures.time.perf_counter", lambda: slower["by"] * next(ticks))
    network, image = certain([0.0, 0.0, 0.0]), np.zeros((1, 5, 5, 1), dtype=np.uint8)
    first = latency(network, image)
    slower["by"] = 1.8
    second = latency(network, image)
    assert second.min_ms == pytest.approx(1.8 * first.min_ms)
    assert second.ratio == pytest.approx(first.ratio) == pytest.approx(3)


def test_a_built_model_has_its_size_and_cost(model):
    size = model_size(model, seconds_build=1.5)
    convolution, normalisation, dense = 3 * 3 * 2 + 2, 4 * 2, 18 * 3 + 3  # 5 x 5 becomes 3 x 3 x 2 = 18 numbers
    assert size.parameters == convolution + normalisation + dense
    assert size.trainable_parameters == size.parameters - 2 * 2  # the moving mean and variance of two channels
    assert size.size_bytes == 4 * size.parameters
    assert size.flops == (2 * 18 * 9 + 18) + (2 * 18 * 3 + 3)
    assert size.seconds_build == 1.5
    assert [layer.kind for layer in size.layers] == [
        "InputLayer", "Rescaling", "Conv2D", "BatchNormalization", "Flatten", "Dense",
    ]  # fmt: skip
    assert [layer.index for layer in size.layers] == list(range(6))


def test_frozen_parameters_count_as_parameters_alone():
    model = keras.Sequential([keras.Input((7,)), kl.Dense(5, trainable=False), kl.Dense(2)])
    size = model_size(model, seconds_build=0.0)
    assert (size.parameters, size.trainable_parameters) == (40 + 12, 12)
