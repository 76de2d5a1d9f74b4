"""The fused layer equals Keras' own up to rounding: outputs, gradients, moving averages, and after saving."""

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from trainables.layers.batch_normalization import BatchNormalization  # noqa: E402

IMAGES = (8, 6, 5, 3)


def pair(**settings):
    """Keras' layer and ours with the same weights, none of them at its initial value."""
    rng = np.random.default_rng(1)
    layers = [kind(**settings) for kind in (keras.layers.BatchNormalization, BatchNormalization)]
    weights = [rng.uniform(0.5, 2, 3), rng.normal(size=3), rng.normal(size=3), rng.uniform(0.5, 2, 3)]
    for layer in layers:
        layer.build(IMAGES)
        layer.set_weights(weights)
    return layers


def output_and_gradients(layer, x, *, training):
    """The output, and the gradients of a weighted sum of the outputs by input and weights."""
    factors = tf.constant(np.random.default_rng(2).normal(size=x.shape), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cast(layer(x, training=training), tf.float32)
        total = tf.reduce_sum(factors * y * y)
    return [y, *tape.gradient(total, [x, layer.gamma.value, layer.beta.value])]


@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_averages_are_those_of_keras(training):
    x = tf.constant(np.random.default_rng(3).normal(2, 3, IMAGES), tf.float32)
    theirs, mine = pair()
    for expected, actual in zip(
        output_and_gradients(theirs, x, training=training),
        output_and_gradients(mine, x, training=training),
        strict=True,
    ):
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-4)
    for expected, actual in zip(theirs.get_weights(), mine.get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_a_frozen_one_normalises_by_its_averages_and_keeps_them():
    x = tf.constant(np.random.default_rng(3).normal(2, 3, IMAGES), tf.float32)
    theirs, mine = pair(trainable=False)
    before = mine.get_weights()
    np.testing.assert_allclose(mine(x, training=True), theirs(x, training=True), rtol=1e-5, atol=1e-5)
    for one, other in zip(before, mine.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_computes_in_bfloat16_and_averages_in_float32():
    x = tf.constant(np.random.default_rng(3).normal(2, 3, IMAGES), tf.bfloat16)
    theirs, mine = pair(dtype="mixed_bfloat16")
    expected, actual = (layer(x, training=True) for layer in (theirs, mine))
    assert actual.dtype == expected.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(actual, tf.float32), tf.cast(expected, tf.float32), rtol=0.02, atol=0.02)
    for one, other in zip(theirs.weights, mine.weights, strict=True):
        assert other.dtype == "float32"
        np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {"axis": 1}])
def test_what_the_kernel_cannot_do_goes_keras_way(settings):
    x = tf.constant(np.random.default_rng(3).normal(2, 3, IMAGES), tf.float32)
    theirs, mine = (kind(**settings) for kind in (keras.layers.BatchNormalization, BatchNormalization))
    np.testing.assert_array_equal(mine(x, training=True), theirs(x, training=True))


def test_rows_of_features_go_keras_way():
    x = tf.constant(np.random.default_rng(3).normal(2, 3, (8, 3)), tf.float32)
    np.testing.assert_array_equal(
        BatchNormalization()(x, training=True), keras.layers.BatchNormalization()(x, training=True)
    )


def test_a_saved_model_has_it_again(tmp_path):
    image = keras.Input(IMAGES[1:])
    model = keras.Model(image, BatchNormalization(momentum=0.5)(image))
    x = np.random.default_rng(3).normal(size=IMAGES).astype(np.float32)
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert type(again.layers[-1]) is BatchNormalization
    np.testing.assert_array_equal(again(x), model(x))
