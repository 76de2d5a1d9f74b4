"""The table of keras.applications is what the installed Keras says, and its families compute what Keras does."""

import inspect

import numpy as np
import pytest

from benchmarks.programs.keras_applications import family_name, functions, preprocessed, preprocessing_name
from trainables.families import by_name
from trainables.families.application_table import ROWS
from trainables.families.applications import OTHERS, PUBLISHED
from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402

SLOW = ("mobilenet_v3_large", "nasnet_mobile", "efficientnet_v2_b0", "densenet121", "convnext_tiny")
BUILT = ("efficientnet_b0", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW))
IMAGES = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


def build(name, **keys):
    module = by_name.family(name)
    return module.build(module.Config(**keys), (32, 32, 3), 10)


def output_of(model, layer):
    return np.asarray(keras.Model(model.input, layer)(IMAGES), np.float32)


def first_convolution_input(model):
    layer = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    before = layer.input
    while isinstance(before._keras_history.operation, keras.layers.ZeroPadding2D):
        before = before._keras_history.operation.input
    return output_of(model, before)


def test_every_network_of_keras_is_a_family():
    own_files = {"mobilenet_v2"}
    assert {*functions()} == {row.name for row in ROWS} | {row.name for row in PUBLISHED} | own_files
    assert {*functions()} <= {*by_name.NAMES}
    functions_by_name = {published.name: published.base for published in (*PUBLISHED, *OTHERS)}
    assert all(functions()[name].__name__ == function for name, function in functions_by_name.items())


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("DenseNet121", "densenet121"), ("EfficientNetV2B0", "efficientnet_v2_b0"), ("NASNetMobile", "nasnet_mobile"),
        ("ConvNeXtXLarge", "convnext_xlarge"), ("ResNet50V2", "resnet50_v2"),
        ("InceptionResNetV2", "inception_resnet_v2"),
    ],
)  # fmt: skip
def test_names_of_families(function, name):
    assert family_name(function) == name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_what_keras_says(row):
    function = functions()[row.name]
    assert preprocessing_name(function) == row.preprocessing
    assert ("alpha" in inspect.signature(function).parameters) == row.has_alpha
    assert by_name.family(row.name).Config.minimum_size == row.minimum_size
    too_small = (row.minimum_size - 1, row.minimum_size - 1, 3)
    with pytest.raises(ValueError, match="Input size must be at least"):
        function(include_top=False, weights=None, input_shape=too_small)


@pytest.mark.parametrize("name", BUILT)
def test_a_family_computes_what_the_network_of_keras_does(name, tmp_path):
    keras.utils.set_random_seed(2)
    function = functions()[name]
    base = function(include_top=False, weights=None, input_shape=(32, 32, 3))
    base.save(tmp_path / "base.keras")
    model = build(name, weights=str(tmp_path / "base.keras"))
    expected = np.asarray(base(preprocessed(function, IMAGES.astype(np.float32)))).mean(axis=(1, 2))
    features = output_of(model, model.get_layer("pooling").output)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    head = (expected.shape[-1] + 1) * 10
    assert model.count_params() == base.count_params() + head
    assert not {layer.name for layer in model.layers if isinstance(layer, keras.Model)}


def test_preprocessing_is_in_float32_in_every_precision():
    exact = first_convolution_input(build("efficientnet_b0"))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = first_convolution_input(build("efficientnet_b0"))
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(mixed, exact)
    assert len(np.unique(exact)) >= 256  # bfloat16 has 129 numbers from 0.5 to 1


def test_raw_images_skip_the_preprocessing_inside_too_and_frozen_layers_are_those_after_it():
    model = build("efficientnet_b0", input_range="raw", trained="2")
    np.testing.assert_array_equal(first_convolution_input(model), IMAGES)
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["top_bn", "classes"]


def test_imagenet_weights_bring_what_only_they_have_before_the_network(tmp_path, monkeypatch):
    """EfficientNet divides its images once more if its weights are ImageNet's."""
    from keras.src.applications import efficientnet

    keras.utils.set_random_seed(4)
    plain = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    normalization = next(layer for layer in plain.layers if isinstance(layer, keras.layers.Normalization))
    normalization.set_weights([np.array([0.4, 0.5, 0.6]), np.array([0.04, 0.05, 0.06]), np.array(0)])
    plain.save_weights(tmp_path / "b0.weights.h5")
    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: str(tmp_path / "b0.weights.h5"))
    published = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    model = build("efficientnet_b0", weights="imagenet")
    expected, without = first_convolution_input(published), first_convolution_input(plain)
    np.testing.assert_allclose(first_convolution_input(model), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - without).max() > 0.1 * np.abs(expected).max()


def test_a_name_that_there_is_not_is_refused_with_all_that_there_are():
    with pytest.raises(by_name.ConfigError) as error:
        by_name.family("densenet12")
    message = str(error.value)
    assert message.startswith("family='densenet12' is not valid; did you mean 'densenet121'? valid: alexnet, ")
    assert "densenet121, densenet169, densenet201; efficientnet_b0" in message
    assert all(name in message for name in by_name.NAMES)
    assert "\n" not in message
