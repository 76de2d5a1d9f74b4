"""What is known of each layer: its shape and cost when the model is built, its behaviour on a probe batch later."""

import math
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers as kl

from records.values import Layer, LayerStatistics
from trainables.data import ImageSet

DEAD_RANGE: Final = 1e-3
"""A unit whose outputs differ by less than this over all probe images and positions is dead or saturated."""

_POSITIONS: Final = 256
_NUMBERS: Final = 1 << 26
"""Outputs of all layers together that a probe may hold: 256 MiB."""
_FEWEST: Final = 8


def describe(index: int, layer: kl.Layer) -> Layer:
    """The static facts of a layer."""
    activation = getattr(layer, "activation", None)
    return Layer(
        index=index,
        name=layer.name,
        kind=type(layer).__name__,
        activation=None if activation is None else getattr(activation, "__name__", type(activation).__name__),
        filters=getattr(layer, "filters", None) or getattr(layer, "units", None),
        kernel=_by(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)),
        stride=_by(getattr(layer, "strides", None)),
        parameters=layer.count_params(),
        trainable=bool(layer.trainable_weights),
        output_shape=_by(layer.output.shape[1:]) or "",
    )


def _by(sizes: tuple[int, ...] | int | None) -> str | None:
    if sizes is None:
        return None
    return "x".join(map(str, sizes if isinstance(sizes, tuple | list) else (sizes,)))


def flops(layer: kl.Layer) -> int:
    """Floating-point operations of a layer for one image, forward: 2 for each multiply-accumulate and 1 for a bias.

    Convolutions and dense layers are counted; what the others do (normalisation, activation, pooling) is left out, as
    is usual, and is below 1 % in a CNN.

    Raises:
        NotImplementedError: for a layer with a kernel that is not known here: it must not be counted as free.
    """
    positions = math.prod(layer.output.shape[1:])
    bias = positions if getattr(layer, "use_bias", False) else 0
    match layer:
        case kl.Conv2DTranspose():
            inputs = math.prod(layer.input.shape[1:])
            return 2 * inputs * math.prod(layer.kernel_size) * layer.filters + bias
        case kl.SeparableConv2D():
            channels = layer.input.shape[-1] * layer.depth_multiplier
            spatial = math.prod(layer.output.shape[1:-1])
            return 2 * spatial * channels * math.prod(layer.kernel_size) + 2 * positions * channels + bias
        case kl.DepthwiseConv2D():
            return 2 * positions * math.prod(layer.kernel_size) + bias
        case kl.Conv2D():
            return 2 * positions * math.prod(layer.kernel_size) * (layer.input.shape[-1] // layer.groups) + bias
        case kl.Dense():
            return 2 * positions * layer.input.shape[-1] + bias
    if any("kernel" in weight.name for weight in layer.weights):
        raise NotImplementedError(f"the cost of layer {layer.name!r} ({type(layer).__name__}) is not known")
    return 0


class Probed:
    """A model seen layer by layer."""

    def __init__(self, model: keras.Model) -> None:
        self._layers = model.layers
        self._numbers = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
        self._every = keras.Model(model.inputs, [layer.output for layer in model.layers])

    def statistics(self, probe: ImageSet) -> tuple[LayerStatistics, ...]:
        """Activations, weights and gradients of every layer on the probe batch, as in inference (no dropout).

        One eager forward and backward pass, so that nothing is traced: about as long as two training steps. Of a model
        whose outputs would take too much memory, fewer images are looked at, 8 at least.
        """
        probe = _bounded(probe, self._numbers)
        with tf.GradientTape() as tape:
            outputs = self._every(tf.constant(probe.images), training=False)
            losses = keras.losses.sparse_categorical_crossentropy(tf.constant(probe.labels), outputs[-1])
            loss = tf.reduce_mean(losses)
        weights = [w.value for layer in self._layers for w in layer.trainable_weights]
        gradients = iter(tape.gradient(loss, weights))
        return tuple(
            _statistics(index, layer, output, [next(gradients) for _ in layer.trainable_weights])
            for index, (layer, output) in enumerate(zip(self._layers, outputs, strict=True))
        )


def _bounded(probe: ImageSet, numbers: int) -> ImageSet:
    """So many of the images that the outputs of all layers, so many numbers an image, fit the memory meant for them."""
    images = max(_FEWEST, _NUMBERS // max(1, numbers))
    return (
        probe if images >= len(probe.labels) else ImageSet(images=probe.images[:images], labels=probe.labels[:images])
    )


def _statistics(index: int, layer: kl.Layer, output: tf.Tensor, gradients: list[tf.Tensor]) -> LayerStatistics:
    values = np.asarray(tf.cast(output, tf.float32))
    mean = values.mean(dtype=np.float64)
    return LayerStatistics(
        index=index,
        activation_mean=float(mean),
        activation_deviation=_length(values - np.float32(mean)) / math.sqrt(values.size),
        dead_share=_dead(values.reshape(-1, values.shape[-1])) / values.shape[-1],
        weight_norm=_norm([w.value for w in layer.trainable_weights]),
        gradient_norm=_norm(gradients),
    )


def _dead(units: npt.NDArray[np.float32]) -> int:
    """How many units (positions, units) hardly change. Most are seen to live at their first positions."""
    alike = np.ptp(units[:_POSITIONS], axis=0) < DEAD_RANGE
    return int((np.ptp(units[:, alike], axis=0) < DEAD_RANGE).sum())


def _norm(tensors: list[Any]) -> float | None:
    if not tensors:
        return None
    return math.hypot(*(_length(np.asarray(tf.cast(t, tf.float32))) for t in tensors if t is not None))


def _length(values: npt.NDArray[np.float32]) -> float:
    """The Euclidean norm; where a square is too large for single precision, in double."""
    length = float(np.linalg.norm(values))
    return length if math.isfinite(length) else float(np.linalg.norm(values.astype(np.float64)))
