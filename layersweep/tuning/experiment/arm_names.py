"""Names of arms: they say what varies in the sweep, and what a command changes of the sweep's defaults.

So two arms have different names, in whichever commands of a sweep they are, and an arm keeps its name. A study may show
a shorter name; the records keep the whole one, since a shorter one may be another arm's tomorrow.
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
from trainables.config import Dataclass, Value, make
from trainables.errors import ConfigError

FAMILY: Final = "family"
"""The key of a space that names the families to train, if they are not the sweep's own."""

ORACLE: Final = "oracle"
"""The key of a tuned space that names the AutoKeras oracles that search it."""

NOTHING: Final = "default"
"""The name of an arm that nothing sets apart."""

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
    spaces: Sequence[Space],
    values: Sequence[Mapping[str, Value]],
    *,
    changes: Sequence[Mapping[str, Value]] | None = None,
) -> list[str]:
    """A name for each arm: what varies in the sweep, then what a command changes: `sgd learning_rate=0.05`.

    If several arms would have the same name, each has all its values in its name.

    Args:
        spaces: the spaces of the sweep. If only one key varies there, its value alone stands in the name.
        values: each arm's values of the keys of its space.
        changes: each arm's values that its space does not give it.

    Raises:
        UsageError: for a key of a space that is no list of choices.
    """
    changes = changes or [{} for _ in values]
    keys = name_keys(spaces)
    arms = [*zip(values, changes, strict=True)]
    short_names = [_name({k: v for k, v in arm.items() if k in keys}, changed) for arm, changed in arms]
    if len(set(short_names)) == len(short_names):
        return short_names
    return [_key_values({**arm, **changed}) or NOTHING for arm, changed in arms]


def name_keys(spaces: Sequence[Space]) -> set[str]:
    """The keys of the spaces whose values are in the names of arms: those that vary, or only the family if it suffices.

    Raises:
        UsageError: for a key that is no list of choices.
    """
    return {FAMILY} if _has_one_arm_a_family(spaces) else _with_all_layers(_varying_keys(spaces), spaces)


def changed_values(
    config_type: type[Dataclass], values: Mapping[str, Value], keys: Collection[str]
) -> dict[str, Value]:
    """The values of these keys that are not the defaults of a configuration that has the other values.

    So `learning_rate=0.01` changes nothing beside `optimizer=sgd`, whose default it is. If the other values alone are
    not valid, the key changes them.
    """

    def is_default(key: str, value: Value) -> bool:
        try:
            config = make(config_type, {k: v for k, v in values.items() if k != key})
        except ConfigError:
            return False
        return bool(getattr(config, key) == value)

    return {key: value for key, value in values.items() if key in keys and not is_default(key, value)}


def with_changes(name: str, changes: Mapping[str, Value]) -> str:
    """A name with the values that a command changes: `sgd learning_rate=0.05`."""
    return " ".join(filter(None, (name, _key_values(_with_joined_layers(changes)))))


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


def _name(values: Mapping[str, Value], changes: Mapping[str, Value]) -> str:
    """The value alone if one key varies, otherwise all keys with their values; then the changes."""
    parts = _with_joined_layers(values)
    name = _short_text(next(iter(parts.values()))) if len(parts) == 1 else _key_values(parts)
    return with_changes(name, changes) or NOTHING


def _with_joined_layers(values: Mapping[str, Value]) -> dict[str, Value]:
    """The values; a key of all layers from the first on is one, with its values in the layers' order: `selu-relu`."""
    parts: dict[str, Value] = {}
    for key, value in values.items():
        if layers := _layers_of(key, values):
            parts[layers[0].removesuffix("_1")] = "-".join(str(values[layer]) for layer in layers)
        else:
            parts[key] = value
    return parts


def _layers_of(key: str, keys: Collection[str]) -> list[str]:
    """All keys of the same stem, `stem_1` to `stem_n` in order; none if the key has no number, or one is missing."""
    match = _LAYER_KEY.fullmatch(key)
    if match is None:
        return []
    keys_by_number = {int(m[2]): k for k in keys if (m := _LAYER_KEY.fullmatch(k)) and m[1] == match[1]}
    numbers = sorted(keys_by_number)
    is_complete = len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))
    return [keys_by_number[number] for number in numbers] if is_complete else []


def _key_values(values: Mapping[str, Value]) -> str:
    return " ".join(str(value) if key == FAMILY else f"{key}={_short_text(value)}" for key, value in values.items())


def _short_text(value: Value) -> str:
    """A value as text; for a long JSON object, such as the choices of a searched network, a digest."""
    text = str(value)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text.startswith("{") and len(text) > _LONGEST else text
