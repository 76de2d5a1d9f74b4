"""What is read off a model: its size and cost, how well it does, and how long one image takes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from layersweep.records.values import Built, ClassReport, Latency
from trainables.data.arrays import Images, ImageSet, Rows
from trainables.layers import layer_costs
from trainables.measures.reference_computations import Reference, of_tensorflow

EVALUATION_BATCH: Final = 256
_LEAST_PROBABILITY: Final = 1e-7  # as Keras clips probabilities: an image adds at most 16.1 to the loss
WARM_UP: Final = 5
_CALLS: Final = WARM_UP + 50

Forward = Callable[[tf.Tensor], tf.Tensor]
"""Images, uint8 (batch, height, width, channels), in; class probabilities (batch, classes) out."""


def built(model: keras.Model, *, seconds_build: float) -> Built:
    """The size of a built model. `size_bytes` is that of all its weights as they are stored, optimizer excluded."""
    return Built(
        parameters=model.count_params(),
        trainable_parameters=sum(math.prod(w.shape) for w in model.trainable_weights),
        flops=sum(layer_costs.flops(layer) for layer in model.layers),
        size_bytes=sum(math.prod(w.shape) * np.dtype(w.dtype).itemsize for w in model.weights),
        layers=tuple(layer_costs.describe(index, layer) for index, layer in enumerate(model.layers)),
        seconds_build=seconds_build,
    )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a model does on a set: mean cross-entropy, share of hits, and the class taken for each image (n,)."""

    loss: float
    accuracy: float
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    @property
    def images(self) -> int:
        """How many images were read."""
        return len(self.labels)


def evaluate(forward: Forward, images: ImageSet) -> Reading:
    """Reads a set once. One pass gives loss, accuracy and confusion; a NaN in the output makes the loss NaN."""
    labels = images.labels.astype(np.int64)
    batches = (images.images[first : first + EVALUATION_BATCH] for first in range(0, len(labels), EVALUATION_BATCH))
    probabilities = np.concatenate([forward(tf.constant(batch)).numpy() for batch in batches]).astype(np.float64)
    of_label = probabilities[np.arange(len(labels)), labels]
    predicted = probabilities.argmax(axis=1)
    return Reading(
        loss=float(-np.log(np.clip(of_label, _LEAST_PROBABILITY, 1.0)).mean()),
        accuracy=float((predicted == labels).mean()),
        labels=labels,
        predicted=predicted,
    )


def class_reports(set_name: str, reading: Reading, classes: Sequence[str]) -> list[ClassReport]:
    """Precision, recall, F1 and confusion counts of each class; 0 where a class was never predicted."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    every = np.arange(len(classes))
    counts = confusion_matrix(reading.labels, reading.predicted, labels=every)
    scores: Any = precision_recall_fscore_support(reading.labels, reading.predicted, labels=every, zero_division=0)
    return [
        ClassReport(
            set_name=set_name,
            class_index=k,
            class_name=name,
            precision=float(scores[0][k]),
            recall=float(scores[1][k]),
            f1=float(scores[2][k]),
            support=int(scores[3][k]),
            predicted=tuple(map(int, counts[k])),
        )
        for k, name in enumerate(classes)
    ]


def forward(model: keras.Model, *, training: bool = False) -> Forward:
    """The compiled model in inference, or as in training; traced at its first call, for batches of any size."""
    compiled: Forward = tf.function(
        lambda batch: model(batch, training=training), input_signature=[fed(model)], autograph=False, jit_compile=False
    )
    return compiled


def fed(model: keras.Model) -> tf.TensorSpec:
    """What a model is given: images as they are, features in float32, whatever it computes in."""
    into = model.inputs[0]
    return tf.TensorSpec(into.shape, into.dtype if tf.as_dtype(into.dtype).is_integer else tf.float32)


def latency(forward: Forward, images: Images | Rows) -> Latency:
    """Time of one image through a compiled model, batch of 1, after warming up."""
    batches = [tf.constant(images[k % len(images) : k % len(images) + 1]) for k in range(_CALLS)]
    return timed(lambda batch: forward(batch).numpy(), batches, of_tensorflow())


def timed(call: Callable[[Any], Any], batches: Sequence[Any], beside: Reference) -> Latency:
    """Times a call of each batch, and the reference behind each; the first ones warm up."""
    pairs = [(_milliseconds(partial(call, batch)), _milliseconds(beside)) for batch in batches][WARM_UP:]
    milliseconds, referred = np.array(pairs).T
    return Latency(
        min_ms=float(milliseconds.min()),
        median_ms=float(np.median(milliseconds)),
        p95_ms=float(np.percentile(milliseconds, 95)),
        n=len(pairs),
        ratio=float(np.median(milliseconds / referred)),
        reference_ms=float(referred.min()),
    )


def _milliseconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)
