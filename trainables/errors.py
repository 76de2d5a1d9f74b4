"""The errors that a caller of trainables may catch, and the words for a name that does not exist."""

import difflib
from collections.abc import Iterable, Sequence


class DataError(ValueError):
    """A data set is missing or damaged, or does not have the size that was requested."""


class ConfigError(ValueError):
    """A configuration has an unknown key, or a value outside its domain."""


class WeightsError(ValueError):
    """Weights were not found, or do not fit the model."""


def near_miss(name: str, names: Iterable[str]) -> str:
    """A question with the most similar name, such as "did you mean 'adam'? "; empty if no name is similar."""
    matches = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {matches[0]!r}? " if matches else ""


def unknown_layer(key: str, name: str, network: str, layers: Sequence[str], others: str) -> str:
    """The error message for a key that names no layer of a network, with similar names and all valid values."""
    matches = difflib.get_close_matches(name, layers, n=5) or layers[-5:]
    valid = f"{others}, or one of the {len(layers)} layers from {layers[0]} to {layers[-1]}"
    return f"{key}={name!r} is not a layer of {network}; similar: {', '.join(matches)}; valid: {valid}"
