"""A trained network in LiteRT (TensorFlow Lite), in float32 and in int8: size, accuracy, latency.

int8 is TensorFlow's version of Jacob et al. 2018 (https://arxiv.org/abs/1712.05877): weights and activations have eight
bits, and training images give their ranges. Operations that have no int8 kernel stay in float32.
"""

import warnings
from typing import Any, Final, Literal

import keras
import tensorflow as tf

from layersweep.records.values import Export
from trainables.data.arrays import Images, ImageSet, Rows
from trainables.hardware import without_stderr
from trainables.layers.weight_copies import copy_weights
from trainables.measures import model_measures
from trainables.measures.reference_computations import numpy_reference

Form = Literal["float32", "int8"]
FORMS: Final[tuple[Form, ...]] = ("float32", "int8")

_FLOAT32: Final = {"dtype": "float32"}
_HALF_PRECISIONS: Final = {"bfloat16", "float16"}

_CALLS: Final = model_measures.WARM_UP + 200
"""The number of calls for a latency, warming up included; each takes a fraction of a millisecond."""

CALIBRATION_IMAGES: Final = 200
"""The number of training images whose activations give the range that eight bits cover."""


def exports(model: keras.Model, *, train: ImageSet, validation: ImageSet) -> tuple[Export, ...]:
    """A network in each form, evaluated on the validation set; or the reason why LiteRT cannot convert or run it.

    It does not use the test set: a study evaluates that for the leading arms only.
    """
    network = in_float32(model)
    return tuple(_export(network, form, train, validation) for form in FORMS)


def _export(model: keras.Model, form: Form, train: ImageSet, validation: ImageSet) -> Export:
    try:
        with without_stderr(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
            return evaluate(convert(model, form, train.images), validation, form)
    except (ValueError, RuntimeError) as error:  # LiteRT's interpreter raises these, too
        return Export(form=form, problem=" ".join(str(error).split()))


def in_float32(model: keras.Model) -> keras.Model:
    """The network itself, or a copy in float32 if it computes in bfloat16 or float16, which LiteRT does not know."""

    def copy_layer(layer: Any) -> Any:
        config = layer.get_config()
        computes = isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.layers.InputLayer)
        return type(layer).from_config(config | _FLOAT32 if computes else config)

    if not _HALF_PRECISIONS & {getattr(layer, "compute_dtype", None) for layer in model.layers}:
        return model
    copy = keras.models.clone_model(model, clone_function=copy_layer)
    copy_weights(copy, model)
    return copy


def convert(model: keras.Model, form: Form, calibration: Images | Rows) -> bytes:
    """A network as a LiteRT file: takes uint8 images (1, height, width, channels), returns probabilities (1, classes).

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


def evaluate(network: bytes, images: ImageSet, form: Form) -> Export:
    """Runs a LiteRT network on a set, one image at a time on one thread, and measures the latency."""
    from ai_edge_litert.interpreter import Interpreter  # TensorFlow will remove its own interpreter

    interpreter = Interpreter(model_content=network, num_threads=1)
    interpreter.allocate_tensors()
    (model_input,), (model_output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def predict(image: Images) -> Any:
        interpreter.set_tensor(model_input["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(model_output["index"])

    number = len(images.labels)
    hits = sum(int(predict(images.images[k : k + 1]).argmax() == images.labels[k]) for k in range(number))
    single = [images.images[k % number : k % number + 1] for k in range(_CALLS)]
    latency = model_measures.time_calls(predict, single, numpy_reference())
    return Export(
        form=form,
        size_bytes=len(network),
        accuracy=hits / number,
        images=number,
        **vars(latency),
    )
