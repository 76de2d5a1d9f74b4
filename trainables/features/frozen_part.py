"""Finds the frozen part of a model: training does not change it, so its features of an image are always the same.

It is found in the model's graph, so it works for every family with frozen layers.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np

from trainables.layers.layer_costs import flops

_MINIMUM_FLOPS_PER_NUMBER: Final = 400
"""Operations per number of a feature from which reading the stored feature is faster than computing it again."""

_AUGMENTATIONS: Final = (
    keras.layers.RandomFlip,
    keras.layers.RandomTranslation,
    keras.layers.RandomRotation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
)
_NAME_SETTINGS: Final = frozenset({"name", "build_config"})


@dataclass(frozen=True, kw_only=True)
class SplitModel:
    """A model in two parts: `base` takes images and returns features; `head` takes features, returns probabilities.

    Both use the layers of the model itself, not copies.
    """

    base: keras.Model
    head: keras.Model

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's features."""
        return tuple(self.base.output.shape[1:])

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of all that features depend on besides the image: layers, settings, weights."""
        digest = hashlib.sha256(json.dumps(list(_settings(self.base)), sort_keys=True, default=str).encode())
        for weight in self.base.weights:
            digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return digest.hexdigest()[:32]


def split_model(model: keras.Model, *, augmented: bool = False) -> SplitModel | None:
    """Splits a functional model where its frozen part ends; None if it has none, or one that is not worth storing.

    A layer is frozen if all layers before it are, and it has no variables or is not trainable. A layer that draws
    random numbers is not frozen, except for layers that augment images if `augmented` is set: then each image has a
    few fixed views. The boundary is one tensor; if several tensors leave the frozen part, the result is None. A dropout
    layer of rate 0 at its end belongs to the head, so that heads with and without dropout share the features.
    """
    boundary = _boundary(model, augmented=augmented)
    while boundary is not None and isinstance(operation := boundary._keras_history.operation, keras.layers.Dropout):
        boundary = operation.input
    if boundary is None:
        return None
    base = keras.Model(model.inputs, boundary)
    numbers = math.prod(boundary.shape[1:])
    if sum(flops(layer) for layer in base.layers) < _MINIMUM_FLOPS_PER_NUMBER * numbers:
        return None
    return SplitModel(base=base, head=keras.Model(boundary, model.outputs[0]))


def nodes(model: keras.Model) -> Iterator[Any]:
    """The layer calls of a model, each after the calls whose outputs it needs."""
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def _boundary(model: keras.Model, *, augmented: bool) -> Any:
    constants = {id(tensor): tensor for tensor in model.inputs}
    boundary_tensors: dict[int, Any] = {}
    for node in nodes(model):
        if node.is_input:
            continue
        inputs = {id(tensor): tensor for tensor in node.input_tensors}
        if inputs.keys() <= constants.keys() and _is_constant(node.operation, augmented=augmented):
            constants |= {id(tensor): tensor for tensor in node.outputs}
        else:
            boundary_tensors |= {key: tensor for key, tensor in inputs.items() if key in constants}
    boundary_tensors |= {id(tensor): tensor for tensor in model.outputs if id(tensor) in constants}
    (boundary,) = boundary_tensors.values() if len(boundary_tensors) == 1 else (None,)
    return None if boundary is None or any(boundary is tensor for tensor in model.inputs) else boundary


def _is_constant(operation: Any, *, augmented: bool) -> bool:
    """Whether an operation gives equal outputs for equal inputs during a whole training."""
    if augmented and isinstance(operation, _AUGMENTATIONS):
        return True
    variables = getattr(operation, "variables", [])
    if any(variable.path.endswith("seed_generator_state") for variable in variables):
        return False
    if getattr(operation, "by_batch", False):
        return False
    return not variables or not operation.trainable


def _settings(model: keras.Model) -> Iterator[Any]:
    """Each layer's type, settings and inputs, without names: Keras numbers these through a process."""
    places: dict[int, int] = {}
    for node in nodes(model):
        for tensor in node.outputs:
            places[id(tensor)] = len(places)
        operation = node.operation
        settings = {key: value for key, value in operation.get_config().items() if key not in _NAME_SETTINGS}
        inputs = [places[id(tensor)] for tensor in node.input_tensors]
        yield type(operation).__name__, settings, inputs, repr(node.arguments.fill_in(places))
