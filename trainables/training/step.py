"""One training step, in two functions that TensorFlow traces: the gradients, and the optimizer's update.

Keras' `fit` is one function: a new optimizer means a new trace of everything. On a CPU, `fit` is no faster.
"""

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from trainables.data.arrays import Images, Labels
from trainables.hardware import on_gpu
from trainables.measures.model_measures import input_spec
from trainables.training.optimizer_updates import by_keras, on_cpu


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The mean loss of a batch before its step, regularisation and weights included, and its predicted classes (n,)."""

    loss: float
    predicted: Labels


class Step:
    """A step of a compiled model whose optimizer is built.

    Args:
        model: the model, which has the loss and the optimizer.
        trained_part: the part of the model that runs, if its inputs are features; None for the whole model.
        weighted: whether each image has a weight in the loss.

    Attributes:
        needs_tracing: whether the next step has to trace or compile a function.
    """

    def __init__(self, model: keras.Model, trained_part: keras.Model | None = None, *, weighted: bool = False) -> None:
        self._model, self._trained_part = model, trained_part or model
        self._on_gpu = on_gpu()
        signature = [input_spec(self._trained_part), tf.TensorSpec((None,), tf.int64)]
        signature += [tf.TensorSpec((None,), tf.float32)] if weighted else []
        self._gradients = tf.function(
            self._batch_gradients, input_signature=signature, autograph=False, jit_compile=model.jit_compile
        )
        self.use_optimizer(model.optimizer)

    def use_optimizer(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Uses this optimizer, which is built and belongs to the model, from the next step on."""
        make_update = by_keras if self._on_gpu else on_cpu
        update = make_update(optimizer, self._model.trainable_variables)
        self._update = tf.function(update, autograph=False, jit_compile=self._on_gpu)
        self.needs_tracing = True

    def __call__(self, images: Images, labels: Labels, *weights: npt.NDArray[np.float32]) -> StepResult:
        """Takes a step on uint8 images (batch, height, width, channels), or features, with int64 labels (batch,).

        A weighted step needs weights (batch,) too.
        """
        loss, predicted, gradients = self._gradients(*map(tf.constant, (images, labels, *weights)))
        self._update(gradients)
        self.needs_tracing = False
        return StepResult(loss=float(loss), predicted=predicted.numpy())

    def _batch_gradients(
        self, images: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor | None]]:
        model = self._model
        with tf.GradientTape() as tape:
            outputs = self._trained_part(images, training=True)
            loss = model.compute_loss(x=images, y=labels, y_pred=outputs, sample_weight=weights, training=True)
            scaled = model.optimizer.scale_loss(loss)
        return (
            loss,
            tf.argmax(outputs, axis=-1),
            tape.gradient(scaled, [variable.value for variable in model.trainable_variables]),
        )
