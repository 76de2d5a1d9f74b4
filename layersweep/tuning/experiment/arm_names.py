"""Names of arms: they say what varies in the sweep, so that every command of a sweep gives an arm the same name.

A study may show a shorter name; the records keep the whole one, since a shorter one may be another arm's tomorrow.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from layersweep.tuning.common.errors import UsageError
from search_spaces.ranges import Range, Space
from trainables.config import Value

FAMILY: Final = "family"
"""The key of a space that names the families to train, if they are not the sweep's own."""

ORACLE: Final = "oracle"
"""The key of a tuned space that names the AutoKeras oracles that search it."""

_LONGEST: Final = 40
"""The most characters of a JSON object that a name shows."""

_LAYER_KEY: Final = re.compile(r"(\w+)_(\d+)")
"""A key of one layer, such as `activation_1`."""


def choices(key: str, values: Sequence[Value] | Range) -> list[Value]:
    """The values of a key as a list.

    Raises:
        UsageError: for a Range, or a value that is no list.
    """
    if isinstance(values, Range):
        raise UsageError(f"{key} is a Range, which a grid cannot list: give its values with --set {key}=a,b,c")
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"{key}={values!r} is no list of choices: write [{values!r}]")
    return list(values)


def names(
    spaces: Sequence[Space], values: Sequence[Mapping[str, Value]], *, sweep_spaces: Sequence[Space] | None = None
) -> list[str]:
    """A name for each arm: its family if that alone tells arms apart, else what varies, or all values if necessary.

    Args:
        spaces: the spaces of the arms.
        values: each arm's values.
        sweep_spaces: the spaces of the sweep itself, if a command has narrowed them. A key that varies there is in an
            arm's name even if the command leaves one value of it. If only one key varies there, the name is its value.

    Raises:
        UsageError: for a key of a space that is no list of choices.
    """
    sweep_spaces = spaces if sweep_spaces is None else sweep_spaces
    families = [str(arm.get(FAMILY)) for arm in values]
    one_arm_a_family = _has_one_arm_a_family(sweep_spaces) and all(FAMILY in arm for arm in values)
    if one_arm_a_family and len(set(families)) == len(values):
        return families
    sweep_keys = _with_all_layers(_varying_keys(sweep_spaces), sweep_spaces)
    varying_keys = sweep_keys | _with_all_layers(_varying_keys(spaces), spaces)
    short_names = [_name({k: v for k, v in arm.items() if k in varying_keys}, sweep_keys) for arm in values]
    return short_names if len(set(short_names)) == len(short_names) else [_full_name(arm) for arm in values]


def _options(key: str, values: Sequence[Value] | Range) -> list[Any]:
    """The choices of a key; for a Range its bounds."""
    return [values.low, values.high] if isinstance(values, Range) else choices(key, values)


def _has_one_arm_a_family(spaces: Sequence[Space]) -> bool:
    arms_by_family: Counter[str] = Counter()
    for space in spaces:
        combinations = math.prod(len(_options(key, values)) for key, values in space.items() if key != FAMILY)
        for family in _options(FAMILY, space.get(FAMILY, [])):
            arms_by_family[str(family)] += combinations
    return all(FAMILY in space for space in spaces) and all(arms == 1 for arms in arms_by_family.values())


def _varying_keys(spaces: Sequence[Space]) -> set[str]:
    """The keys whose values differ between arms."""
    keys = {key for space in spaces for key in space}
    return {k for k in keys if len({json.dumps(_options(k, s[k])) if k in s else "" for s in spaces}) > 1} | {
        k for space in spaces for k in space if len(_options(k, space[k])) > 1
    }


def _with_all_layers(keys: set[str], spaces: Sequence[Space]) -> set[str]:
    """The keys, and for the key of a layer those of all other layers that a space has."""
    stems = {match[1] for key in keys if (match := _LAYER_KEY.fullmatch(key))}
    space_keys = {key for space in spaces for key in space}
    return keys | {key for key in space_keys if (match := _LAYER_KEY.fullmatch(key)) and match[1] in stems}


def _name(values: Mapping[str, Value], sweep_keys: Collection[str]) -> str:
    """The value alone if one key varies, and does so in the sweep itself; all keys with their values otherwise.

    A key of all layers from the first on counts as one, with the values in the layers' order: `selu-relu-relu-relu`.
    """
    parts: dict[str, Value] = {}
    for key, value in values.items():
        if layers := _layers_of(key, values):
            parts[layers[0].removesuffix("_1")] = "-".join(str(values[layer]) for layer in layers)
        else:
            parts[key] = value
    if len(parts) == 1 and set(values) <= set(sweep_keys):
        return _short_text(next(iter(parts.values())))
    return _full_name(parts)


def _layers_of(key: str, keys: Collection[str]) -> list[str]:
    """All keys of the same stem, `stem_1` to `stem_n` in order; none if the key has no number, or one is missing."""
    match = _LAYER_KEY.fullmatch(key)
    if match is None:
        return []
    keys_by_number = {int(m[2]): k for k in keys if (m := _LAYER_KEY.fullmatch(k)) and m[1] == match[1]}
    numbers = sorted(keys_by_number)
    is_complete = len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))
    return [keys_by_number[number] for number in numbers] if is_complete else []


def _full_name(values: Mapping[str, Value]) -> str:
    words = (str(value) if key == FAMILY else f"{key}={_short_text(value)}" for key, value in values.items())
    return " ".join(words) or "default"


def _short_text(value: Value) -> str:
    """A value as text; for a long JSON object, such as the choices of a searched network, a digest."""
    text = str(value)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text.startswith("{") and len(text) > _LONGEST else text
