"""Statistics of each layer of a model on a probe batch."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers as kl

from layersweep.records.values import LayerStatistics
from trainables.data.arrays import ImageSet
from trainables.features.frozen_part import SplitModel
from trainables.layers.layer_costs import first_output

DEAD_RANGE: Final = 1e-3
"""A unit is dead or saturated if its outputs differ by less than this over all probe images and positions."""

_POSITIONS: Final = 256
_NUMBERS: Final = 1 << 26
"""The most numbers in all layers' outputs for a probe: 256 MiB."""
_FEWEST: Final = 8


class LayerProbe:
    """Measures every layer of a model.

    Args:
        model: the model.
        split: the same model, split after its frozen part; None without one. The frozen part is measured once, not at
            each call: its outputs for a probe stay the same, also for other models with the same frozen part.
    """

    def __init__(self, model: keras.Model, split: SplitModel | None = None) -> None:
        self._numbers = sum(math.prod(first_output(layer).shape[1:]) for layer in model.layers)
        self._places = {id(layer): index for index, layer in enumerate(model.layers)}
        self._split = split
        frozen_layers = {id(layer) for layer in split.base.layers} if split else set()
        self._layers = [layer for layer in model.layers if id(layer) not in frozen_layers]
        self._layer_outputs = keras.Model(
            split.base.output if split else model.inputs, [first_output(layer) for layer in self._layers]
        )

    def statistics(self, probe: ImageSet) -> tuple[LayerStatistics, ...]:
        """Activations, weights and gradients of every layer on the probe batch, as in inference (no dropout).

        This is one eager forward and backward pass, without tracing; it takes about as long as two training steps. If
        the outputs would take too much memory, fewer images are used, but at least 8.
        """
        probe = probe.first(max(_FEWEST, _NUMBERS // max(1, self._numbers)))
        frozen_output = None if self._split is None else _frozen_output(self._split, probe)
        with tf.GradientTape() as tape:
            outputs = self._layer_outputs(
                tf.constant(probe.images) if frozen_output is None else frozen_output.features, training=False
            )
            losses = keras.losses.sparse_categorical_crossentropy(tf.constant(probe.labels), outputs[-1])
            loss = tf.reduce_mean(losses)
        weights = [w.value for layer in self._layers for w in layer.trainable_weights]
        gradients = iter(tape.gradient(loss, weights))
        statistics = [
            _statistics(self._places[id(layer)], layer, output, [next(gradients) for _ in layer.trainable_weights])
            for layer, output in zip(self._layers, outputs, strict=True)
        ]
        if frozen_output is not None and self._split is not None:
            layers = zip(self._split.base.layers, frozen_output.statistics, strict=True)
            statistics.extend(replace(row, index=self._places[id(layer)]) for layer, row in layers)
        return tuple(sorted(statistics, key=lambda row: row.index))


@dataclass(frozen=True, kw_only=True)
class _FrozenOutput:
    """A frozen part on a probe: its layers' statistics, in its own order, and its output."""

    key: tuple[str, str]
    statistics: Sequence[LayerStatistics]
    features: tf.Tensor


_last_frozen_output: list[_FrozenOutput] = []
"""The output of the last frozen part and probe in this process: only one, so that memory is bounded."""


def _frozen_output(split: SplitModel, probe: ImageSet) -> _FrozenOutput:
    images = np.ascontiguousarray(probe.images)
    key = split.digest, hashlib.sha256(images.tobytes()).hexdigest()
    if not (_last_frozen_output and _last_frozen_output[0].key == key):
        layers = split.base.layers
        model = keras.Model(split.base.inputs, [*map(first_output, layers), split.base.output])
        *outputs, features = model(tf.constant(images), training=False)
        statistics = [_statistics(n, *both, []) for n, both in enumerate(zip(layers, outputs, strict=True))]
        _last_frozen_output[:] = [_FrozenOutput(key=key, statistics=statistics, features=features)]
    return _last_frozen_output[0]


def _statistics(index: int, layer: kl.Layer, output: tf.Tensor, gradients: list[tf.Tensor]) -> LayerStatistics:
    values = np.asarray(tf.cast(output, tf.float32))
    mean = values.mean(dtype=np.float64)
    return LayerStatistics(
        index=index,
        activation_mean=float(mean),
        activation_deviation=_length(values - np.float32(mean)) / math.sqrt(values.size),
        dead_share=_dead_units(values.reshape(-1, values.shape[-1])) / values.shape[-1],
        weight_norm=_norm([w.value for w in layer.trainable_weights]),
        gradient_norm=_norm(gradients),
    )


def _dead_units(units: npt.NDArray[np.float32]) -> int:
    """The number of units, out of (positions, units), that hardly change. For most, the first positions are enough."""
    nearly_constant = np.ptp(units[:_POSITIONS], axis=0) < DEAD_RANGE
    return int((np.ptp(units[:, nearly_constant], axis=0) < DEAD_RANGE).sum())


def _norm(tensors: list[Any]) -> float | None:
    if not tensors:
        return None
    return math.hypot(*(_length(np.asarray(tf.cast(t, tf.float32))) for t in tensors if t is not None))


def _length(values: npt.NDArray[np.float32]) -> float:
    """The Euclidean norm, in double precision if a square is too large for single precision."""
    length = float(np.linalg.norm(values))
    return length if math.isfinite(length) else float(np.linalg.norm(values.astype(np.float64)))
