"""Networks that others made and saved as `.keras` files, as bases: nested ones, with and without preprocessing."""

import numpy as np
import pytest

from trainables.errors import WeightsError
from trainables.families import transfer
from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(1).integers(0, 256, (2, *SHAPE)).astype(np.uint8)


def build(path, image_shape=SHAPE, **values):
    config = transfer.Config(weights=str(path), **{"dense_units": 0, "pooling": "average"} | values)
    return transfer.build(config, image_shape, 10)


def inner_network():
    image = keras.Input(SHAPE, name="image")
    x = kl.Conv2D(4, 3, name="convolution")(image)
    y = kl.Conv2D(4, 1, name="dense")(kl.ReLU(name="relu")(x))
    return keras.Model(image, kl.Add(name="sum")([x, y]), name="backbone")


def tutorial(scaling):
    """As most tutorials have it: augmentation, scaling, a base in inference, a head; with Keras' own names."""
    image = keras.Input(SHAPE)
    x = keras.Sequential(
        [kl.RandomFlip("horizontal", name="random_flip"), kl.RandomRotation(0.1)], name="data_augmentation"
    )(image)
    x = inner_network()(scaling(x), training=False)
    x = kl.Dropout(0.2)(kl.GlobalAveragePooling2D()(x))
    return keras.Model(image, kl.Dense(3, activation="softmax", name="dense")(x))


def saved(model, tmp_path):
    path = tmp_path / "mine.keras"
    model.save(path)
    return path


def features(model):
    return np.asarray(keras.Model(model.input, model.get_layer("head_pooling").output)(IMAGES))


def expected_features(source, images):
    return np.asarray(source.get_layer("backbone")(images)).mean(axis=(1, 2))


SCALINGS = {
    "a layer": (kl.Rescaling(1 / 127.5, offset=-1), lambda x: x / 127.5 - 1),
    "a normalisation": (
        kl.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]),
        lambda x: (x - [1, 2, 3]) / np.sqrt([4, 5, 6]),
    ),
    "arithmetic": (lambda x: x / 127.5 - 1, lambda x: x / 127.5 - 1),
}


@pytest.mark.parametrize("name", SCALINGS)
def test_a_network_within_a_network_with_its_own_preprocessing_computes_the_same(tmp_path, name):
    scaling, scaled = SCALINGS[name]
    source = tutorial(scaling)
    model = build(saved(source, tmp_path))
    np.testing.assert_allclose(features(model), expected_features(source, scaled(IMAGES.astype(np.float64))), atol=1e-4)
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["head_classes"]


def test_its_inner_layers_can_be_cut_and_thawed_even_if_two_have_one_name(tmp_path):
    path = saved(tutorial(kl.Rescaling(1 / 255)), tmp_path)
    model = build(path, cut="relu", trained="relu")
    assert {"convolution", "relu"} <= {layer.name for layer in model.layers}
    assert "sum" not in {layer.name for layer in model.layers}
    thawed = build(path, trained="3")
    assert [layer.name for layer in thawed.layers if layer.trainable_weights] == ["dense", "head_classes"]


def test_augmentation_in_the_frozen_part_is_off(tmp_path):
    model = build(saved(tutorial(kl.Rescaling(1 / 255)), tmp_path))
    assert not [layer for layer in model.layers if "Random" in type(layer).__name__]
    np.testing.assert_array_equal(np.asarray(model(IMAGES, training=True)).shape, (2, 10))


def test_a_sequential_network_around_another_is_a_base(tmp_path):
    source = keras.Sequential([keras.Input(SHAPE), kl.Rescaling(1 / 255), inner_network(), kl.Flatten(), kl.Dense(3)])
    model = build(saved(source, tmp_path))
    np.testing.assert_allclose(features(model), expected_features(source, IMAGES / 255), atol=1e-5)


