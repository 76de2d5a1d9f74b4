import keras
import numpy as np
import pytest
from keras import layers

from trainables.errors import ConfigError
from trainables.hyper_models.flat_model import append, rescales


def flat(model, shape=(8, 8, 1)):
    image = keras.Input(shape)
    return keras.Model(image, append(model, image))


def test_nested_models_become_one_row_of_layers_with_the_same_outputs():
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="inner"), layers.ReLU()])
    image = keras.Input((8, 8, 1))
    x = inner(image)
    outputs = layers.Dense(3, "softmax", name="classes")(layers.Flatten()(keras.ops.concatenate([x, x * 2])))
    model = keras.Model(image, outputs)
    copy = flat(model)
    images = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    assert np.array_equal(copy(images), model(images))
    assert {"inner", "classes"} <= {layer.name for layer in copy.layers}
    assert not any(isinstance(layer, keras.Model) for layer in copy.layers)
    for layer in copy.layers:
        assert layer.output is not None  # a layer that is called twice has no one output


def test_a_sequential_model_without_an_input_takes_the_images_as_they_are():
    copy = flat(keras.Sequential([layers.Flatten(), layers.Dense(3, "softmax")]), (5, 7, 3))
    assert copy.output.shape == (None, 3)
    assert copy.layers[-1].kernel.shape == (105, 3)


@pytest.mark.parametrize("shape", [(64,), (8, 8), (None, None, 1)])
def test_flat_images_and_grey_images_without_channels_are_taken(shape):
    inner = keras.Sequential([keras.Input(shape), layers.Flatten() if None not in shape else layers.GlobalMaxPool2D()])
    assert flat(inner).output.shape[0] is None


def test_images_of_another_size_are_refused_with_what_to_set():
    model = keras.Sequential([keras.Input((9, 9, 3)), layers.Flatten()])
    with pytest.raises(ConfigError, match=r"takes images of 9x9x3, but these have 8x8x1; valid: --set image_size="):
        flat(model)


def test_a_layer_that_is_used_twice_is_refused():
    image, layer = keras.Input((8, 8, 1)), layers.Conv2D(1, 3, padding="same", name="shared")
    with pytest.raises(ConfigError, match=r"the layer shared is used twice; valid: a layer for each use"):
        flat(keras.Model(image, layer(layer(image))))


def test_a_model_of_several_outputs_is_refused():
    image = keras.Input((8, 8, 1))
    with pytest.raises(ConfigError, match=r"1 inputs and 2 outputs; valid: images in, probabilities out"):
        flat(keras.Model(image, [layers.Flatten()(image), layers.GlobalMaxPool2D()(image)]))


class Scale(layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor


def test_a_layer_of_ones_own_that_cannot_be_copied_is_refused_with_what_it_needs():
    with pytest.raises(ConfigError, match=r"the layer scale.* \(Scale\) cannot be copied: .*; valid: \*\*options"):
        flat(keras.Sequential([keras.Input((8, 8, 1)), Scale(2)]))


class OwnModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, "softmax")

    def call(self, inputs):
        return self.dense(keras.ops.mean(inputs, axis=(1, 2)))


def test_a_model_with_a_call_of_its_own_stays_one_layer():
    assert [type(layer) for layer in flat(OwnModel()).layers] == [layers.InputLayer, OwnModel]


def test_a_frozen_part_stays_frozen():
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.Dense(2, name="frozen"), layers.Flatten()])
    inner.trainable = False
    image = keras.Input((8, 8, 1))
    copy = flat(keras.Model(image, layers.Dense(3, name="head")(inner(image, training=False))))
    assert [copy.get_layer(name).trainable for name in ("frozen", "head")] == [False, True]


def test_the_last_layer_computes_in_full_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        copy = flat(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "softmax")]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert [layer.compute_dtype for layer in copy.layers[-2:]] == ["bfloat16", "float32"]


def test_weights_are_copied_unless_variables_have_no_values():
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, name="dense")])
    assert np.array_equal(flat(model).get_layer("dense").kernel, model.get_layer("dense").kernel)
    with keras.StatelessScope(initialize_variables=False):
        assert flat(model).count_params() == model.count_params()


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ([layers.Rescaling(1 / 255)], True),
        ([layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1)], True),
        ([keras.Sequential([layers.Rescaling([1 / 255, 1 / 255, 1 / 255])])], True),
        ([layers.Rescaling(2.0, offset=-1)], False),
        ([layers.Conv2D(1, 1), layers.Rescaling(1 / 255)], False),
        ([layers.Flatten()], False),
    ],
)
def test_a_rescaling_at_the_beginning_tells_which_numbers_a_network_takes(first, expected):
    assert rescales(keras.Sequential([keras.Input((8, 8, 3)), *first])) is expected
