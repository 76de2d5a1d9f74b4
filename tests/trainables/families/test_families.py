"""Every family: its parameters as worked out from its layer list, its shapes, its preprocessing, a step that learns."""

import dataclasses
import inspect
import pickle
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from trainables.errors import ConfigError
from trainables.families.by_name import FAMILIES, family
from trainables.families.family import name_of
from trainables.hardware import one_thread

one_thread()

import keras  # noqa: E402

from trainables.measures import model_measures  # noqa: E402
from trainables.training import loop  # noqa: E402

CLASSES = 10
COLOUR_32 = (32, 32, 3)


def conv(kernel, inputs, filters, *, bias=True):
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return height * width * inputs * filters + bias * filters


def bn(channels):
    """Scale, offset, moving mean and moving variance."""
    return 4 * channels


def depthwise(kernel, channels):
    return kernel * kernel * channels


def dense(inputs, units):
    return inputs * units + units


def chain(kernel, *channels, normalised=False, bias=True):
    """A chain of convolutions, each with batch normalisation if `normalised`."""
    pairs = list(pairwise(channels))
    return sum(conv(kernel, a, b, bias=bias) + normalised * bn(b) for a, b in pairs)


def fashion_cnn():
    convolutions = conv(5, 3, 32) + conv(5, 32, 32) + conv(3, 32, 64) + conv(3, 64, 64) + 2 * bn(32) + 2 * bn(64)
    return convolutions + dense(8 * 8 * 64, 1024) + bn(1024) + dense(1024, 512) + bn(512) + dense(512, CLASSES)


def seven_conv_cnn():
    return chain(3, 3, 16, 16, 32, 32, 64, 64, 64, normalised=True) + dense(64, CLASSES)


def cifar_cnn():
    blocks = chain(3, 3, 32, 32, 64, 64, 128, 128, normalised=True)
    return blocks + dense(2 * 2 * 128, 512) + dense(512, CLASSES)


def cifar100_cnn():
    blocks = chain(3, 3, 32, 32, 64, 64, 128, 128, normalised=True)
    return blocks + dense(4 * 4 * 128, 512) + bn(512) + dense(512, CLASSES)


def eighteen_layer_cnn():
    stages = chain(3, 3, *[32] * 2, *[64] * 2, *[128] * 4, *[256] * 4, *[256] * 4)
    return stages + dense(1 * 1 * 256, 512) + dense(512, CLASSES)


def alexnet_convolutions(first):
    return conv(first, 3, 96) + bn(96) + conv(5, 96, 256) + bn(256) + chain(3, 256, 384, 384, 256)


def alexnet_32():
    return alexnet_convolutions(3) + bn(256) + dense(1 * 1 * 256, 4096) + dense(4096, 4096) + dense(4096, CLASSES)


def alexnet():
    return alexnet_convolutions(11) + dense(6 * 6 * 256, 4096) + dense(4096, 4096) + dense(4096, CLASSES)


def residual_cnn():
    def block(inputs, filters):
        shortcut = conv(1, inputs, filters, bias=False) if inputs != filters else 0
        both = chain(3, inputs, filters, filters, bias=False)
        return bn(inputs) + bn(filters) + both + shortcut

    stages = block(16, 16) + block(16, 16) + block(16, 32) + block(32, 32) + block(32, 64) + block(64, 64)
    return conv(3, 3, 16, bias=False) + stages + bn(64) + dense(64, CLASSES)


def mobilenet():
    """13 separable convolutions: depthwise 3x3 and pointwise, each normalised."""
    channels = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    pairs = pairwise(channels)
    separable = sum(depthwise(3, a) + bn(a) + conv(1, a, b, bias=False) + bn(b) for a, b in pairs)
    return conv(3, 3, 32, bias=False) + bn(32) + separable + dense(1024, CLASSES)


MOBILENET_V2 = [(24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)]
"""Channels and numbers of blocks after the first block; each block expands its input six times."""


def inverted(inputs, filters, factor=6):
    wide = factor * inputs
    expanded = conv(1, inputs, wide, bias=False) + bn(wide) if factor > 1 else 0
    return expanded + depthwise(3, wide) + bn(wide) + conv(1, wide, filters, bias=False) + bn(filters)


def mobilenet_v2_base(blocks):
    """The first `blocks` blocks after the block that does not expand."""
    total, channels = conv(3, 3, 32, bias=False) + bn(32) + inverted(32, 16, 1), 16
    filters_of_blocks = [c for c, n in MOBILENET_V2 for _ in range(n)][:blocks]
    for number_of_filters in filters_of_blocks:
        total, channels = total + inverted(channels, number_of_filters), number_of_filters
    return total


