"""The shape and the cost of each layer of a built model."""

import math
from typing import Any

import keras
from keras import layers as kl

from layersweep.records.values import Layer


def describe(index: int, layer: kl.Layer) -> Layer:
    """The static facts of a layer."""
    activation = getattr(layer, "activation", None)
    filters = getattr(layer, "filters", None) or getattr(layer, "units", None)
    return Layer(
        index=index,
        name=layer.name,
        kind=type(layer).__name__,
        activation=None if activation is None else getattr(activation, "__name__", type(activation).__name__),
        filters=filters if isinstance(filters, int) else None,
        kernel=_size_text(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)),
        stride=_size_text(getattr(layer, "strides", None)),
        parameters=layer.count_params(),
        trainable=bool(layer.trainable_weights),
        output_shape=_size_text(first_output(layer).shape[1:]) or "",
    )


def _size_text(sizes: tuple[int, ...] | int | None) -> str | None:
    if sizes is None:
        return None
    return "x".join(map(str, sizes if isinstance(sizes, tuple | list) else (sizes,)))


def flops(layer: kl.Layer) -> int:
    """Floating-point operations of a layer for one image, forward: 2 for each multiply-accumulate and 1 for a bias.

    Only convolutions and dense layers count. Other layers (normalisation, activation, pooling) are left out, as is
    usual; they are below 1 % in a CNN. Of an unknown layer each weight of a kernel counts once at each position of its
    output (of a recurrent one: of its input), and of a network that is a layer, and a graph, its own layers count.
    """
    positions = math.prod(first_output(layer).shape[1:])
    bias = positions if getattr(layer, "use_bias", False) else 0
    match layer:
        case kl.Conv2DTranspose():
            inputs = math.prod(layer.input.shape[1:])
            return 2 * inputs * math.prod(layer.kernel_size) * layer.filters + bias
        case kl.SeparableConv2D():
            channels = layer.input.shape[-1] * layer.depth_multiplier
            spatial = math.prod(first_output(layer).shape[1:-1])
            return 2 * spatial * channels * math.prod(layer.kernel_size) + 2 * positions * channels + bias
        case kl.DepthwiseConv2D():
            return 2 * positions * math.prod(layer.kernel_size) + bias
        case kl.Conv2D():
            return 2 * positions * math.prod(layer.kernel_size) * (layer.input.shape[-1] // layer.groups) + bias
        case kl.Dense():
            return 2 * positions * layer.input.shape[-1] + bias
    other = _other_flops(layer)
    return other + bias if other else 0


def _other_flops(layer: kl.Layer) -> int:
    if isinstance(layer, keras.Model) and getattr(layer, "inputs", None):
        return sum(map(flops, layer.layers))
    kernels = sum(math.prod(weight.shape) for weight in layer.weights if "kernel" in weight.name)
    shape = layer.input.shape if isinstance(layer, kl.RNN) else first_output(layer).shape
    return 2 * kernels * math.prod(shape[1:-1]) if kernels else 0


def first_output(layer: kl.Layer) -> Any:
    """The output tensor of a layer; of one with several, such as a state, the first."""
    return keras.tree.flatten(layer.output)[0]
