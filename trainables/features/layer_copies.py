"""Takes networks apart: without models within models, and the layers between two tensors, applied to another one."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras

from trainables.features.frozen_part import nodes
from trainables.layers.weight_copies import copy_weights


class LayerCopy(NamedTuple):
    """A layer, and its copy."""

    layer: keras.Layer
    copy: keras.Layer


def flat(model: keras.Model) -> keras.Model:
    """The network with the layers of each model within it in that model's place; it has the same layers and weights.

    A layer whose name an earlier one has is copied, and has the name of its model before its own.

    Raises:
        ValueError: if a model within it has no fixed graph, as a subclass of `keras.Model` may.
    """
    model = graph(model)
    if not any(isinstance(node.operation, keras.Model) for node in nodes(model)):
        return model
    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in model.inputs]
    outputs = _apply(model, inputs, {})
    return keras.Model(*(t[0] if len(t) == 1 else t for t in (inputs, outputs)), name=model.name)


def graph(model: keras.Model) -> keras.Model:
    """The functional model that a Sequential model holds, or the functional model itself.

    Raises:
        ValueError: if it has no fixed graph.
    """
    functional = graph_or_none(model)
    if functional is None:
        raise ValueError(f"{model.name} holds no network that can be cut; valid: a functional or Sequential model")
    return functional


def graph_or_none(layer: Any) -> keras.Model | None:
    """The graph of a Sequential or functional model; None for a layer, and for a model that has none."""
    functional = getattr(layer, "_functional", None) or layer
    return functional if hasattr(functional, "_nodes_by_depth") else None


def _apply(model: keras.Model, inputs: Sequence[Any], operations: dict[str, tuple[Any, Any]]) -> list[Any]:
    """Applies a network to other tensors; `operations` has those that are applied, each with the one it stands for."""
    tensors = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}
    for node in nodes(model):
        if node.is_input:
            continue
        arguments, options = node.arguments.fill_in(tensors)
        operation = node.operation
        if isinstance(operation, keras.Model):
            tensors_of_call = arguments or options.get("inputs")
            outputs = _apply(graph(operation), keras.tree.flatten(tensors_of_call), operations)
        else:
            outputs = keras.tree.flatten(_call(operation, model.name, operations, arguments, options))
        tensors |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
    return [tensors[id(tensor)] for tensor in model.outputs]


def _call(
    operation: Any, prefix: str, operations: dict[str, tuple[Any, Any]], arguments: Any, options: dict[str, Any]
) -> Any:
    name = operation.name
    while name in operations and operations[name][1] is not operation:
        name = f"{prefix}_{name}"
    if name not in operations:
        is_free = name == operation.name
        copy = operation if is_free else type(operation).from_config({**operation.get_config(), "name": name})
        operations[name] = copy, operation
    copy, _ = operations[name]
    outputs = copy(*arguments, **options)
    if copy is not operation and isinstance(operation, keras.Layer):
        copy_weights(copy, operation)
    return outputs


def layers_of(model: keras.Model) -> list[keras.Layer]:
    """The layers of a flat network in the order of their calls, each once."""
    layers = (node.operation for node in nodes(model) if isinstance(node.operation, keras.Layer))
    return list({id(layer): layer for layer in layers}.values())


def calls_between(source: keras.Model, begin: Any, end: Any) -> list[Any] | None:
    """The layer calls by which `begin` becomes `end`, in their order; None if `end` depends on more than `begin`."""
    calls: list[Any] = []
    reachable = {id(begin)}
    for node in nodes(source):
        if id(end) in reachable:
            break
        if not node.is_input and reachable.issuperset(map(id, node.input_tensors)):
            calls.append(node)
            reachable |= set(map(id, node.outputs))
    return calls if id(end) in reachable else None


def copy_calls(
    calls: Sequence[Any], begin: Any, end: Any, x: Any, copy_layer: Callable[[keras.Layer], keras.Layer]
) -> tuple[list[LayerCopy], Any]:
    """Applies copies of the called layers to `x` in place of `begin`; a layer that is called twice has one copy.

    Returns:
        The layers with their copies, in their order, and what corresponds to `end`.
    """
    copies: dict[int, LayerCopy] = {}
    tensors = {id(begin): x}
    for node in calls:
        operation = node.operation
        if isinstance(operation, keras.Layer):
            if id(operation) not in copies:
                copies[id(operation)] = LayerCopy(operation, copy_layer(operation))
            operation = copies[id(operation)].copy
        arguments, options = node.arguments.fill_in(tensors)
        outputs = keras.tree.flatten(operation(*arguments, **options))
        tensors |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
    return [*copies.values()], tensors[id(end)]