def mobilenet_v2():
    return mobilenet_v2_base(16) + conv(1, 320, 1280, bias=False) + bn(1280) + dense(1280, CLASSES)


def mobilenet_v3_small():
    def block(inputs, wide, filters, kernel, *, squeezed=0):
        expanded = conv(1, inputs, wide, bias=False) + bn(wide) if wide != inputs else 0
        squeeze = conv(1, wide, squeezed) + conv(1, squeezed, wide) if squeezed else 0
        return (
            expanded + depthwise(kernel, wide) + bn(wide) + squeeze + conv(1, wide, filters, bias=False) + bn(filters)
        )

    blocks = [  # a quarter of the width is squeezed to, in eights
        block(16, 16, 16, 3, squeezed=8),
        block(16, 72, 24, 3),
        block(24, 88, 24, 3),
        block(24, 96, 40, 5, squeezed=24),
        2 * block(40, 240, 40, 5, squeezed=64),
        block(40, 120, 48, 5, squeezed=32),
        block(48, 144, 48, 5, squeezed=40),
        block(48, 288, 96, 5, squeezed=72),
        2 * block(96, 576, 96, 5, squeezed=144),
    ]
    last = conv(1, 96, 576, bias=False) + bn(576)
    return conv(3, 3, 16, bias=False) + bn(16) + sum(blocks) + last + dense(576, CLASSES)


def xception():
    def separable(inputs, filters):
        return depthwise(3, inputs) + conv(1, inputs, filters, bias=False) + bn(filters)

    def entry(inputs, filters):
        shortcut = conv(1, inputs, filters, bias=False) + bn(filters)
        return shortcut + separable(inputs, filters) + separable(filters, filters)

    stem = chain(3, 3, 32, 64, normalised=True, bias=False)
    middle = 8 * 3 * separable(728, 728)
    end = conv(1, 728, 1024, bias=False) + bn(1024) + separable(728, 728) + separable(728, 1024)
    last = separable(1024, 1536) + separable(1536, 2048)
    return stem + entry(64, 128) + entry(128, 256) + entry(256, 728) + middle + end + last + dense(2048, CLASSES)


def inception_v3():
    def unit(inputs, *steps):
        """A chain of convolutions as (kernel, filters), without bias; normalisation has no scale."""
        total = 0
        for kernel, filters in steps:
            total, inputs = total + conv(kernel, inputs, filters, bias=False) + 3 * filters, filters
        return total

    def small(inputs, pooled):
        """35x35: 1x1, 5x5, twice 3x3, pooling."""
        branches = unit(inputs, (1, 64)), unit(inputs, (1, 48), (5, 64)), unit(inputs, (1, 64), (3, 96), (3, 96))
        return sum(branches) + unit(inputs, (1, pooled))

    def medium(inner):
        """17x17: 1x1, 7x7 in two, twice 7x7 in two, pooling."""
        row, column = (1, 7), (7, 1)
        once = unit(768, (1, inner), (row, inner), (column, 192))
        twice = unit(768, (1, inner), (column, inner), (row, inner), (column, inner), (row, 192))
        return 2 * unit(768, (1, 192)) + once + twice

    def large(inputs):
        """8x8: 1x1, two parallel halves of 3x3, 3x3 and the same, pooling."""
        beside = unit(384, ((1, 3), 384)) + unit(384, ((3, 1), 384))
        once, twice = unit(inputs, (1, 384)) + beside, unit(inputs, (1, 448), (3, 384)) + beside
        return unit(inputs, (1, 320)) + once + twice + unit(inputs, (1, 192))

    stem = unit(3, (3, 32), (3, 32), (3, 64), (1, 80), (3, 192))
    to_medium = unit(288, (3, 384)) + unit(288, (1, 64), (3, 96), (3, 96))
    to_large = unit(768, (1, 192), (3, 320)) + unit(768, (1, 192), ((1, 7), 192), ((7, 1), 192), (3, 192))
    first = small(192, 32) + small(256, 64) + small(288, 64) + to_medium
    second = medium(128) + 2 * medium(160) + medium(192) + to_large
    return stem + first + second + large(1280) + large(2048) + dense(2048, CLASSES)


def vgg16():
    return chain(3, 3, 64, 64, 128, 128, *[256] * 3, *[512] * 6) + dense(512, CLASSES)


