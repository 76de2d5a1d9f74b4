"""What arms are called: by what varies in their sweep, so that every command of a sweep gives an arm the same name."""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from search_spaces.ranges import Range, Space
from trainables.config import Value
from tuning.errors import UsageError

FAMILY: Final = "family"
"""The key of a space that names the families to train, where they are not the sweep's own."""

_NOTHING: Final = "default"
"""What an arm is called of which no value is stated."""

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

    It is the value alone where one key varies, and does so in the sweep itself; all keys with their values otherwise.

    Args:
        spaces: the spaces that the arms are of.
        values: each arm's values.
        own: the spaces as they stand in the sweep, where a command has narrowed them. What varies there names an arm
            also where the command leaves one value of it; the one key that varies there is left out of a name. What
            only comes with another key there, and tells nothing more, is no part of a name, unless the command asks
            for several values of it.

    Raises:
        UsageError: for a key of a space that is no list of choices.
    """
    own = spaces if own is None else own
    of_one_family = [str(arm.get(FAMILY)) for arm in values]
    if _one_arm_a_family(own) and all(FAMILY in arm for arm in values) and len(set(of_one_family)) == len(values):
        return of_one_family
    standing = _with_their_layers(_varied(own), own)
    varied = standing | _with_their_layers(_varied(spaces), spaces)
    companions = _companions(own)
    one = len(_joined(dict.fromkeys(standing - companions, ""))) == 1 and varied <= standing
    for keys in (varied - (companions - _asked(spaces)), varied):
        shown = [_joined({k: v for k, v in arm.items() if k in keys}) for arm in values]
        short = [" ".join(map(str, arm.values())) or _NOTHING if one else _full_name(arm) for arm in shown]
        if len(set(short)) == len(short):
            return short
    return [_full_name(arm) for arm in values]


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
    differ = {k for k in keys if len({json.dumps(_options(k, s[k])) if k in s else "" for s in spaces}) > 1}
    return differ | _asked(spaces)


def _asked(spaces: Sequence[Space]) -> set[str]:
    """The keys of which a space lists more than one value."""
    return {key for space in spaces for key, values in space.items() if len(_options(key, values)) > 1}


def _companions(spaces: Sequence[Space]) -> set[str]:
    """The keys that come with others: of one value in each space, and without them no two arms are called alike.

    Of keys that come with each other a word is kept rather than a number, and what is stated first.
    """
    keys = [*dict.fromkeys(key for space in spaces for key in space)]
    varied = _varied(spaces)
    alone = [key for key in reversed(keys) if key in varied - _asked(spaces) - {FAMILY}]
    choices_of = [{k: {json.dumps(v) for v in _options(k, s[k])} if k in s else {""} for k in keys} for s in spaces]

    def told_apart(left: set[str]) -> bool:
        pairs = itertools.combinations(choices_of, 2)
        named = all(not left.isdisjoint(s) for s in spaces if not varied.isdisjoint(s))
        return named and all(any(one[k].isdisjoint(other[k]) for k in left) for one, other in pairs)

    left = set(varied)
    if not told_apart(left):
        return set()
    for key in sorted(
        alone, key=lambda k: any(isinstance(v, str) for s in spaces if k in s for v in _options(k, s[k]))
    ):
        if told_apart(left - {key}):
            left.remove(key)
    return varied - left


def _with_their_layers(varied: set[str], spaces: Sequence[Space]) -> set[str]:
    """The keys that vary, and where one of a layer does, those of the other layers that a space states as well."""
    stems = {match[1] for key in varied if (match := _NUMBERED.fullmatch(key))}
    stated = {key for space in spaces for key in space}
    return varied | {key for key in stated if (match := _NUMBERED.fullmatch(key)) and match[1] in stems}


def _joined(varied: Mapping[str, Value]) -> dict[str, Value]:
    """Keys of all layers from the first on as one, the values in the order of the layers: `selu-relu-relu-relu`."""
    joined: dict[str, Value] = {}
    for key, value in varied.items():
        layers = _layers_of(key, varied)
        joined[layers[0].removesuffix("_1") if layers else key] = (
            "-".join(str(varied[layer]) for layer in layers) if layers else value
        )
    return joined


def _layers_of(key: str, keys: Collection[str]) -> list[str]:
    """The keys of the same stem, `stem_1` to `stem_n` in order; none where it is no such key, or one is missing."""
    match = _NUMBERED.fullmatch(key)
    if match is None:
        return []
    of_stem = {int(m[2]): k for k in keys if (m := _NUMBERED.fullmatch(k)) and m[1] == match[1]}
    whole = len(of_stem) > 1 and sorted(of_stem) == list(range(1, len(of_stem) + 1))
    return [of_stem[number] for number in sorted(of_stem)] if whole else []


def _full_name(values: Mapping[str, Value]) -> str:
    words = (str(value) if key == FAMILY else f"{key}={value}" for key, value in values.items())
    return " ".join(words) or _NOTHING
