"""Checks a network of a user's before any trial, in the process of `model_check`: `problem`."""

import math
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np
import tensorflow as tf

from trainables.data.arrays import ImageSet
from trainables.families.family import place_of
from trainables.layers.batch_normalization import set_momentum
from trainables.measures.model_measures import model_size
from trainables.optimizers import optimizer
from trainables.training.functional import functional
from trainables.training.traced_models import TracedModel

if TYPE_CHECKING:
    from trainables.training.loop import Build

_LOSS: Final = "sparse_categorical_crossentropy"
_CHARACTERS: Final = 500
_IMAGES: Final = 8
_TOLERANCE: Final = 1e-3
_REGISTER: Final = "write @keras.saving.register_keras_serializable() above it"
_BEGIN: Final = "begin with `image, x = ls.inputs(config, image_shape)`"


def problem(build: "Build", config: Any, image_shape: tuple[int, int, int], classes: int) -> str | None:
    """What is wrong with the network that a `build` makes, in words; None if nothing is."""
    keras.utils.set_random_seed(0)
    network = build(config, image_shape, classes)
    text = _kind_problem(network) or _shape_problem(network, image_shape, classes) or _compile_problem(network, config)
    if text is None:
        network, second = functional(network), functional(build(config, image_shape, classes))
        images = np.random.default_rng(0).integers(0, 256, (_IMAGES, *image_shape), dtype=np.uint8)
        text = _change_problem(network, second) or _output_problem(network, images) or _saving_problem(network, images)
    if text is None:
        _step(network, config, images, classes)
    return None if text is None else f"{place_of(build)} {text}"


def failure(family: str, error: BaseException) -> str:
    """An error that a `build`, its network or the import of its module raised, in a line with its place."""
    text = " ".join(str(error).split())[:_CHARACTERS]
    places = [f" in {Path(frame.filename).name}, line {frame.lineno}" for frame in _own_frames(error)]
    return f"the build of family {family} raises {type(error).__name__}{places[-1] if places else ''}: {text}"


def _own_frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """The frames of an error that are in its user's files, the innermost last."""
    own = Path(__file__).parents[1]
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if "site-packages" not in path.parts and not path.is_relative_to(own) and path.is_file():
            yield frame


def _kind_problem(network: Any) -> str | None:
    if network is None:
        return "returns nothing; valid: `return keras.Model(image, outputs)`"
    if not isinstance(network, keras.Model):
        return f"returns {type(network).__name__}; valid: `return keras.Model(image, outputs)`"
    if isinstance(network, keras.Sequential) and not network.built:
        return "returns a keras.Sequential without keras.Input(image_shape) as its first layer"
    if not getattr(network, "inputs", None):
        return f"returns {type(network).__name__}, which has no graph of layers; valid: keras.Model(image, outputs)"
    return None


def _shape_problem(network: keras.Model, image_shape: tuple[int, int, int], classes: int) -> str | None:
    if len(network.inputs) != 1:
        return f"returns a network of {len(network.inputs)} inputs; valid: one, the image: {_BEGIN}"
    size = tuple(network.inputs[0].shape[1:])
    if len(size) != len(image_shape) or any(a not in (None, b) for a, b in zip(size, image_shape, strict=True)):
        return f"returns a network for images of shape {size}; those of the data have {image_shape}: {_BEGIN}"
    if network.inputs[0].dtype != "uint8":
        return (
            f"returns a network whose input is {network.inputs[0].dtype}; valid: uint8, with numbers from 0 to 255: "
            f"{_BEGIN}, or with keras.Input(image_shape, dtype='uint8')"
        )
    outputs = network.outputs
    if len(outputs) != 1 or tuple(outputs[0].shape) != (None, classes):
        shapes = " and ".join(str(tuple(output.shape)) for output in outputs)
        return f"returns a network with outputs of shape {shapes}; valid: {(None, classes)}, a probability a class"
    return None


