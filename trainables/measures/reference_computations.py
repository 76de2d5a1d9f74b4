"""Fixed computations, the same on every machine, that a network's latency is timed beside.

What else a machine does slows both alike: two runs agree on their ratio where the milliseconds of one network lie up to
twofold apart. That holds between computations of one kind: TensorFlow hands each call to another thread, LiteRT and
NumPy do not.
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
"""A computation; what it returns is of no use."""


@functools.cache
def of_tensorflow() -> Reference:
    """Runs twenty small separable convolutions on one 8x8 image of 32 channels, in float32; traced once a process."""
    spatial = tf.fill((3, 3, _CHANNELS, 1), 1.0 / 9)
    across = tf.fill((1, 1, _CHANNELS, _CHANNELS), 1.0 / _CHANNELS)
    image = tf.fill((1, _SIZE, _SIZE, _CHANNELS), 0.5)

    def convolved(x: tf.Tensor) -> tf.Tensor:
        for _ in range(_LAYERS):
            x = tf.nn.relu6(tf.nn.depthwise_conv2d(x, spatial, [1, 1, 1, 1], "SAME"))
            x = tf.nn.conv2d(x, across, 1, "SAME")
        return x

    compiled = tf.function(convolved, autograph=False, jit_compile=False)
    return lambda: compiled(image).numpy()


@functools.cache
def of_numpy() -> Reference:
    """Adds up 60,000 numbers one after another, and takes the roots of the sums, on the calling thread."""
    numbers = np.linspace(0, 1, _NUMBERS, dtype=np.float32)
    return lambda: np.sqrt(np.cumsum(numbers)).sum()
