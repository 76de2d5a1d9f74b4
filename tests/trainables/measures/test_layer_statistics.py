"""A layer's description: its shape, its cost as computed by hand, its statistics on small images."""
# ruff: noqa: E402

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras
from keras import layers as kl

from layersweep.records.values import Layer
from trainables.data.arrays import ImageSet
from trainables.layers.layer_costs import describe, flops
from trainables.measures.layer_statistics import LayerProbe


def on(shape, layer):
    """The layer, applied to an input of this shape."""
    layer(keras.Input(shape))
    return layer


# describe


def test_a_convolution_is_described_by_its_filters_kernel_and_stride():
    layer = on((9, 8, 3), kl.Conv2D(16, (5, 3), strides=(2, 1), activation="relu", padding="same", name="first"))
    assert describe(2, layer) == Layer(
        index=2, name="first", kind="Conv2D", activation="relu", filters=16, kernel="5x3", stride="2x1",
        parameters=5 * 3 * 3 * 16 + 16, trainable=True, output_shape="5x8x16",
    )  # fmt: skip


def test_a_dense_layer_is_described_by_its_units():
    assert describe(0, on((7,), kl.Dense(5, name="dense"))) == Layer(
        index=0, name="dense", kind="Dense", activation="linear", filters=5, kernel=None, stride=None,
        parameters=40, trainable=True, output_shape="5",
    )  # fmt: skip


def test_a_pooling_has_a_kernel_and_a_stride_but_nothing_to_train():
    assert describe(0, on((9, 9, 3), kl.MaxPooling2D(3, strides=2, name="pool"))) == Layer(
        index=0, name="pool", kind="MaxPooling2D", activation=None, filters=None, kernel="3x3", stride="2x2",
        parameters=0, trainable=False, output_shape="4x4x3",
    )  # fmt: skip


def test_a_normalisation_counts_its_moving_averages():
    layer = describe(0, on((4, 4, 6), kl.BatchNormalization()))
    assert (layer.parameters, layer.trainable) == (4 * 6, True)


def test_a_frozen_layer_keeps_its_parameters_and_is_not_trainable():
    layer = on((7,), kl.Dense(5))
    layer.trainable = False
    assert (describe(0, layer).parameters, describe(0, layer).trainable) == (40, False)


@pytest.mark.parametrize("activation", [kl.ReLU(), kl.LeakyReLU()])
def test_an_activation_that_is_a_layer_is_named_by_its_kind(activation):
    layer = describe(0, on((2, 2, 3), activation))
    assert (layer.kind, layer.activation, layer.output_shape) == (type(activation).__name__, None, "2x2x3")


# flops: 2 for each multiplication that is added up, 1 for each bias


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        # 8 x 8 positions, 4 filters, each 3 x 3 x 3 numbers
        ((8, 8, 3), kl.Conv2D(4, 3, padding="same"), 2 * 8 * 8 * 4 * 27 + 8 * 8 * 4),
        # "valid" at a stride of 2: from 9 x 9 to 4 x 4 positions
        ((9, 9, 3), kl.Conv2D(4, 3, strides=2, padding="valid"), 2 * 4 * 4 * 4 * 27 + 4 * 4 * 4),
        # a kernel of 5 x 1, from 9 x 9 to 5 x 9
        ((9, 9, 3), kl.Conv2D(4, (5, 1), padding="valid", use_bias=False), 2 * 5 * 9 * 4 * 15),
        # 2 groups: a filter reads 2 of 4 channels
        ((8, 8, 4), kl.Conv2D(6, 3, padding="same", groups=2, use_bias=False), 2 * 8 * 8 * 6 * 18),
        # 4 channels, each filtered twice: 8 out, each from 3 x 3 numbers
        ((8, 8, 4), kl.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), 2 * 8 * 8 * 8 * 9 + 8 * 8 * 8),
        ((9, 9, 4), kl.DepthwiseConv2D(3, strides=2, use_bias=False), 2 * 4 * 4 * 4 * 9),
        # the same 8 channels, then 6 filters of 1 x 1 x 8
        (
            (8, 8, 4),
            kl.SeparableConv2D(6, 3, depth_multiplier=2, padding="same"),
            2 * 8 * 8 * 8 * 9 + 2 * 8 * 8 * 6 * 8 + 8 * 8 * 6,
        ),
        ((9, 9, 4), kl.SeparableConv2D(6, 3, strides=2, use_bias=False), 2 * 4 * 4 * 4 * 9 + 2 * 4 * 4 * 6 * 4),
        # each of 4 x 4 x 3 numbers goes into 3 x 3 x 5 others; 8 x 8 x 5 of them get a bias
        ((4, 4, 3), kl.Conv2DTranspose(5, 3, strides=2, padding="same"), 2 * 48 * 45 + 8 * 8 * 5),
        ((4, 4, 3), kl.Conv2DTranspose(5, 2, strides=2, use_bias=False), 2 * 48 * 20),
        ((7,), kl.Dense(5), 2 * 7 * 5 + 5),
        ((7,), kl.Dense(5, use_bias=False), 2 * 7 * 5),
        # on an image, at each of 4 x 4 positions
        ((4, 4, 7), kl.Dense(5), 16 * (2 * 7 * 5 + 5)),
    ],
)
def test_a_layer_costs_what_it_multiplies_and_adds(shape, layer, expected):
    assert flops(on(shape, layer)) == expected


