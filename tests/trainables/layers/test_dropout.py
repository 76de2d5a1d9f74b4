"""Dropout depends on the seed, keeps its rate, and does nothing in inference."""

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from trainables.layers.dropout import Dropout  # noqa: E402

ONES = np.ones((50, 8, 8, 32), np.float32)


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.95])
def test_numbers_are_dropped_at_the_rate_and_the_others_enlarged(rate):
    outputs = Dropout(rate, seed=1)(ONES, training=True).numpy()
    assert set(np.unique(outputs)) == {np.float32(0), np.float32(1 / (1 - rate))}
    deviation = np.sqrt(rate * (1 - rate) / outputs.size)
    assert (outputs == 0).mean() == pytest.approx(rate, abs=4 * deviation)
    by_place = (outputs == 0).mean(axis=(0, 1, 2))  # no channel fares better than another
    assert np.abs(by_place - rate).max() < 5 * deviation * np.sqrt(32)


def test_neighbours_are_dropped_independently():
    zeros = Dropout(0.5, seed=1)(ONES, training=True).numpy() == 0
    both = (zeros[..., 0::2] & zeros[..., 1::2]).mean()
    assert both == pytest.approx(0.25, abs=0.01)


def test_each_call_draws_anew_and_a_state_draws_the_same_again():
    layer = Dropout(0.5, seed=1)
    state = layer.seed_generator.state.numpy()
    first, second = layer(ONES, training=True).numpy(), layer(ONES, training=True).numpy()
    assert (first != second).any()
    layer.seed_generator.state.assign(state)
    np.testing.assert_array_equal(layer(ONES, training=True), first)


def test_nothing_happens_in_inference_or_at_a_rate_of_0():
    np.testing.assert_array_equal(Dropout(0.5)(ONES, training=False), ONES)
    np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)


def test_gradients_pass_where_nothing_was_dropped():
    x = tf.constant(ONES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Dropout(0.3, seed=1)(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


@pytest.mark.parametrize("settings", [{}, {"noise_shape": (None, 1, 1, 32)}])
def test_odd_channels_and_noise_shapes_are_kerass_own(settings):
    images = ONES[..., :31] if not settings else ONES
    theirs, mine = keras.layers.Dropout(0.3, seed=1, **settings), Dropout(0.3, seed=1, **settings)
    np.testing.assert_array_equal(mine(images, training=True), theirs(images, training=True))


def test_bfloat16_stays_bfloat16():
    assert Dropout(0.3, dtype="mixed_bfloat16")(ONES, training=True).dtype == tf.bfloat16


def test_it_is_read_back_from_a_file(tmp_path):
    image = keras.Input((8, 8, 32))
    keras.Model(image, Dropout(0.3)(image)).save(tmp_path / "model.keras")
    (_, layer) = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True).layers
    assert isinstance(layer, Dropout)
    assert layer.rate == 0.3
