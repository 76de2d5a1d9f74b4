"""The part of a model that training neither changes nor draws anything in: it gives an image the same features always.

It is found in the model itself, so every family has it that holds frozen layers, whatever they are.
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

_WORTH: Final = 400
"""Operations a number from which on reading it back is faster than computing it again."""

_AUGMENTATIONS: Final = (
    keras.layers.RandomFlip,
    keras.layers.RandomTranslation,
    keras.layers.RandomRotation,
    keras.layers.RandomZoom,
    keras.layers.RandomContrast,
)
_NAMED: Final = frozenset({"name", "build_config"})


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A model cut in two: `base`, images in and features out, and `head`, features in and probabilities out.

    Both hold the layers of the model itself, not copies.
    """

    base: keras.Model
    head: keras.Model

    @property
    def shape(self) -> tuple[int, ...]:
        """That of one image's features."""
        return tuple(self.base.output.shape[1:])

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of what features depend on besides the image: layers, their settings, their weights."""
        found = hashlib.sha256(json.dumps(list(_settings(self.base)), sort_keys=True, default=str).encode())
        for weight in self.base.weights:
            found.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return found.hexdigest()[:32]


def frozen(model: keras.Model, *, augmented: bool = False) -> Frozen | None:
    """Cuts a functional model where its frozen part ends; None where it has none, or none that is worth keeping.

    What has no variables, or is not trainable, is frozen if all before it is; a layer that draws random numbers never
    is, but for those that augment images, if `augmented` says that each image is seen in a few ways alone. The cut is
    one tensor: where several lead from the frozen part on, there is none. Dropout of rate 0 at its end is the head's:
    heads of other rates share the features.
    """
    cut = _cut(model, augmented=augmented)
    while cut is not None and isinstance(operation := cut._keras_history.operation, keras.layers.Dropout):
        cut = operation.input
    if cut is None:
        return None
    base = keras.Model(model.inputs, cut)
    numbers = math.prod(cut.shape[1:])
    if sum(flops(layer) for layer in base.layers) < _WORTH * numbers:
        return None
    return Frozen(base=base, head=keras.Model(cut, model.outputs[0]))


def nodes(model: keras.Model) -> Iterator[Any]:
    """The calls of layers that make up a model, each after those that it needs."""
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def _cut(model: keras.Model, *, augmented: bool) -> Any:
    fixed = {id(tensor): tensor for tensor in model.inputs}
    leading: dict[int, Any] = {}
    for node in nodes(model):
        if node.is_input:
            continue
        inputs = {id(tensor): tensor for tensor in node.input_tensors}
        if inputs.keys() <= fixed.keys() and _still(node.operation, augmented=augmented):
            fixed |= {id(tensor): tensor for tensor in node.outputs}
        else:
            leading |= {key: tensor for key, tensor in inputs.items() if key in fixed}
    leading |= {id(tensor): tensor for tensor in model.outputs if id(tensor) in fixed}
    (only,) = leading.values() if len(leading) == 1 else (None,)
    return None if only is None or any(only is tensor for tensor in model.inputs) else only


def _still(operation: Any, *, augmented: bool) -> bool:
    """Whether an operation gives equal outputs for equal inputs all through a training."""
    if augmented and isinstance(operation, _AUGMENTATIONS):
        return True
    variables = getattr(operation, "variables", [])
    if any(variable.path.endswith("seed_generator_state") for variable in variables):
        return False
    if getattr(operation, "by_batch", False):
        return False
    return not variables or not operation.trainable


def _settings(model: keras.Model) -> Iterator[Any]:
    """Each layer's kind, settings and inputs, without names: those count up in a process."""
    place: dict[int, int] = {}
    for node in nodes(model):
        for tensor in node.outputs:
            place[id(tensor)] = len(place)
        operation = node.operation
        own = {key: value for key, value in operation.get_config().items() if key not in _NAMED}
        inputs = [place[id(tensor)] for tensor in node.input_tensors]
        yield type(operation).__name__, own, inputs, repr(node.arguments.fill_in(place))
