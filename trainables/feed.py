"""How images reach the model: one pipeline a trial, one thread, no autotuning."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from trainables.data import ImageSet


class Feed:
    """The training images as one tf.data pipeline for the whole trial, in an order drawn from (seed, epoch).

    `tf.data` calls the generator anew for each epoch, and reads `epoch` then. Autotuning is off: its end-of-epoch wait
    costs seconds when trials share a machine.
    """

    def __init__(self, images: ImageSet, batch_size: int, seed: int) -> None:
        self.steps = -(-len(images.labels) // batch_size)
        self.epoch = 0
        self._images, self._batch_size, self._seed = images, batch_size, seed
        signature = (
            tf.TensorSpec((None, *images.images.shape[1:]), tf.uint8),
            tf.TensorSpec((None,), tf.int64),
        )
        batches = tf.data.Dataset.from_generator(self._batches, output_signature=signature)
        self.dataset = batches.apply(tf.data.experimental.assert_cardinality(self.steps)).with_options(plain_options())

    def _batches(self) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
        order = np.random.default_rng([self._seed, self.epoch]).permutation(len(self._images.labels))
        for first in range(0, len(order), self._batch_size):
            rows = order[first : first + self._batch_size]
            yield self._images.images[rows], self._images.labels[rows].astype(np.int64)


def plain_options() -> tf.data.Options:
    """Options of every pipeline here: a fixed order, and no thread of its own beyond one."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return options
