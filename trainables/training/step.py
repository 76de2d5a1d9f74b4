"""One step of a training, in two functions that TensorFlow traces: gradients, and what an optimizer makes of them.

Keras' `fit` is one function, so another optimizer means another trace of everything, and on a CPU it is no faster.
"""

from dataclasses import dataclass

import keras
import tensorflow as tf

from trainables.data.arrays import Images, Labels
from trainables.hardware import on_gpu
from trainables.measures.model_measures import fed
from trainables.training.optimizer_updates import by_keras, on_cpu


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """The mean loss of a batch before its step, regularisation included, and how many images were told right."""

    loss: float
    hits: int


class Step:
    """A step of a compiled model whose optimizer is built.

    Args:
        model: the model, which has the loss and the optimizer.
        trained: the part of it that is run, if its input is made elsewhere.

    Attributes:
        fresh: whether the next step still has something to trace or compile.
    """

    def __init__(self, model: keras.Model, trained: keras.Model | None = None) -> None:
        self._model, self._trained = model, trained or model
        self._on_gpu = on_gpu()
        signature = [fed(self._trained), tf.TensorSpec((None,), tf.int64)]
        self._gradients = tf.function(
            self._of_batch, input_signature=signature, autograph=False, jit_compile=model.jit_compile
        )
        self.take(model.optimizer)

    def take(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Updates by this optimizer from now on; it is built, and the model's own."""
        of = by_keras if self._on_gpu else on_cpu
        update = of(optimizer, self._model.trainable_variables)
        self._update = tf.function(update, autograph=False, jit_compile=self._on_gpu)
        self.fresh = True

    def __call__(self, images: Images, labels: Labels) -> Stepped:
        """Takes a step on uint8 images (batch, height, width, channels), or features, with int64 labels (batch,)."""
        loss, hits, gradients = self._gradients(tf.constant(images), tf.constant(labels))
        self._update(gradients)
        self.fresh = False
        return Stepped(loss=float(loss), hits=int(hits))

    def _of_batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        model = self._model
        with tf.GradientTape() as tape:
            outputs = self._trained(images, training=True)
            loss = model.compute_loss(x=images, y=labels, y_pred=outputs, training=True)
            scaled = model.optimizer.scale_loss(loss)
        hits = tf.math.count_nonzero(tf.argmax(outputs, axis=-1) == labels)
        return loss, hits, tape.gradient(scaled, [variable.value for variable in model.trainable_variables])
