"""Checks a network of a user's before any trial, in the process of `model_check`: `problem`."""

import inspect
import math
import re
import tempfile
import traceback
from collections.abc import Iterator, Mapping
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
_COMPLETE: Final = "let its __init__ take **settings and pass them to super().__init__"
_PARTS: Final = frozenset(
    f"{weights}_{part}"
    for weights in ("kernel", "bias", "depthwise", "pointwise", "recurrent", "beta", "gamma", "embeddings")
    for part in ("regularizer", "initializer", "constraint")
) | {"activation", "activity_regularizer", "recurrent_activation"}
"""The attributes of a layer that hold functions and small objects of its user's."""
_BEGIN: Final = "begin with `image, x = ls.inputs(config, image_shape)`"


def problem(build: "Build", config: Any, image_shape: tuple[int, int, int], classes: int) -> str | None:
    """What is wrong with the network that a `build` makes, in words; None if nothing is."""
    keras.utils.set_random_seed(0)
    network = build(config, image_shape, classes)
    text = _kind_problem(network) or _shape_problem(network, image_shape, classes) or _training_problem(network, config)
    if text is None:
        network, second = functional(network), functional(build(config, image_shape, classes))
        images = np.random.default_rng(0).integers(0, 256, (_IMAGES, *image_shape), dtype=np.uint8)
        text = _change_problem(network, second) or _output_problem(network, images) or _saving_problem(network, images)
    if text is None:
        _step(network, config, images, classes)
    return None if text is None else f"{place_of(build)} {text}"


def failure(family: str, error: BaseException) -> str:
    """An error that a `build`, its network or the import of its module raised, in a line with its place."""
    text = _line(error)[:_CHARACTERS]
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
    if any(isinstance(each, dict) for each in (functional(network).input, functional(network).output)):
        return (
            "returns a network of named inputs or outputs (dict); valid: `keras.Model(image, outputs)`, a tensor each"
        )
    outputs = network.outputs
    if len(outputs) != 1 or tuple(outputs[0].shape) != (None, classes):
        shapes = " and ".join(str(tuple(output.shape)) for output in outputs)
        return f"returns a network with outputs of shape {shapes}; valid: {(None, classes)}, a probability a class"
    return None


def _training_problem(network: keras.Model, config: Any) -> str | None:
    """What of the network a training would not use or could not change."""
    own = [name for name in ("train_step", "fit") if getattr(type(network), name) is not getattr(keras.Model, name)]
    if own:
        return f"returns {type(network).__name__}, whose own {own[0]}() a sweep does not call; valid: keras.Model"
    if not network.trainable_weights:
        return "returns a network without weights that can be trained"
    return _compile_problem(network, config) if network.compiled else None


def _compile_problem(network: keras.Model, config: Any) -> str | None:
    """A loss or an optimizer that a training would not use: it compiles the network anew."""
    loss = (network.get_compile_config() or {}).get("loss")
    name, settings = _loss(loss)
    advice = "remove compile() from it"
    if name.lower().replace("_", "") != _LOSS.replace("_", "") or settings.get("from_logits"):
        shown = f"{name} from logits" if settings.get("from_logits") else name
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
    if different := _different_settings(own, keys):
        return (
            f"compiles its network with {type(own).__name__} and {', '.join(different)}, which a sweep does not use: "
            f"{advice}"
        )
    return None


def _loss(loss: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and the settings of a loss as `get_compile_config` has it."""
    if isinstance(loss, dict) and "class_name" in loss:
        settings = loss.get("config")
        return (loss["class_name"], settings) if isinstance(settings, dict) else (str(settings), {})
    losses = list(loss.values()) if isinstance(loss, dict) else loss
    return _loss(losses[0]) if isinstance(losses, list | tuple) and len(losses) == 1 else (str(loss), {})


def _different_settings(own: Any, keys: Any) -> list[str]:
    """The settings of an optimizer that are not those of another of its class, but for its rate, which is a number."""
    settings, others = own.get_config(), keys.get_config()
    if isinstance(settings["learning_rate"], dict):
        return [f"a schedule of its learning rate ({settings['learning_rate']['class_name']})"]
    names = settings.keys() - {"name", "learning_rate"}
    return [f"{name}={settings[name]}" for name in sorted(names) if settings[name] != others.get(name)]


def _change_problem(network: keras.Model, second: keras.Model) -> str | None:
    if shared := {id(each) for each in network.weights} & {id(each) for each in second.weights}:
        layer = next(
            each for each in network._flatten_layers(include_self=False) if shared & set(map(id, each.weights))
        )
        return f"uses the layer {layer.name} of an earlier network, trained weights included: make it inside build"
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
    """Which layer or function cannot be saved and loaded again, and what to do."""
    for layer in network._flatten_layers(include_self=False):
        kind = type(layer)
        if isinstance(layer, keras.layers.Lambda):
            return (
                f"uses keras.layers.Lambda ({layer.name}), which cannot be loaded again safely: write a class of a "
                f"layer, and {_REGISTER}, or use keras.ops"
            )
        if not _is_known(kind):
            return f"uses the layer {kind.__name__}, which cannot be loaded again: {_REGISTER}"
        for name, value in vars(layer).items():
            own = value if inspect.isfunction(value) else type(value)
            if name in _PARTS and not _is_known(own):
                what = f"{own.__name__} as {name} of the layer {layer.name}"
                return f"uses {what}, which cannot be loaded again: write a named function or class, and {_REGISTER}"
        try:
            kind.from_config(layer.get_config())
        except (TypeError, ValueError, NotImplementedError, KeyError) as problem:
            text = _line(problem)[:_CHARACTERS]
            return f"uses the layer {kind.__name__}, which its get_config() does not make again ({text}): {_COMPLETE}"
    return f"returns a network that cannot be saved and loaded again: {_line(error)[:300]}"


def _is_known(kind: Any) -> bool:
    """Whether Keras finds a class or function again."""
    if (kind.__module__ or "").partition(".")[0] in ("keras", "builtins"):
        return True
    return keras.saving.get_registered_object(keras.saving.get_registered_name(kind)) is not None


def _line(error: BaseException) -> str:
    """The text of an error in one line, without the escape codes of Keras."""
    return " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split())


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
