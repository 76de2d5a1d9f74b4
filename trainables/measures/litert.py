"""A trained network as LiteRT (TensorFlow Lite) runs it, in float32 and in int8: size, accuracy, latency.

int8 follows Jacob et al. 2018 (https://arxiv.org/abs/1712.05877) as TensorFlow's converter has it: weights and
activations in eight bits, their ranges read off training images; what has no such kernel stays in float32.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import keras
import tensorflow as tf

from layersweep.records.values import Export
from trainables.data.arrays import Images, ImageSet, Rows
from trainables.measures import model_measures
from trainables.measures.reference_computations import of_numpy

Form = Literal["float32", "int8"]
FORMS: Final[tuple[Form, ...]] = ("float32", "int8")

_FLOAT32: Final = {"dtype": "float32"}
_HALVES: Final = {"bfloat16", "float16"}

_CALLS: Final = model_measures.WARM_UP + 200
"""Of which a latency is made, warming up included: each takes a fraction of a millisecond."""

CALIBRATION_IMAGES: Final = 200
"""Training images whose activations say which range eight bits are to cover."""


def exports(model: keras.Model, *, train: ImageSet, validation: ImageSet) -> tuple[Export, ...]:
    """A network in each form, read on the validation set; or why LiteRT cannot convert or run it.

    The test set stays closed: a study opens it for the leading arms only.
    """
    network = in_float32(model)
    return tuple(_export(network, form, train, validation) for form in FORMS)


def _export(model: keras.Model, form: Form, train: ImageSet, validation: ImageSet) -> Export:
    try:
        with _quiet():
            return read(converted(model, form, train.images), validation, form)
    except (ValueError, RuntimeError) as error:  # what LiteRT's interpreter raises, too
        return Export(form=form, problem=" ".join(str(error).split()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps out of a trial's log what converter and interpreter say of every network, on the way of C++."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def in_float32(model: keras.Model) -> keras.Model:
    """A network itself, or its copy where it computes in another precision, which LiteRT does not know."""

    def copied(layer: Any) -> Any:
        config = layer.get_config()
        computes = isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.layers.InputLayer)
        return type(layer).from_config(config | _FLOAT32 if computes else config)

    if not _HALVES & {getattr(layer, "compute_dtype", None) for layer in model.layers}:
        return model
    made = keras.models.clone_model(model, clone_function=copied)
    made.set_weights(model.get_weights())
    return made


def converted(model: keras.Model, form: Form, calibration: Images | Rows) -> bytes:
    """A network as a LiteRT file: uint8 images (1, height, width, channels) in, class probabilities (1, classes) out.

    Raises:
        ValueError: if the converter does not know an operation of the network.
    """
    shape = (1, *model.inputs[0].shape[1:])
    inference = tf.function(lambda image: model(image, training=False), autograph=False)
    concrete = inference.get_concrete_function(tf.TensorSpec(shape, model.inputs[0].dtype))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], inference)
    if form == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        samples = range(min(CALIBRATION_IMAGES, len(calibration)))
        converter.representative_dataset = lambda: ([calibration[k : k + 1]] for k in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
        return bytes(converter.convert())
    except Exception as error:
        if type(error).__name__ != "ConverterError":  # its module is private
            raise
        raise ValueError(f"LiteRT's converter refuses the network: {str(error).splitlines()[0]}") from error


def read(network: bytes, images: ImageSet, form: Form) -> Export:
    """Runs a LiteRT network over a set, an image at a time on one thread, and times single images."""
    from ai_edge_litert.interpreter import Interpreter  # LiteRT's own: TensorFlow's is to go

    interpreter = Interpreter(model_content=network, num_threads=1)
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()

    def predicted(image: Images) -> Any:
        interpreter.set_tensor(into["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(out["index"])

    number = len(images.labels)
    hits = sum(int(predicted(images.images[k : k + 1]).argmax() == images.labels[k]) for k in range(number))
    single = [images.images[k % number : k % number + 1] for k in range(_CALLS)]
    timed = model_measures.timed(predicted, single, of_numpy())
    return Export(
        form=form,
        size_bytes=len(network),
        accuracy=hits / number,
        images=number,
        **vars(timed),
    )
