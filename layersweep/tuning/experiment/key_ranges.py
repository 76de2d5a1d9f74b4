"""Ranges of a key's numbers, which a search draws from: `--set learning_rate=1e-5..1e-1`."""

import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from layersweep.formatting import is_number
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.config import Between, Dataclass, Domain, Value
from trainables.errors import ConfigError

Choices = Sequence[Value] | Range
"""What a search chooses a key's value from."""

_DOTS: Final = ".."
"""Between the bounds of a range."""

_LOG: Final = ":log"
"""At the end of a range: it is logarithmic, whatever the key's own scale."""

_DRAWS: Final = 200
"""Draws of a space that show which of its keys do anything."""


def is_range(text: str, key_domains: Sequence[Domain] = ()) -> bool:
    """Whether a value on the command line is two numbers with two dots between them, or a slip of that.

    Two dots are a slip if every domain of the key has numbers only.
    """
    has_numbers = bool(key_domains) and all(isinstance(domain, Between) for domain in key_domains)
    return bool(_bounds(text)) or (has_numbers and _DOTS in text)


def parse_range(config_type: type[Dataclass], key: str, text: str) -> Range:
    """Reads `LOW..HIGH` as a range of a key: on the key's own scale, and with its step.

    Raises:
        ConfigError: if the key has no numbers, or the range has none of them.
    """
    domain, place = domains.domain(config_type, key), f"{key}={text}"
    if not isinstance(domain, Between):
        raise ConfigError(f"{place} is a range, but {key} has no range of numbers; valid: {domain}")
    bounds = _bounds(text)
    if len(bounds) != 1:
        example = "two numbers with two dots between them, such as 0.1..0.5"
        readings = " or ".join(f"{float(low):g}{_DOTS}{float(high):g}" for low, high in bounds)
        raise ConfigError(f"{place} is not valid; valid: {readings or example}")
    low, high = (_number(config_type, key, bound) for bound in bounds[0])
    if not low < high:
        raise ConfigError(f"{place} is not valid; valid: the smaller number first, such as {key}={high!r}..{low!r}")
    is_log = domain.scale == "log" and low > 0
    if text.rstrip().endswith(_LOG):
        if low <= 0:
            raise ConfigError(f"{place} is not valid; valid: a logarithmic range of numbers above 0")
        is_log = True
    return Range(low, high, log=is_log) if domain.step is None else _stepped(domain, low, high, place)


def _bounds(text: str) -> list[tuple[str, str]]:
    """The two numbers of a range, in each way to read it: `0...5` is 0 to .5, or 0. to 5."""
    text = text.strip().removesuffix(_LOG)
    places = [place for place in range(len(text)) if text.startswith(_DOTS, place)]
    pairs = [(text[:place].strip(), text[place + len(_DOTS) :].strip()) for place in places]
    return [pair for pair in pairs if all(map(is_number, pair))]


def _number(config_type: type[Dataclass], key: str, text: str) -> float:
    value = domains.parse(config_type, key, text)
    assert isinstance(value, int | float)
    return value


def _stepped(domain: Between, low: float, high: float, place: str) -> Range:
    """The numbers between the bounds that the steps of the key's domain lead to."""
    assert domain.step is not None
    is_log = domain.scale == "log"
    first = domain.low if not is_log or domain.low > 0 else 1.0
    numbers = [n for n in Range(first, domain.high, log=is_log, step=domain.step).numbers if low <= n <= high]
    if len(numbers) < 2:  # noqa: PLR2004 (one number is no range)
        steps = ", ".join(f"{n:g}" for n in Range(first, domain.high, log=is_log, step=domain.step).numbers[:4])
        raise ConfigError(f"{place} is not valid; valid: a range with two or more of {steps} and so on")
    kind = type(low)
    return Range(kind(numbers[0]), kind(numbers[-1]), log=is_log, step=domain.step)


def range_text(config_type: type[Dataclass], key: str, numbers: Range) -> str:
    """A range as the command line has it: `1e-05..0.1`."""
    domain = domains.domain(config_type, key)
    is_plain = not numbers.log or (isinstance(domain, Between) and domain.scale == "log")
    return f"{numbers}{'' if is_plain else _LOG}"


def values_text(values: Choices) -> str:
    """The values of a key as the command line has them."""
    return str(values) if isinstance(values, Range) else ",".join(map(str, values))


def arm_text(arm: Mapping[str, Value | Range]) -> str:
    """An arm as the command line has it."""
    return ",".join(f"{key}={value}" for key, value in arm.items())


def listed(kind: type, numbers: Range) -> Choices:
    """A range with a step as the list of its numbers; any other range as it is."""
    if numbers.step is None:
        return numbers
    return [*dict.fromkeys(round(n) if kind is int else float(f"{n:.12g}") for n in numbers.numbers)]


def idle_keys(
    config_type: type[Dataclass], values: Mapping[str, Value], space: Mapping[str, Choices], keys: Collection[str]
) -> frozenset[str]:
    """Those of these keys that do nothing in any configuration of a space, beside these values."""
    idle = frozenset(keys)
    for draw in _draws(space):
        idle &= domains.inactive_keys(config_type, {**values, **draw})
    return idle


def _draws(space: Mapping[str, Choices]) -> Iterator[dict[str, Value]]:
    """Some configurations of a space; one if nothing varies."""
    draws = random.Random(0)  # noqa: S311 (no secret)
    for _ in range(_DRAWS if space else 1):
        yield {key: _draw(values, draws.random()) for key, values in space.items()}


def _draw(values: Choices, share: float) -> Value:
    if not isinstance(values, Range):
        return values[int(share * len(values))]
    if isinstance(values.low, int) and isinstance(values.high, int):
        return math.floor(values.low + share * (values.high + 1 - values.low))
    return values.low + share * (values.high - values.low)
