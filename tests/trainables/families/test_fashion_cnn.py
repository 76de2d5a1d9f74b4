"""The Fashion-MNIST CNN is the one of the reports: its layers, its size, its cost, and what each key changes."""
# ruff: noqa: E402

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras
from keras import layers as kl

from trainables.families import fashion_cnn
from trainables.families.fashion_cnn import Config
from trainables.measures import model_measures

IMAGE = (28, 28, 1)

# The model as its study describes it, layer by layer: kind, activation, output shape, and parameters worked out from
# kernel height x width x channels in x filters + biases, 4 a channel of a normalisation (2 of them trained), and
# inputs x units + biases.
REPORT = [
    ("InputLayer", None, "28x28x1", 0),
    ("Rescaling", None, "28x28x1", 0),
    ("Conv2D", "linear", "28x28x32", 5 * 5 * 1 * 32 + 32),
    ("BatchNormalization", None, "28x28x32", 4 * 32),
    ("Activation", "relu", "28x28x32", 0),
    ("Conv2D", "linear", "28x28x32", 5 * 5 * 32 * 32 + 32),
    ("BatchNormalization", None, "28x28x32", 4 * 32),
    ("Activation", "relu", "28x28x32", 0),
    ("MaxPooling2D", None, "14x14x32", 0),
    ("Dropout", None, "14x14x32", 0),
    ("Conv2D", "linear", "14x14x64", 3 * 3 * 32 * 64 + 64),
    ("BatchNormalization", None, "14x14x64", 4 * 64),
    ("Activation", "relu", "14x14x64", 0),
    ("Conv2D", "linear", "14x14x64", 3 * 3 * 64 * 64 + 64),
    ("BatchNormalization", None, "14x14x64", 4 * 64),
    ("Activation", "relu", "14x14x64", 0),
    ("MaxPooling2D", None, "7x7x64", 0),
    ("Dropout", None, "7x7x64", 0),
    ("Flatten", None, "3136", 0),
    ("Dense", "relu", "1024", 7 * 7 * 64 * 1024 + 1024),
    ("BatchNormalization", None, "1024", 4 * 1024),
    ("Dense", "relu", "512", 1024 * 512 + 512),
    ("BatchNormalization", None, "512", 4 * 512),
    ("Dropout", None, "512", 0),
    ("Dense", "softmax", "10", 512 * 10 + 10),
]
NORMALISED_CHANNELS = 32 + 32 + 64 + 64 + 1024 + 512

# Multiply-accumulates of one image; each counts 2, and a bias 1 for each number that it is added to.
MULTIPLICATIONS = (
    28 * 28 * 32 * (5 * 5 * 1)
    + 28 * 28 * 32 * (5 * 5 * 32)
    + 14 * 14 * 64 * (3 * 3 * 32)
    + 14 * 14 * 64 * (3 * 3 * 64)
    + 3136 * 1024
    + 1024 * 512
    + 512 * 10
)
ADDED_BIASES = 2 * 28 * 28 * 32 + 2 * 14 * 14 * 64 + 1024 + 512 + 10

OTHER = Config(
    activation_1="selu", activation_2="tanh", activation_3="elu", activation_4="gelu",
    filters_1=3, filters_2=4, filters_3=5, filters_4=6,
    kernel_size_1=7, kernel_size_2=5, kernel_size_3=3, kernel_size_4=1,
    dropout_1=0.1, dropout_2=0.2, dropout_3=0.0,
    dense_units_1=9, dense_units_2=8, initializer="glorot_normal",
)  # fmt: skip


@pytest.fixture(scope="module")
def default():
    return fashion_cnn.build(Config(), IMAGE, 10)


@pytest.fixture(scope="module")
def other():
    return fashion_cnn.build(OTHER, IMAGE, 10)


