"""The errors that a caller of trainables may catch, and what they say of a name that there is not."""

import difflib
from collections.abc import Iterable, Sequence


class DataError(ValueError):
    """A data set that is missing, damaged or asked for in a size that it does not have."""


class ConfigError(ValueError):
    """A configuration with an unknown key or a value outside its domain."""


class WeightsError(ValueError):
    """Weights that were not found, or do not fit the model that they are for."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """The name that may have been meant, as the beginning of a sentence; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def unknown_layer(key: str, name: str, network: str, layers: Sequence[str], others: str) -> str:
    """Says that a key names no layer of a network, which ones are near, and which other values it may have."""
    near = difflib.get_close_matches(name, layers, n=5) or layers[-5:]
    valid = f"{others}, or one of {len(layers)} from {layers[0]} to {layers[-1]}"
    return f"{key}={name!r} is no layer of {network}; near it: {', '.join(near)}; valid: {valid}"
