"""Measurements of a model: size and cost, accuracy, and latency of one image."""

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

from layersweep.records.values import ClassCounts, ClassReport, Latency, NetworkSummary
from trainables.data.arrays import Images, ImageSet, Labels, Rows
from trainables.layers import layer_costs
from trainables.layers.batch_normalization import moving_momentum
from trainables.measures.network_fingerprint import network_fingerprint
from trainables.measures.reference_computations import Reference, tensorflow_reference

EVALUATION_BATCH: Final = 256
EVALUATION_PIXELS: Final = EVALUATION_BATCH * 128 * 128
"""The pixels of a batch, at most: of larger images a batch has fewer."""
_LEAST_PROBABILITY: Final = 1e-7  # as Keras clips probabilities: an image adds at most 16.1 to the loss
WARM_UP: Final = 5
_CALLS: Final = WARM_UP + 50

Forward = Callable[[tf.Tensor], tf.Tensor]
"""Takes uint8 images (batch, height, width, channels), returns class probabilities (batch, classes)."""


def model_size(model: keras.Model, *, seconds_build: float) -> NetworkSummary:
    """The size of a built model. `size_bytes` counts all stored weights, without the optimizer."""
    layers = tuple(layer_costs.describe(index, layer) for index, layer in enumerate(model.layers))
    return NetworkSummary(
        parameters=model.count_params(),
        trainable_parameters=sum(math.prod(w.shape) for w in model.trainable_weights),
        flops=sum(layer_costs.flops(layer) for layer in model.layers),
        size_bytes=sum(math.prod(w.shape) * np.dtype(w.dtype).itemsize for w in model.weights),
        layers=layers,
        seconds_build=seconds_build,
        fingerprint=network_fingerprint(model, layers),
        normalization_momentum=moving_momentum(model),
    )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A model's result on a set: mean cross-entropy, accuracy, and each image's true and predicted class (n,)."""

    loss: float
    accuracy: float
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.labels)


def evaluate(forward: Forward, images: ImageSet) -> Reading:
    """Evaluates a model on a set in one pass; a NaN in the output makes the loss NaN."""
    labels = images.labels.astype(np.int64)
    size = _evaluation_batch(images.images.shape)
    batches = (images.images[first : first + size] for first in range(0, len(labels), size))
    probabilities = np.concatenate([forward(tf.constant(batch)).numpy() for batch in batches]).astype(np.float64)
    of_label = probabilities[np.arange(len(labels)), labels]
    predicted = probabilities.argmax(axis=1)
    return Reading(
        loss=float(-np.log(np.clip(of_label, _LEAST_PROBABILITY, 1.0)).mean()),
        accuracy=float((predicted == labels).mean()),
        labels=labels,
        predicted=predicted,
    )


def class_counts(labels: Labels, predicted: Labels, classes: int) -> ClassCounts:
    """How many images, predictions and right predictions each class has, from true and predicted classes (n,)."""
    counts = (np.bincount(each, minlength=classes) for each in (labels, predicted, labels[labels == predicted]))
    images, predictions, hits = (tuple(map(int, each)) for each in counts)
    return ClassCounts(images=images, predicted=predictions, hits=hits)


def _evaluation_batch(shape: tuple[int, ...]) -> int:
    """The images of a batch, of images (n, height, width, channels); features (n, numbers) have large batches."""
    is_flat = len(shape) != 4  # noqa: PLR2004
    return EVALUATION_BATCH if is_flat else min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS // (shape[1] * shape[2])))


def class_reports(set_name: str, reading: Reading, classes: Sequence[str]) -> list[ClassReport]:
    """Precision, recall, F1 and confusion counts of each class; 0 for a class that was never predicted."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    indices = np.arange(len(classes))
    counts = confusion_matrix(reading.labels, reading.predicted, labels=indices)
    scores: Any = precision_recall_fscore_support(reading.labels, reading.predicted, labels=indices, zero_division=0)
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
    """The compiled model in inference or in training mode; its first call traces it for batches of any size."""
    compiled: Forward = tf.function(
        lambda batch: model(batch, training=training),
        input_signature=[input_spec(model)],
        autograph=False,
        jit_compile=False,
    )
    return compiled


def input_spec(model: keras.Model) -> tf.TensorSpec:
    """The type and shape of a model's input: images keep their type, features are float32 in every precision."""
    model_input = model.inputs[0]
    return tf.TensorSpec(
        model_input.shape, model_input.dtype if tf.as_dtype(model_input.dtype).is_integer else tf.float32
    )


def latency(forward: Forward, images: Images | Rows) -> Latency:
    """The time that a compiled model takes for one image (a batch of 1), after warming up."""
    batches = [tf.constant(images[k % len(images) : k % len(images) + 1]) for k in range(_CALLS)]
    return time_calls(lambda batch: forward(batch).numpy(), batches, tensorflow_reference())


def time_calls(call: Callable[[Any], Any], batches: Sequence[Any], reference: Reference) -> Latency:
    """Measures a call for each batch, and the reference computation after each call; the first calls warm up."""
    pairs = [(_milliseconds(partial(call, batch)), _milliseconds(reference)) for batch in batches][WARM_UP:]
    milliseconds, reference_milliseconds = np.array(pairs).T
    return Latency(
        min_ms=float(milliseconds.min()),
        median_ms=float(np.median(milliseconds)),
        p95_ms=float(np.percentile(milliseconds, 95)),
        n=len(pairs),
        ratio=float(np.median(milliseconds / reference_milliseconds)),
        reference_ms=float(reference_milliseconds.min()),
    )


def _milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)