def _compile_problem(network: keras.Model, config: Any) -> str | None:
    """A loss or an optimizer that a training would not use: it compiles the network anew."""
    if not network.compiled:
        return None
    compiled = network.get_compile_config() or {}
    loss = compiled.get("loss")
    name = loss.get("class_name", loss.get("config")) if isinstance(loss, dict) else loss
    plain = str(name).lower().replace("_", "")
    from_logits = isinstance(loss, dict) and isinstance(loss["config"], dict) and loss["config"].get("from_logits")
    advice = "remove compile() from it"
    if plain != _LOSS.replace("_", "") or from_logits:
        shown = f"{name} from logits" if from_logits else name
        return f"compiles its network with the loss {shown}; a sweep trains with {_LOSS} on probabilities: {advice}"
    keys = optimizer(config.optimizer, config.learning_rate, config.momentum)
    own = network.optimizer
    rates = [float(np.asarray(each.learning_rate)) for each in (own, keys)]
    if type(own) is not type(keys) or not math.isclose(*rates, rel_tol=_TOLERANCE):
        return (
            f"compiles its network with {type(own).__name__} and a learning rate of {rates[0]:g}; a sweep trains it "
            f"with the keys optimizer={config.optimizer} and learning_rate={config.learning_rate:g}: {advice}, and set "
            "these keys"
        )
    return None


def _change_problem(network: keras.Model, second: keras.Model) -> str | None:
    sizes = [model_size(each, seconds_build=0.0) for each in (network, second)]
    if sizes[0].parameters != sizes[1].parameters or sizes[0].fingerprint != sizes[1].fingerprint:
        numbers = [f"{size.parameters:,} parameters in {len(size.layers)} layers" for size in sizes]
        return (
            f"makes another network each time: {numbers[0]}, then {numbers[1]}; what it draws at random must be a key"
        )
    return None


def _output_problem(network: keras.Model, images: Any) -> str | None:
    outputs = np.asarray(network(tf.constant(images), training=False), dtype=np.float64)
    if not np.isfinite(outputs).all():
        return "returns a network whose outputs are not finite"
    sums = outputs.sum(axis=1)
    if outputs.min() < -_TOLERANCE or np.abs(sums - 1).max() > _TOLERANCE:
        return (
            f"returns a network whose outputs are no probabilities: those of an image add up to {sums[0]:.3g}, and the "
            f"smallest is {outputs.min():.3g}; valid: keras.layers.Dense(classes, activation='softmax') at its end"
        )
    return None


def _saving_problem(network: keras.Model, images: Any) -> str | None:
    """What a checkpoint of the network would lose."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        try:
            network.save(path)
            loaded = keras.saving.load_model(path, safe_mode=True, compile=False)
        except (TypeError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
            return _saving_advice(network, error)
    before, after = (np.asarray(each(tf.constant(images), training=False)) for each in (network, loaded))
    if not np.allclose(before, after, atol=_TOLERANCE, equal_nan=True):
        return (
            "returns a network that differs after it is saved and loaded: give its own layers a complete get_config()"
        )
    return None


def _saving_advice(network: keras.Model, error: Exception) -> str:
    """Which layer cannot be saved and loaded again, and what to do."""
    text = " ".join(str(error).split())[:300]
    for layer in network._flatten_layers(include_self=False):
        kind = type(layer)
        if isinstance(layer, keras.layers.Lambda):
            return (
                f"uses keras.layers.Lambda ({layer.name}), which cannot be loaded again safely: write a class of a "
                f"layer, and {_REGISTER}, or use keras.ops"
            )
        if (
            not kind.__module__.startswith("keras.")
            and keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is None
        ):
            return f"uses the layer {kind.__name__}, which cannot be loaded again: {_REGISTER}"
    return f"returns a network that cannot be saved and loaded again: {text}"


def _step(network: keras.Model, config: Any, images: Any, classes: int) -> None:
    """Takes a training step and measures each layer, as a trial does; an error is the network's."""
    labels = np.arange(len(images), dtype=np.int64) % classes
    set_momentum(network, config.normalization_momentum)
    network.compile(optimizer=optimizer(config.optimizer, config.learning_rate, config.momentum), loss=_LOSS)
    tf.config.run_functions_eagerly(True)  # nothing is traced for a single step
    try:
        model = TracedModel(network)
        model.step(images, labels)
        model.layer_probe.statistics(ImageSet(images=images, labels=labels))
    finally:
        tf.config.run_functions_eagerly(False)
