"""Batch normalisation by TensorFlow's fused kernel, for images.

Keras' own layer is made of some ten operations, each of which goes through all of a layer's output again: a tenth of a
training step of `fashion_cnn` on a CPU, a seventh in bfloat16. One kernel does the same, to rounding.
"""

from typing import Any, Final

import keras
import tensorflow as tf

_IMAGES: Final = 4
"""The rank of (batch, height, width, channels)."""


@keras.saving.register_keras_serializable(package="layersweep")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras has no types
    """Keras' layer of the same name and arguments, but faster for images (batch, height, width, channels).

    The moving variance is the batch's own, as in Keras; TensorFlow's kernel would give n / (n - 1) times as much.

    Args:
        by_batch: whether training uses the batch's mean and variance even if the layer is frozen, as old Keras did.
        settings: the arguments of Keras' layer.
    """

    def __init__(self, *, by_batch: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.by_batch = by_batch

    def get_config(self) -> dict[str, Any]:
        """The settings; `by_batch` only if it is set."""
        config: dict[str, Any] = super().get_config()
        return {**config, "by_batch": True} if self.by_batch else config

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises as Keras does: with the batch's mean and variance in training, else with the moving averages."""
        by_batch = bool(training and (self.trainable or self.by_batch))
        if not self._fusible(inputs, mask):
            if by_batch and not self.trainable:
                raise NotImplementedError(f"layer {self.name!r}: by_batch needs images in the layer's own precision")
            return super().call(inputs, training=training, mask=mask)
        x, averages = tf.convert_to_tensor(inputs), (self.moving_mean.value, self.moving_variance.value)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[] if by_batch else averages[0],
            variance=[] if by_batch else averages[1],
            epsilon=self.epsilon,
            is_training=by_batch,
        )
        if not by_batch:
            return outputs
        n = tf.cast(tf.size(x) // tf.shape(x)[-1], variance.dtype)
        for average, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance * ((n - 1) / n))):
            average.assign(average.value * self.momentum + of_batch * (1 - self.momentum))
        return outputs

    def _fusible(self, inputs: Any, mask: Any) -> bool:
        is_plain = mask is None and self.scale and self.center and not self.renorm
        is_last = self.axis in (-1, _IMAGES - 1)
        return is_plain and is_last and len(inputs.shape) == _IMAGES and inputs.dtype == self.compute_dtype


def set_momentum(model: keras.Model, momentum: float) -> None:
    """Sets the momentum of every batch normalisation of a model; 0 leaves each its own."""
    for layer in model.layers:
        if momentum and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum


def moving_momentum(model: keras.Model) -> float | None:
    """The largest momentum of a model's batch normalisation whose averages follow the training; None without any."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    moving = [layer.momentum for layer in layers if layer.trainable or getattr(layer, "by_batch", False)]
    return max(map(float, moving), default=None)