@pytest.mark.parametrize(
    "layer",
    [
        kl.BatchNormalization(), kl.Activation("relu"), kl.PReLU(), kl.MaxPooling2D(2), kl.GlobalAveragePooling2D(),
        kl.Dropout(0.5), kl.Flatten(), kl.Rescaling(1 / 255), kl.RandomFlip(),
    ],
)  # fmt: skip
def test_a_layer_without_a_kernel_is_left_out(layer):
    assert flops(on((8, 8, 3), layer)) == 0


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((8, 3), kl.Conv1D(4, 3), 2 * 6 * 36 + 6 * 4),
        ((8, 3), kl.SeparableConv1D(4, 3), 2 * 6 * (9 + 12) + 6 * 4),
        ((8, 3), kl.LSTM(4, use_bias=False), 2 * 8 * (3 + 4) * 16),
        ((8, 3), kl.EinsumDense("abc,cd->abd", (8, 5)), 2 * 8 * 15),
        ((8,), keras.Sequential([kl.Dense(5)]), 2 * 8 * 5 + 5),
    ],
)
def test_other_layers_cost_their_kernels_at_each_position(shape, layer, expected):
    assert flops(on(shape, layer)) == expected


def test_attention_costs_at_least_its_projections():
    attention, words = kl.MultiHeadAttention(2, 3), keras.Input((8, 3))
    attention(words, words)
    assert flops(attention) == 2 * 8 * 4 * 18 + 8 * 3


# statistics: four images of 1 x 1 pixels and two channels, and a model with weights that a reader can follow

PROBE = ImageSet(
    images=np.array([[0, 0], [1, 0], [0, 2], [1, 2]], dtype=np.uint8).reshape(4, 1, 1, 2), labels=np.array([0, 1, 1, 0])
)
KERNEL_1 = np.array([[1.0, -1.0, 3.0, 0.0], [1.0, -1.0, -1.0, 0.5]])
BIAS_1 = np.array([0.25, -0.5, 0.5, 0.25])
KERNEL_2 = np.array([[0.5, 0.0], [1.0, 0.0], [-0.5, 0.0], [0.25, 0.0]])
BIAS_2 = np.array([0.1, 9.0])
KERNEL_3 = np.array([[1.0, -1.0], [0.5, 0.0]])
BIAS_3 = np.array([0.2, -0.2])
WEIGHTS = [KERNEL_1, BIAS_1, KERNEL_2, BIAS_2, KERNEL_3, BIAS_3]
INPUT, RESCALING, FLATTEN, RELU, TANH, SOFTMAX = range(6)


def loss(weights):
    """The model's mean cross-entropy on the probe, written out in NumPy."""
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = weights
    units = np.maximum(PROBE.images.reshape(4, 2) @ kernel_1 + bias_1, 0)
    exponentials = np.exp(np.tanh(units @ kernel_2 + bias_2) @ kernel_3 + bias_3)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return -np.log(probabilities[np.arange(4), PROBE.labels]).mean()


def slope(position, place):
    """The derivative of the loss by one number of the weights, from a small step to either side."""
    ends = []
    for step in (1e-6, -1e-6):
        weights = [each.copy() for each in WEIGHTS]
        weights[position][place] += step
        ends.append(loss(weights))
    return (ends[0] - ends[1]) / 2e-6


def gradient_norm(*positions):
    return np.sqrt(sum(slope(k, place) ** 2 for k in positions for place in np.ndindex(WEIGHTS[k].shape)))


@pytest.fixture(scope="module")
def statistics():
    model = keras.Sequential(
        [
            keras.Input((1, 1, 2), dtype="uint8"),
            kl.Rescaling(1.0),
            kl.Flatten(),
            kl.Dense(4, "relu"),
            kl.Dense(2, "tanh"),
            kl.Dense(2, "softmax"),
        ]
    )
    model.set_weights(WEIGHTS)
    functional = keras.Model(model.inputs, model.outputs)  # its layers begin with the input, as a family's do
    return LayerProbe(functional).statistics(PROBE)


