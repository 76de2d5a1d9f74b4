"""Standardises images: each channel gets a mean of 0 and a standard deviation of 1 over the training set."""

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, Rows

_IMAGES_AT_ONCE: Final = 4096
_LEAST_DEVIATION: Final = 1e-7
_LUMINANCE: Final = (0.2989, 0.5870, 0.1140)
"""The weights of red, green and blue in Keras' conversion to grey."""


@keras.saving.register_keras_serializable(package="layersweep")
class Standardization(keras.layers.Layer):
    """Subtracts each channel's mean and divides by its deviation; both are weights that no optimizer changes.

    Keras' Normalization stores them outside its variables after `adapt`. A model that is reused for another training
    set would then keep the first set's mean and deviation.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights; before `measure` they change nothing."""
        channels = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=channels, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=channels, initializer="ones", trainable=False)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.has_statistics = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Standardization":
        """A copy of a layer, which will get that layer's weights: it must not be measured again."""
        layer = cls(**config)
        layer.has_statistics = True
        return layer

    def measure(self, images: Images | Rows) -> None:
        """Measures mean and deviation on images (n, height, width, channels), some thousands at a time.

        Images with another number of channels than the layer's input are converted, as in `preprocessing`.
        """
        channels = self.mean.shape[0]
        count, total, squares = 0, np.zeros(channels), np.zeros(channels)
        for first in range(0, len(images), _IMAGES_AT_ONCE):
            numbers = _with_channels(np.asarray(images[first : first + _IMAGES_AT_ONCE], dtype=np.float64), channels)
            count += len(numbers)
            total += numbers.sum(axis=0)
            squares += (numbers**2).sum(axis=0)
        mean = total / count
        self.mean.assign(mean)
        self.deviation.assign(np.sqrt(np.maximum(squares / count - mean**2, 0)))
        self.has_statistics = True

    def call(self, inputs: Any) -> Any:
        """Standardises (batch, height, width, channels)."""
        mean, deviation = (keras.ops.cast(weight, self.compute_dtype) for weight in (self.mean, self.deviation))
        return (inputs - mean) / keras.ops.maximum(deviation, _LEAST_DEVIATION)


def _with_channels(numbers: npt.NDArray[np.float64], channels: int) -> npt.NDArray[np.float64]:
    """All positions of all images, with this number of channels: (positions, channels)."""
    positions = numbers.reshape(-1, numbers.shape[-1])
    if positions.shape[-1] == channels:
        return positions
    return np.repeat(positions, channels, axis=1) if channels > 1 else positions @ np.array(_LUMINANCE)[:, None]
