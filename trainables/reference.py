"""A fixed computation, the same on every machine, that a network's latency is timed beside.

What else a machine does slows both alike: two runs agree on their ratio where the milliseconds of one network lie up to
twofold apart.
"""

import functools
from collections.abc import Callable
from typing import Final

import tensorflow as tf

_LAYERS: Final = 20
_SIZE: Final = 8
_CHANNELS: Final = 32


@functools.cache
def reference() -> Callable[[], None]:
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