@pytest.mark.parametrize(
    ("input_range", "scaled"), [("unit", IMAGES / 255), ("signed", IMAGES / 127.5 - 1), ("raw", IMAGES.astype(float))]
)
def test_of_images_that_were_scaled_outside_the_range_must_be_said(tmp_path, input_range, scaled):
    source = tutorial(lambda x: x)
    path = saved(source, tmp_path)
    with pytest.raises(WeightsError, match=r"mine\.keras: no layer scales its images, .*valid: input_range=unit .*raw"):
        build(path)
    np.testing.assert_allclose(
        features(build(path, input_range=input_range)), expected_features(source, scaled), atol=1e-3
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_scaling_is_in_float32_in_every_precision(tmp_path, policy):
    path = saved(tutorial(kl.Rescaling(1 / 127.5, offset=-1)), tmp_path)
    keras.config.set_dtype_policy(policy)
    try:
        model = build(path)
    finally:
        keras.config.set_dtype_policy("float32")
    before = next(layer for layer in model.layers if isinstance(layer, kl.Conv2D)).input
    np.testing.assert_array_equal(
        np.asarray(keras.Model(model.input, before)(IMAGES)), IMAGES * np.float32(1 / 127.5) - 1
    )


def test_a_network_without_a_head_ends_with_its_output(tmp_path):
    """EfficientNet has poolings within its blocks, which are no heads."""
    image = keras.Input(SHAPE)
    x = kl.Conv2D(4, 3)(kl.Rescaling(1 / 255)(image))
    squeezed = kl.Reshape((1, 1, 4))(kl.GlobalAveragePooling2D(name="squeeze")(x))
    output = kl.Conv2D(5, 3, name="last")(kl.Multiply()([x, squeezed]))
    model = build(saved(keras.Model(image, output), tmp_path))
    assert model.get_layer("head_pooling").input.shape == (None, 12, 12, 5)


def test_a_layer_that_two_calls_share_stays_one_layer(tmp_path):
    image = keras.Input(SHAPE)
    shared = kl.Conv2D(3, 3, padding="same", name="shared")
    x = shared(shared(kl.Rescaling(1 / 255)(image)))
    model = build(saved(keras.Model(image, kl.Dense(2)(kl.GlobalMaxPooling2D()(x))), tmp_path), trained="all")
    assert [layer.name for layer in model.layers if layer.weights] == ["shared", "head_classes"]


def test_names_that_new_layers_have_are_changed(tmp_path):
    image = keras.Input(SHAPE)
    x = kl.Conv2D(3, 3, name="random_flip")(kl.Rescaling(1 / 255, name="image")(image))
    path = saved(keras.Model(image, kl.Dense(2)(kl.Flatten()(x))), tmp_path)
    model = build(path, flip="horizontal", image_size=16, channels=3)
    assert model.get_layer("source_random_flip").kernel.shape == (3, 3, 3, 3)
    assert isinstance(model.get_layer("random_flip"), kl.RandomFlip)


def test_a_scaling_before_layers_with_names_of_ours_is_kept(tmp_path):
    source = keras.Input(SHAPE)
    x = kl.RandomFlip(name="random_flip")(kl.Rescaling(1 / 255)(source))
    model = build(saved(keras.Model(source, kl.Dense(2)(kl.Flatten()(kl.Conv2D(3, 3)(x)))), tmp_path))
    first = next(layer for layer in model.layers if isinstance(layer, kl.Conv2D))
    assert np.asarray(keras.Model(model.input, first.input)(IMAGES)).max() == pytest.approx(IMAGES.max() / 255)


@keras.saving.register_keras_serializable("elsewhere")
class Elsewhere(kl.Layer):
    """A layer of a user, which this process does not know when it loads the file."""

    def call(self, x):
        return x


def test_a_layer_that_is_not_known_here_is_named(tmp_path):
    image = keras.Input(SHAPE)
    x = kl.GlobalAveragePooling2D()(Elsewhere()(kl.Rescaling(1 / 255)(image)))
    path = saved(keras.Model(image, kl.Dense(2)(x)), tmp_path)
    known = keras.saving.get_custom_objects().pop("elsewhere>Elsewhere")
    try:
        with pytest.raises(WeightsError) as error:
            build(path)
    finally:
        keras.saving.get_custom_objects()["elsewhere>Elsewhere"] = known
    assert str(error.value) == (
        f"weights {path} cannot be read: it has a layer of the class Elsewhere, which is not one of Keras'; valid: "
        "networks of Keras' own layers"
    )


def test_other_inputs_than_images_are_refused(tmp_path):
    one, other = keras.Input(SHAPE), keras.Input((4,))
    x = kl.Concatenate()([kl.Flatten()(one), other])
    with pytest.raises(WeightsError, match=r"take \(16, 16, 3\), \(4,\); valid: a network that takes images"):
        build(saved(keras.Model([one, other], kl.Dense(2)(x)), tmp_path))


def test_grey_and_colour_that_do_not_fit_are_said(tmp_path):
    path = saved(tutorial(kl.Rescaling(1 / 255)), tmp_path)
    with pytest.raises(WeightsError, match=r"need 3-channel images, but these have 1 channels; valid: channels=3"):
        build(path, (16, 16, 1))
    assert build(path, (16, 16, 1), channels=3).input.shape == (None, 16, 16, 1)
