"""Images brought to a mean of 0 and a deviation of 1, channel by channel, by what the training set has."""

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from trainables.data.arrays import Images, Rows

_IMAGES_AT_ONCE: Final = 4096
_LEAST_DEVIATION: Final = 1e-7
_LUMINANCE: Final = (0.2989, 0.5870, 0.1140)
"""Of red, green and blue, as Keras makes images grey."""


@keras.saving.register_keras_serializable(package="layersweep")
class Standardization(keras.layers.Layer):
    """Subtracts each channel's mean and divides by its deviation, both of them weights that no optimizer changes.

    Keras' own Normalization keeps them outside its variables once it has adapted, so that a model which is used again
    for another training set goes on with the first one's.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the weights: as long as nothing was measured, numbers pass as they are."""
        channels = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=channels, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=channels, initializer="ones", trainable=False)

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.measured = False

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Standardization":
        """A layer like one that was made before, whose weights it will get: it is not to be measured anew."""
        made = cls(**config)
        made.measured = True
        return made

    def measure(self, images: Images | Rows) -> None:
        """Takes mean and deviation from images (n, height, width, channels), some thousands at a time.

        Images of another number of channels than the layer sees are given those, as `preprocessing` does.
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
        self.measured = True

    def call(self, inputs: Any) -> Any:
        """Standardises (batch, height, width, channels)."""
        mean, deviation = (keras.ops.cast(weight, self.compute_dtype) for weight in (self.mean, self.deviation))
        return (inputs - mean) / keras.ops.maximum(deviation, _LEAST_DEVIATION)


def _with_channels(numbers: npt.NDArray[np.float64], channels: int) -> npt.NDArray[np.float64]:
    """All positions of all images (positions, channels)."""
    of_position = numbers.reshape(-1, numbers.shape[-1])
    if of_position.shape[-1] == channels:
        return of_position
    return np.repeat(of_position, channels, axis=1) if channels > 1 else of_position @ np.array(_LUMINANCE)[:, None]