def resnet50():
    """Version 1: each block is 1x1, 3x3, 1x1 to four times its filters; all with bias."""

    def block(inputs, filters, *, first):
        shortcut = conv(1, inputs, 4 * filters) + bn(4 * filters) if first else 0
        narrow = conv(1, inputs, filters) + bn(filters) + conv(3, filters, filters) + bn(filters)
        return shortcut + narrow + conv(1, filters, 4 * filters) + bn(4 * filters)

    total, inputs = conv(7, 3, 64) + bn(64), 64
    for filters, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for number in range(blocks):
            total, inputs = total + block(inputs, filters, first=not number), 4 * filters
    return total + dense(2048, CLASSES)


EXPECTED = {name: globals()[name] for name in FAMILIES}

SHAPES = {
    "seven_conv_cnn": [(32, 32, 16), (30, 30, 16), (15, 15, 32), (13, 13, 32), (6, 6, 64), (4, 4, 64), (2, 2, 64)],
    "cifar_cnn": [(32, 32, 32), (30, 30, 32), (15, 15, 64), (13, 13, 64), (6, 6, 128), (4, 4, 128)],
    "cifar100_cnn": [(32, 32, 32)] * 2 + [(16, 16, 64)] * 2 + [(8, 8, 128)] * 2,
    "alexnet_32": [(16, 16, 96), (8, 8, 256), (3, 3, 384), (3, 3, 384), (3, 3, 256)],
    "alexnet": [(55, 55, 96), (27, 27, 256), (13, 13, 384), (13, 13, 384), (13, 13, 256)],
}
"""The outputs of the convolutions, for images of the size in SIZES."""


def config_of(name, **keys):
    """A Config at the family's own size, or at 32x32 if that is large enough."""
    config_type = family(name).Config
    least = config_type.minimum_size
    image_size = config_type().image_size
    size = {} if image_size or least <= 32 else {"image_size": least}
    return config_type(**size, **keys)


def model(name, **keys):
    return family(name).build(config_of(name, **keys), COLOUR_32, CLASSES)


@pytest.mark.parametrize("name", FAMILIES)
def test_parameters_are_those_of_the_layer_list(name):
    size = model_measures.model_size(model(name), seconds_build=0)
    assert size.parameters == EXPECTED[name]()
    assert size.flops > 1_000_000


@pytest.mark.parametrize("name", SHAPES)
def test_the_convolutions_have_the_sizes_of_the_paper_or_the_report(name):
    shapes = [layer.output.shape[1:] for layer in model(name).layers if type(layer) is keras.layers.Conv2D]
    assert shapes == SHAPES[name]


def test_the_features_of_the_cifar_cnn_are_2_by_2_by_128():
    layers = model("cifar_cnn").layers
    flatten = next(layer for layer in layers if isinstance(layer, keras.layers.Flatten))
    assert flatten.input.shape == (None, 2, 2, 128)


RANGES = {
    "mobilenet": (-1, 1), "mobilenet_v2": (-1, 1), "mobilenet_v3_small": (-1, 1), "xception": (-1, 1),
    "inception_v3": (-1, 1), "vgg16": (-123.68, 255 - 103.939), "resnet50": (-123.68, 255 - 103.939),
}  # fmt: skip
"""The inputs for black and white; 0 and 1 for every other family."""


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_convolution_sees_the_range_that_its_paper_has(name):
    network = model(name)
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    first_input = keras.Model(network.input, first.input)
    pictures = np.stack([np.zeros(COLOUR_32, np.uint8), np.full(COLOUR_32, 255, np.uint8)])
    black, white = np.asarray(first_input(pictures), dtype=np.float32)
    low, high = RANGES.get(name, (0, 1))
    inner = slice(4, -4)  # a padding of zeros may stand around it
    assert (black[inner, inner].min(), white[inner, inner].max()) == pytest.approx((low, high), abs=1e-3)


def test_vgg_and_resnet_see_blue_first_and_less_its_mean():
    network = model("vgg16")
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    first_input = keras.Model(network.input, first.input)
    red = np.zeros((1, *COLOUR_32), np.uint8)
    red[..., 0] = 255
    assert np.asarray(first_input(red))[0, 16, 16] == pytest.approx([-103.939, -116.779, 255 - 123.68], abs=1e-3)


LEARNING = {"alexnet_32": {"learning_rate": 0.01}, "alexnet": {"image_size": 67}}


