"""Puts the layers of a user's model after our image layers: one flat model, whose layers are measured one by one."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import keras
import numpy as np
from keras.src.backend.common.stateless_scope import in_stateless_scope

from trainables.errors import ConfigError
from trainables.features.frozen_part import nodes
from trainables.features.layer_copies import graph_or_none
from trainables.keys import IMAGE, PICTURE_LAYERS
from trainables.layers.weight_copies import copy_weights

PREPROCESSING: Final = "preprocessing"
"""The name of the layer that scales images for a user's model."""

PROBABILITIES: Final = "probabilities"
"""The name of the softmax after a user's logits."""

_FLAT: Final = "flat_images"
_GREY: Final = "grey_images"
OUR_LAYERS: Final = PICTURE_LAYERS | {IMAGE, PREPROCESSING, PROBABILITIES, _FLAT, _GREY}
"""Names of layers of ours: a user's layer of such a name gets another."""

_IMAGE: Final = 4
"""The axes of a batch of images."""

_SMALL_SCALE: Final = 0.02
"""A Rescaling by less than this expects numbers of 0 to 255."""


def rescales(model: keras.Model) -> bool:
    """Whether a model begins with layers that expect images of 0 to 255, such as Rescaling(1 / 255)."""
    for layer in _layers(model):
        if isinstance(layer, keras.layers.Rescaling):
            return bool(np.max(layer.scale) < _SMALL_SCALE)
        if layer.weights:
            return False
    return False


def _layers(model: Any) -> Iterator[Any]:
    """The layers of a model, with those of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def append(model: Any, x: keras.KerasTensor) -> keras.KerasTensor:
    """The output of copies of a model's layers after a tensor of images, with the model's weights.

    The model's input may also be flat images, or grey images without an axis for their channel. A model in a model
    becomes its layers; one that is a class of its own with a `call` stays one layer. The last layer computes in
    float32.

    Raises:
        ConfigError: if the model has several inputs or outputs, uses a layer twice, or takes other images.
    """
    functional = graph_or_none(model)
    if functional is not None:
        if len(functional.inputs) != 1 or len(functional.outputs) != 1:
            raise ConfigError(
                f"build returns a model of {len(functional.inputs)} inputs and {len(functional.outputs)} outputs; "
                "valid: images in, probabilities out"
            )
        x = _fitting(x, functional.inputs[0].shape)
    return _appended(model, (x,), {}, is_last=True)


def _fitting(x: keras.KerasTensor, shape: tuple[int | None, ...]) -> keras.KerasTensor:
    """Images in the shape of a model's input.

    Raises:
        ConfigError: if they do not fit.
    """
    if len(shape) == 2 and len(x.shape) == _IMAGE:  # noqa: PLR2004 (flat images)
        x = keras.layers.Flatten(name=_FLAT)(x)
    elif len(shape) == 3 and x.shape[-1] == 1:  # noqa: PLR2004 (grey images)
        x = keras.layers.Reshape(x.shape[1:3], name=_GREY)(x)
    sizes = zip(shape[1:], x.shape[1:], strict=False)
    if len(shape) != len(x.shape) or any(size not in (None, images) for size, images in sizes):
        valid, images = ("x".join(map(str, each[1:])) for each in (shape, x.shape))
        raise ConfigError(
            f"the network takes images of {valid}, but these have {images}; valid: --set image_size= and --set "
            "channels=, or another input shape in build"
        )
    return x


def _replayed(model: Any, inputs: Sequence[keras.KerasTensor], *, is_last: bool) -> list[keras.KerasTensor]:
    """A functional model's outputs for other inputs, by copies of its layers."""
    tensors = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
    ends = {id(output) for output in model.outputs}
    used: set[int] = set()
    for node in nodes(model):
        if node.is_input:
            continue
        if id(node.operation) in used and isinstance(node.operation, keras.Layer):
            raise ConfigError(f"the layer {node.operation.name} is used twice; valid: a layer for each use")
        used.add(id(node.operation))
        arguments, options = node.arguments.fill_in(tensors)
        is_end = is_last and not ends.isdisjoint(map(id, node.outputs))
        outputs = keras.tree.flatten(_appended(node.operation, arguments, options, is_last=is_end))
        tensors |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
    return [tensors[id(output)] for output in model.outputs]


def _appended(operation: Any, arguments: Sequence[Any], options: dict[str, Any], *, is_last: bool) -> Any:
    """What a copy of a layer, or of the layers of a model, returns."""
    functional = graph_or_none(operation)
    if functional is not None:
        outputs = _replayed(functional, keras.tree.flatten(arguments), is_last=is_last)
        return outputs[0] if len(outputs) == 1 else outputs
    if isinstance(operation, keras.Sequential):  # one without an input
        (x,) = arguments
        for layer in operation.layers:
            x = _appended(layer, (x,), {}, is_last=is_last and layer is operation.layers[-1])
        return x
    if isinstance(operation, keras.Model) or not isinstance(operation, keras.Layer):
        return operation(*arguments, **options)
    copy = _copy(operation, is_last=is_last)
    outputs = copy(*arguments, **options)
    if operation.weights and not in_stateless_scope():
        copy_weights(copy, operation)
    return outputs


def _copy(layer: Any, *, is_last: bool) -> Any:
    """A layer with the same settings, also whether it is trainable.

    Raises:
        ConfigError: if a layer of a user's own cannot be made again.
    """
    try:
        changes = {"name": f"own_{layer.name}"} if layer.name in OUR_LAYERS else {}
        changes |= {"dtype": "float32"} if is_last else {}
        copy = type(layer).from_config({**layer.get_config(), **changes})
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the layer {layer.name} ({type(layer).__name__}) cannot be copied: {' '.join(str(error).split())}; valid: "
            "**options for Layer.__init__, and a get_config() that returns all arguments"
        ) from error
    copy.trainable = layer.trainable
    return copy
