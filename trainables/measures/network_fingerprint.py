"""A fingerprint of a network: what it computes, without the names of its layers and the versions of packages."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import keras

from layersweep.records.values import Layer, structure_fingerprint
from trainables.references import class_code, is_installed

_LEFT_OUT: Final = frozenset({"name", "module", "registered_name", "dtype", "seed", "build_config", "keras_version"})
"""Entries of a Keras configuration that differ between equal networks: names, versions, precision, random seeds."""
_LINKS: Final = frozenset({"inbound_nodes", "input_layers", "output_layers"})
"""Entries that name layers; there, a name is replaced by the place of its layer."""


def network_fingerprint(model: keras.Model, layers: Iterable[Layer]) -> str | None:
    """32 hexadecimal digits: 16 of the layers' kinds, shapes and parameters, then 16 of the Keras configuration.

    A new version of Keras may add entries to a configuration, so only the first 16 can be compared between versions.
    The code of layers and functions that are neither Keras' nor ours is part of the configuration. None for a network
    with a layer that has no configuration.
    """
    try:
        config = model.get_config()
    except NotImplementedError:  # what Keras raises for a layer with arguments and without `get_config`
        return None
    places = {name: f"layer {i}" for i, name in enumerate(_names(config))}
    text = json.dumps(_cleaned(config, places, is_link=False), sort_keys=True, default=str)
    kinds = {*map(type, model._flatten_layers()), *_registered(config)}
    text += "".join(sorted(class_code(kind) for kind in kinds if not is_installed(kind)))
    structure = structure_fingerprint((layer.kind, layer.output_shape, layer.parameters) for layer in layers)
    return structure + hashlib.sha256(text.encode()).hexdigest()[:16]


def _registered(value: Any) -> Iterator[Any]:
    """The functions and classes of users that a configuration names, such as an activation or a regularizer."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _registered(item)
    own = keras.saving.get_registered_object(value) if isinstance(value, str) and ">" in value else None
    if own is not None:
        yield own


def _names(value: Any) -> list[str]:
    """The names of all layers, in their order."""
    if isinstance(value, dict):
        own = [value["name"]] if "class_name" in value and isinstance(value.get("name"), str) else []
        return [*own, *(name for item in value.values() for name in _names(item))]
    return [name for item in value for name in _names(item)] if isinstance(value, list | tuple) else []


def _cleaned(value: Any, places: dict[str, str], *, is_link: bool) -> Any:
    if isinstance(value, dict):
        entries = {key: item for key, item in value.items() if key not in _LEFT_OUT}
        return {key: _cleaned(item, places, is_link=is_link or key in _LINKS) for key, item in entries.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item, places, is_link=is_link) for item in value]
    return places.get(value, value) if is_link and isinstance(value, str) else value