@pytest.mark.parametrize("name", FAMILIES)
def test_one_training_step_lowers_the_loss(name):
    keras.utils.set_random_seed(1)
    config = config_of(name, **LEARNING.get(name, {}))
    network = family(name).build(config, COLOUR_32, CLASSES)
    network.compile(
        optimizer=keras.optimizers.SGD(1.0, global_clipnorm=1e-3),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
        run_eagerly=True,
    )
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (8, *COLOUR_32), dtype=np.uint8), np.arange(8)
    train = partial(network, training=True)

    def same_draws():
        for variable in network.variables:
            if variable.path.endswith("seed_generator_state"):
                variable.assign([1, 2])

    def loss():
        same_draws()
        return float(keras.losses.sparse_categorical_crossentropy(labels, train(images)).numpy().mean())

    before = loss()
    same_draws()
    network.train_on_batch(images, labels)
    assert loss() < before


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_config_a_build_and_a_train_with_a_source(name):
    module = family(name)
    source = getattr(module, "paper", module.__doc__)
    assert "http" in source or "reports" in source or "Krizhevsky" in source or name == "cifar100_cnn"
    assert dataclasses.is_dataclass(module.Config)
    assert name_of(module.train) == name
    assert pickle.loads(pickle.dumps(module.train)) is module.train
    assert inspect.signature(module.train).parameters["config"]
    assert loop.run


def test_augmentation_goes_before_any_familys_own_layers():
    for name in ("vgg16", "mobilenet_v2", "residual_cnn"):
        keras.backend.clear_session()
        network = model(name, flip="horizontal", contrast=0.2)
        assert "RandomFlip" in [type(layer).__name__ for layer in network.layers[:4]]


def test_an_unknown_family_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"did you mean 'mobilenet_v2'.*alexnet, alexnet_32"):
        family("mobilnet_v2")


@pytest.mark.parametrize(
    ("name", "least"), [(name, family(name).Config.minimum_size) for name in FAMILIES if name != "cifar100_cnn"]
)
def test_the_least_size_is_the_least(name, least):
    """The model can be built at this size; one pixel less is refused."""
    config_type = family(name).Config
    config = config_type(image_size=least)
    config.check_shape((28, 28, 1), name)
    family(name).build(config, (28, 28, 1), CLASSES)
    if least > 1:
        with pytest.raises(ConfigError, match=f"{name} needs images of {least}x{least} pixels or more"):
            config_type(image_size=least - 1).check_shape((28, 28, 1), name)


def test_too_many_blocks_for_an_image_are_refused():
    config = family("cifar100_cnn").Config(blocks=5)
    with pytest.raises(ConfigError, match="blocks=5 needs images of 32x32"):
        config.check_shape((28, 28, 1), "cifar100_cnn")
    family("cifar100_cnn").build(family("cifar100_cnn").Config(blocks=4), (28, 28, 1), CLASSES)


# MobileNetV2's compression


def test_the_layer_names_are_those_of_keras():
    from trainables.families.mobilenet_v2 import layer_names

    base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    assert list(layer_names()) == [layer.name for layer in base.layers[1:]]


def test_an_unknown_layer_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"truncate_after='block_12_ad'.*similar: block_12_add"):
        family("mobilenet_v2").Config(truncate_after="block_12_ad")


def test_truncated_it_ends_in_96_channels_of_2_by_2_and_a_head_of_its_own():
    network = model("mobilenet_v2", truncate_after="block_12_add", head_filters=1280)
    assert network.get_layer("block_12_add").output.shape == (None, 2, 2, 96)
    expected = mobilenet_v2_base(12) + conv(1, 96, 1280) + bn(1280) + dense(1280, CLASSES)
    assert network.count_params() == expected


def test_a_first_stride_of_1_doubles_every_size_and_keeps_the_weights():
    keras.utils.set_random_seed(3)
    plain = model("mobilenet_v2")
    keras.utils.set_random_seed(3)
    wide = model("mobilenet_v2", first_stride=1)
    assert wide.get_layer("Conv1").output.shape == (None, 32, 32, 32)
    assert wide.get_layer("out_relu").output.shape == (None, 2, 2, 1280)
    assert wide.count_params() == plain.count_params()
    for one, other in zip(plain.get_weights(), wide.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weight_decay_is_a_penalty_on_every_kernel():
    decayed = model("mobilenet_v2", weight_decay=0.01)
    kernels = [w for w in decayed.trainable_weights if "kernel" in w.name]
    expected = 0.01 * sum(float(np.square(np.asarray(w)).sum()) for w in kernels)
    assert float(sum(decayed.losses)) == pytest.approx(expected, rel=1e-4)


def test_learned_upsampling_enlarges_images_first():
    network = model("mobilenet_v2", upsampling=2)
    assert network.get_layer("upsampling").output.shape == (None, 64, 64, 3)
    assert network.count_params() == mobilenet_v2() + conv(4, 3, 3)