def test_every_layer_is_measured_in_its_place(statistics):
    assert [each.index for each in statistics] == [INPUT, RESCALING, FLATTEN, RELU, TANH, SOFTMAX]


def test_mean_and_deviation_are_over_all_outputs(statistics):
    # a unit a column: a + b + 1/4, -a - b - 1/2, 3a - b + 1/2, b / 2 + 1/4, and 0 where that is negative
    outputs = np.array([[0.25, 0, 0.5, 0.25], [1.25, 0, 3.5, 0.25], [2.25, 0, 0, 1.25], [3.25, 0, 1.5, 1.25]])
    assert statistics[RELU].activation_mean == pytest.approx(15.5 / 16)
    assert statistics[RELU].activation_deviation == pytest.approx(np.sqrt((outputs**2).mean() - (15.5 / 16) ** 2))
    assert statistics[INPUT].activation_mean == statistics[FLATTEN].activation_mean == 6 / 8


def test_a_unit_that_is_never_positive_is_dead(statistics):
    assert statistics[RELU].dead_share == 1 / 4


def test_a_tanh_that_is_always_one_is_saturated(statistics):
    assert statistics[TANH].dead_share == 1 / 2


def test_units_that_tell_images_apart_are_alive(statistics):
    assert [statistics[k].dead_share for k in (INPUT, RESCALING, FLATTEN, SOFTMAX)] == [0, 0, 0, 0]


def test_a_channel_that_differs_between_positions_is_alive():
    model = keras.Sequential([keras.Input((1, 2, 2), dtype="uint8"), kl.Flatten(), kl.Rescaling(1.0), kl.Dense(2)])
    functional = keras.Model(model.inputs, model.outputs)
    same_images = np.array([[[[0, 7], [5, 7]]]] * 3, dtype=np.uint8)  # channel 0: 0, 5; channel 1: 7, 7
    image, flat, *_ = LayerProbe(functional).statistics(
        ImageSet(images=same_images, labels=np.zeros(3, dtype=np.int64))
    )
    assert image.dead_share == 1 / 2
    assert flat.dead_share == 1.0


def test_weight_norms_are_euclidean(statistics):
    assert statistics[RELU].weight_norm == pytest.approx(
        np.sqrt(1 + 1 + 9 + 0 + 1 + 1 + 1 + 0.25 + 2 * 0.5**2 + 2 * 0.25**2)
    )
    assert statistics[SOFTMAX].weight_norm == pytest.approx(np.sqrt(1 + 1 + 0.25 + 0.04 + 0.04))


def test_gradient_norms_are_those_of_small_steps(statistics):
    assert statistics[RELU].gradient_norm == pytest.approx(gradient_norm(0, 1), rel=1e-4)
    assert statistics[TANH].gradient_norm == pytest.approx(gradient_norm(2, 3), rel=1e-4)
    assert statistics[SOFTMAX].gradient_norm == pytest.approx(gradient_norm(4, 5), rel=1e-4)


def test_a_layer_without_weights_has_no_norms(statistics):
    assert [(statistics[k].weight_norm, statistics[k].gradient_norm) for k in (INPUT, FLATTEN)] == [(None, None)] * 2


def test_measuring_leaves_the_model_as_it_was_and_drops_nothing():
    image = keras.Input((1, 1, 2), dtype="uint8")
    x = kl.BatchNormalization()(kl.Dense(8)(kl.Flatten()(kl.Rescaling(1.0)(image))))
    model = keras.Model(image, kl.Dense(2, "softmax")(kl.Dropout(0.5)(x)))
    before = [each.value.numpy() for each in model.variables]  # the dropout's random state too
    probe = LayerProbe(model)
    first, again = probe.statistics(PROBE), probe.statistics(PROBE)
    assert first == again
    assert first[4].activation_mean == first[5].activation_mean  # normalised, then not dropped
    for old, each in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, each.value.numpy(), err_msg=each.path)


def test_frozen_weights_have_no_norms_and_those_before_them_keep_their_gradients(statistics):
    model = keras.Sequential(
        [
            keras.Input((1, 1, 2), dtype="uint8"),
            kl.Rescaling(1.0),
            kl.Flatten(),
            kl.Dense(4, "relu"),
            kl.Dense(2, "tanh", trainable=False),
            kl.Dense(2, "softmax"),
        ]
    )
    model.set_weights(WEIGHTS)
    functional = keras.Model(model.inputs, model.outputs)
    frozen_statistics = LayerProbe(functional).statistics(PROBE)
    assert (frozen_statistics[TANH].weight_norm, frozen_statistics[TANH].gradient_norm) == (None, None)
    assert frozen_statistics[RELU] == statistics[RELU]
    assert frozen_statistics[SOFTMAX] == statistics[SOFTMAX]
