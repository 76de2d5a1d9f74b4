"""Copied weights: also those of layers that compute with something that they make of their weights."""

import numpy as np

from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from trainables.families import transfer  # noqa: E402
from trainables.layers.weight_copies import copy_weights  # noqa: E402

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).integers(50, 200, (20, *SHAPE)).astype(np.uint8)


def adapted():
    scaling = kl.Normalization(axis=-1)
    scaling.adapt(IMAGES.astype(np.float32))
    return keras.Sequential([keras.Input(SHAPE), scaling, kl.Conv2D(2, 3, name="first"), kl.Flatten(), kl.Dense(3)])


def test_a_network_with_an_adapted_normalization_computes_the_same():
    source = adapted()
    copy = keras.models.clone_model(source)
    copy_weights(copy, source)
    np.testing.assert_allclose(copy(IMAGES), source(IMAGES.astype(np.float32)), rtol=1e-5, atol=1e-5)


def test_a_base_with_an_adapted_normalization_computes_the_same(tmp_path):
    source = adapted()
    source.save(tmp_path / "mine.keras")
    model = transfer.build(transfer.Config(weights=str(tmp_path / "mine.keras")), SHAPE, 3)
    features = keras.Model(model.input, model.get_layer("first").output)(IMAGES)
    expected = keras.Model(source.inputs[0], source.get_layer("first").output)(IMAGES.astype(np.float32))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_by_itself():
    source, copy = (kl.Normalization(axis=-1) for _ in range(2))
    source.adapt(IMAGES.astype(np.float32))
    copy.build(IMAGES.shape)
    copy_weights(copy, source)
    np.testing.assert_allclose(copy(IMAGES), source(IMAGES), rtol=1e-5)
