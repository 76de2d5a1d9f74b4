"""Fixed computations, the same on every machine, that are timed next to a network's latency.

Other work on a machine slows both down equally. So two runs agree on the ratio even if the milliseconds of one network
differ by a factor of two. This needs computations of the same kind: TensorFlow runs each call on another thread, LiteRT
and NumPy do not.
"""

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
import tensorflow as tf

_LAYERS: Final = 20
_SIZE: Final = 8
_CHANNELS: Final = 32
_NUMBERS: Final = 60_000


Reference = Callable[[], object]
"""A computation whose result is not used."""


@functools.cache
def tensorflow_reference() -> Reference:
    """Twenty small separable convolutions of one 8x8 image with 32 channels, in float32; traced once per process."""
    spatial = tf.fill((3, 3, _CHANNELS, 1), 1.0 / 9)
    across = tf.fill((1, 1, _CHANNELS, _CHANNELS), 1.0 / _CHANNELS)
    image = tf.fill((1, _SIZE, _SIZE, _CHANNELS), 0.5)

    def convolve(x: tf.Tensor) -> tf.Tensor:
        for _ in range(_LAYERS):
            x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, spatial, [1, 1, 1, 1], "SAME"))
            x = tf.nn.conv2d(x, across, 1, "SAME")
        return x

    compiled = tf.function(convolve, autograph=False, jit_compile=False)
    return lambda: compiled(image).numpy()


@functools.cache
def numpy_reference() -> Reference:
    """The cumulative sum of 60,000 numbers, and the roots of the sums, on the calling thread."""
    numbers = np.linspace(0, 1, _NUMBERS, dtype=np.float32)
    return lambda: np.sqrt(np.cumsum(numbers)).sum()