def of_kind(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_the_layers_are_those_of_the_report(default):
    size = model_measures.model_size(default, seconds_build=0.0)
    assert [(each.kind, each.activation, each.output_shape, each.parameters) for each in size.layers] == REPORT


def test_the_size_is_the_sum_of_the_layers(default):
    size = model_measures.model_size(default, seconds_build=0.0)
    assert size.parameters == sum(parameters for *_, parameters in REPORT) == 3_831_018
    assert size.trainable_parameters == 3_831_018 - 2 * NORMALISED_CHANNELS == 3_827_562
    assert size.size_bytes == 4 * 3_831_018


def test_the_cost_is_what_the_convolutions_and_dense_layers_multiply(default):
    assert (
        model_measures.model_size(default, seconds_build=0.0).flops == 2 * MULTIPLICATIONS + ADDED_BIASES == 70_629_386
    )


def test_the_details_are_those_of_the_report(default):
    convolutions = of_kind(default, kl.Conv2D)
    assert [(each.kernel_size, each.strides, each.padding) for each in convolutions] == [
        ((5, 5), (1, 1), "same"),
        ((5, 5), (1, 1), "same"),
        ((3, 3), (1, 1), "same"),
        ((3, 3), (1, 1), "same"),
    ]
    assert {type(each.kernel_initializer) for each in convolutions} == {keras.initializers.HeUniform}
    assert [each.rate for each in of_kind(default, kl.Dropout)] == [0.3, 0.3, 0.2]
    assert [each.pool_size for each in of_kind(default, kl.MaxPooling2D)] == [(2, 2), (2, 2)]
    assert Config().optimizer == "adam"


def test_the_convolutions_kernels_have_the_range_of_he_uniform(default):
    for convolution in of_kind(default, kl.Conv2D):
        height, width, channels, _ = convolution.kernel.shape
        limit = np.sqrt(6 / (height * width * channels))
        assert 0.9 * limit < np.abs(np.asarray(convolution.kernel.value)).max() <= limit


def test_every_key_changes_its_own_layer(other):
    convolutions = of_kind(other, kl.Conv2D)
    assert [each.filters for each in convolutions] == [3, 4, 5, 6]
    assert [each.kernel_size for each in convolutions] == [(7, 7), (5, 5), (3, 3), (1, 1)]
    assert {type(each.kernel_initializer) for each in convolutions} == {keras.initializers.GlorotNormal}
    assert [each.activation.__name__ for each in of_kind(other, kl.Activation)] == ["selu", "tanh", "elu", "gelu"]
    assert [each.rate for each in of_kind(other, kl.Dropout)] == [0.1, 0.2, 0.0]
    assert [each.units for each in of_kind(other, kl.Dense)] == [9, 8, 10]


def test_other_images_and_classes_have_their_own_shapes():
    model = fashion_cnn.build(OTHER, (32, 20, 3), 200)
    assert model.input_shape == (None, 32, 20, 3)
    assert of_kind(model, kl.Flatten)[0].output.shape == (None, 8 * 5 * 6)
    assert model.output_shape == (None, 200)


def test_the_first_convolution_sees_numbers_from_0_to_1(other):
    every_byte = np.resize(np.arange(256, dtype=np.uint8), (1, *IMAGE))
    numbers = keras.Model(other.input, of_kind(other, kl.Conv2D)[0].input)(every_byte)
    assert other.input.dtype == "uint8"
    np.testing.assert_allclose(numbers, every_byte / 255, rtol=1e-6)
    assert (float(np.min(numbers)), float(np.max(numbers))) == (0.0, pytest.approx(1.0))


def test_the_answer_is_a_probability_of_each_class(other, fashion_mnist):
    probabilities = np.asarray(other(fashion_mnist.split(1).test.images[:16]))
    assert probabilities.shape == (16, 10)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)


def test_it_learns_a_batch_by_heart(fashion_mnist):
    keras.utils.set_random_seed(1)
    batch = fashion_mnist.split(1).train
    images, labels = batch.images[:32], batch.labels[:32]
    model = fashion_cnn.build(OTHER, IMAGE, 10)
    model.compile("sgd", "sparse_categorical_crossentropy")
    losses = model.fit(images, labels, batch_size=32, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
