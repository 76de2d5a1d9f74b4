"""What arms are called: by what varies in their sweep, so that every command of a sweep gives an arm the same name."""

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
"""The key of a space that names the families to train, where they are not the sweep's own."""

ORACLE: Final = "oracle"
"""The key of a tuned space that is searched by AutoKeras' oracles, and names them."""

_LONGEST: Final = 40
"""Characters of a JSON object that a name shows whole."""

_NUMBERED: Final = re.compile(r"(\w+)_(\d+)")
"""A key of one layer: `activation_1`."""


def choices(key: str, values: Sequence[Value] | Range) -> list[Value]:
    """The values of a key as a list.

    Raises:
        UsageError: for a Range, or what is no list.
    """
    if isinstance(values, Range):
        raise UsageError(f"{key} is a Range, which a grid cannot list: give its values with --set {key}=a,b,c")
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise UsageError(f"{key}={values!r} is no list of choices: write [{values!r}]")
    return list(values)


def names(
    spaces: Sequence[Space], values: Sequence[Mapping[str, Value]], *, own: Sequence[Space] | None = None
) -> list[str]:
    """A name for each arm: its family where that alone tells arms apart, else what varies, all values if need be.

    Args:
        spaces: the spaces that the arms are of.
        values: each arm's values.
        own: the spaces as they stand in the sweep, where a command has narrowed them. What varies there names an arm
            also where the command leaves one value of it; the one key that varies there is left out of a name.

    Raises:
        UsageError: for a key of a space that is no list of choices.
    """
    own = spaces if own is None else own
    of_one_family = [str(arm.get(FAMILY)) for arm in values]
    if _one_arm_a_family(own) and all(FAMILY in arm for arm in values) and len(set(of_one_family)) == len(values):
        return of_one_family
    standing = _with_their_layers(_varied(own), own)
    varied = standing | _with_their_layers(_varied(spaces), spaces)
    short = [_name({k: v for k, v in arm.items() if k in varied}, standing) for arm in values]
    return short if len(set(short)) == len(short) else [_full_name(arm) for arm in values]


def _options(key: str, values: Sequence[Value] | Range) -> list[Any]:
    """The choices of a key; of a Range its bounds."""
    return [values.low, values.high] if isinstance(values, Range) else choices(key, values)


def _one_arm_a_family(spaces: Sequence[Space]) -> bool:
    arms: Counter[str] = Counter()
    for space in spaces:
        others = math.prod(len(_options(key, values)) for key, values in space.items() if key != FAMILY)
        for family in _options(FAMILY, space.get(FAMILY, [])):
            arms[str(family)] += others
    return all(FAMILY in space for space in spaces) and all(number == 1 for number in arms.values())


def _varied(spaces: Sequence[Space]) -> set[str]:
    """The keys whose value differs between arms."""
    keys = {key for space in spaces for key in space}
    return {k for k in keys if len({json.dumps(_options(k, s[k])) if k in s else "" for s in spaces}) > 1} | {
        k for space in spaces for k in space if len(_options(k, space[k])) > 1
    }


def _with_their_layers(varied: set[str], spaces: Sequence[Space]) -> set[str]:
    """The keys that vary, and where one of a layer does, those of the other layers that a space states as well."""
    stems = {match[1] for key in varied if (match := _NUMBERED.fullmatch(key))}
    stated = {key for space in spaces for key in space}
    return varied | {key for key in stated if (match := _NUMBERED.fullmatch(key)) and match[1] in stems}


def _name(varied: Mapping[str, Value], standing: Collection[str]) -> str:
    """The value alone if one key varies, and does so in the sweep itself; all keys with their values otherwise.

    Keys of all layers from the first on count as one, the values in the order of the layers: `selu-relu-relu-relu`.
    """
    joined: dict[str, Value] = {}
    for key, value in varied.items():
        layers = _layers_of(key, varied)
        joined[layers[0].removesuffix("_1") if layers else key] = (
            "-".join(str(varied[layer]) for layer in layers) if layers else value
        )
    if len(joined) == 1 and set(varied) <= set(standing):
        return _in_a_name(next(iter(joined.values())))
    return _full_name(joined)


def _layers_of(key: str, keys: Collection[str]) -> list[str]:
    """The keys of the same stem, `stem_1` to `stem_n` in order; none where it is no such key, or one is missing."""
    match = _NUMBERED.fullmatch(key)
    if match is None:
        return []
    of_stem = {int(m[2]): k for k in keys if (m := _NUMBERED.fullmatch(k)) and m[1] == match[1]}
    whole = len(of_stem) > 1 and sorted(of_stem) == list(range(1, len(of_stem) + 1))
    return [of_stem[number] for number in sorted(of_stem)] if whole else []


def _full_name(values: Mapping[str, Value]) -> str:
    words = (str(value) if key == FAMILY else f"{key}={_in_a_name(value)}" for key, value in values.items())
    return " ".join(words) or "default"


def _in_a_name(value: Value) -> str:
    """A value as text; of a long JSON object, as the choices of a searched network are, a digest."""
    text = str(value)
    return hashlib.sha256(text.encode()).hexdigest()[:8] if text.startswith("{") and len(text) > _LONGEST else text
