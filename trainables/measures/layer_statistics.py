"""How each layer of a model behaves on a probe batch."""

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
from trainables.features.frozen_part import Frozen

DEAD_RANGE: Final = 1e-3
"""A unit whose outputs differ by less than this over all probe images and positions is dead or saturated."""

_POSITIONS: Final = 256
_NUMBERS: Final = 1 << 26
"""Outputs of all layers together that a probe may hold: 256 MiB."""
_FEWEST: Final = 8


class Probed:
    """A model seen layer by layer.

    Args:
        model: the model.
        frozen: the same cut in two, where its first part is frozen. That is looked at once, not at each call: what it
            gives for a probe stays the same, for other models of the process with the same frozen part too.
    """

    def __init__(self, model: keras.Model, frozen: Frozen | None = None) -> None:
        self._numbers = sum(math.prod(layer.output.shape[1:]) for layer in model.layers)
        self._places = {id(layer): index for index, layer in enumerate(model.layers)}
        self._frozen = frozen
        behind = {id(layer) for layer in frozen.base.layers} if frozen else set()
        self._layers = [layer for layer in model.layers if id(layer) not in behind]
        self._every = keras.Model(frozen.base.output if frozen else model.inputs, [ly.output for ly in self._layers])

    def statistics(self, probe: ImageSet) -> tuple[LayerStatistics, ...]:
        """Activations, weights and gradients of every layer on the probe batch, as in inference (no dropout).

        One eager forward and backward pass, so that nothing is traced: about as long as two training steps. Of a model
        whose outputs would take too much memory, fewer images are looked at, 8 at least.
        """
        probe = probe.first(max(_FEWEST, _NUMBERS // max(1, self._numbers)))
        seen = None if self._frozen is None else _seen(self._frozen, probe)
        with tf.GradientTape() as tape:
            outputs = self._every(tf.constant(probe.images) if seen is None else seen.features, training=False)
            losses = keras.losses.sparse_categorical_crossentropy(tf.constant(probe.labels), outputs[-1])
            loss = tf.reduce_mean(losses)
        weights = [w.value for layer in self._layers for w in layer.trainable_weights]
        gradients = iter(tape.gradient(loss, weights))
        found = [
            _statistics(self._places[id(layer)], layer, output, [next(gradients) for _ in layer.trainable_weights])
            for layer, output in zip(self._layers, outputs, strict=True)
        ]
        if seen is not None and self._frozen is not None:
            layers = zip(self._frozen.base.layers, seen.statistics, strict=True)
            found.extend(replace(statistics, index=self._places[id(layer)]) for layer, statistics in layers)
        return tuple(sorted(found, key=lambda statistics: statistics.index))


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a frozen part makes of a probe: its layers' statistics, in its own order, and its output."""

    key: tuple[str, str]
    statistics: Sequence[LayerStatistics]
    features: tf.Tensor


_last_seen: list[_Seen] = []
"""Of the last frozen part and probe of this process: one, so that memory is bounded."""


def _seen(frozen: Frozen, probe: ImageSet) -> _Seen:
    images = np.ascontiguousarray(probe.images)
    key = frozen.digest, hashlib.sha256(images.tobytes()).hexdigest()
    if not (_last_seen and _last_seen[0].key == key):
        layers = frozen.base.layers
        every = keras.Model(frozen.base.inputs, [*(layer.output for layer in layers), frozen.base.output])
        *outputs, features = every(tf.constant(images), training=False)
        statistics = [_statistics(n, *both, []) for n, both in enumerate(zip(layers, outputs, strict=True))]
        _last_seen[:] = [_Seen(key=key, statistics=statistics, features=features)]
    return _last_seen[0]


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
