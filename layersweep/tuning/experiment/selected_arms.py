"""The arms that `--arm key=value,key=value` gives one by one: they replace the spaces of a sweep."""

import re
from dataclasses import replace
from typing import Any, Final

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_names import FAMILY
from layersweep.tuning.experiment.key_ranges import is_range, parse_range
from layersweep.tuning.experiment.key_values import key_of
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.sweep import Search, Sweep
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.config import Dataclass, Value
from trainables.errors import ConfigError

_NEXT_KEY: Final = re.compile(r",(?=\s*[A-Za-z_]\w*\s*=)")
"""A comma before another key; other commas belong to a value."""


def with_arms(sweep: Sweep, options: Options) -> Sweep:
    """The sweep with the arms of the command line instead of its spaces and tuned spaces; without any, as it is.

    `--quick` sets no key then: its keys belong to the spaces. A search is one over ranges.

    Raises:
        UsageError: for an arm that is not valid, or a key that an arm and `--set` both give.
    """
    if not options.arm:
        return sweep
    arms = [_arm(sweep, text) for text in options.arm]
    set_keys = {key_of(text) for text in options.set}
    if FAMILY in set_keys:
        raise UsageError("--set family= selects from a sweep's own arms; valid with --arm: family= in each arm")
    for text, arm in zip(options.arm, arms, strict=True):
        if both := sorted(arm.keys() & set_keys):
            raise UsageError(f"--arm {text} and --set {both[0]}= give the same key; valid: one of them")
        if arms.count(arm) > 1:
            raise UsageError(f"--arm {text} is there twice; valid: each arm once")
    has_ranges = any(is_range(text.partition("=")[2]) for text in options.set)
    has_ranges |= any(isinstance(value, Range) for arm in arms for value in arm.values())
    search: Search = sweep.search if has_ranges and sweep.search != "oracle" else "grid"
    return replace(
        sweep, arms=arms, tuned=(), search=search, in_turn=False, timed_searches=False, quick=_quick_sizes(sweep)
    )


def _quick_sizes(sweep: Sweep) -> dict[str, Any] | None:
    """What `--quick` says of any arms: not the keys of the spaces, and not the time of a search."""
    left_out = {"set", *(["time_budget"] if sweep.timed_searches else [])}
    return None if sweep.quick is None else {flag: value for flag, value in sweep.quick.items() if flag not in left_out}


def _arm(sweep: Sweep, text: str) -> dict[str, Value | Range]:
    """The values of one `--arm`, and the ranges of keys that are searched.

    Raises:
        UsageError: if the text is not valid.
    """
    texts = _values(text)
    family = texts.get(FAMILY, sweep.family)
    try:
        config_type = sweep.config_of(family)
        values = {key: _value(config_type, key, value) for key, value in texts.items() if key != FAMILY}
    except (ConfigError, UsageError) as error:
        raise UsageError(f"--arm {text}: {error}") from error
    has_families = family != sweep.family or any(FAMILY in space for space in sweep.spaces)
    return {**({FAMILY: family} if has_families else {}), **values}


def _values(text: str) -> dict[str, str]:
    """The text of each key.

    Raises:
        UsageError: if a text is not `key=value`, or gives a key twice.
    """
    texts: dict[str, str] = {}
    for part in _NEXT_KEY.split(text):
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"--arm {text} is not valid; valid: key=value,key=value, such as optimizer=sgd")
        if key in texts:
            raise UsageError(f"--arm {text} gives {key} twice; valid: an --arm for each value")
        texts[key] = value
    return texts


def _value(config_type: type[Dataclass], key: str, text: str) -> Value | Range:
    """The value of a key, or its range.

    Raises:
        ConfigError: if it is not valid.
    """
    domain = domains.domain(config_type, key)
    if is_range(text, [domain]):
        return parse_range(config_type, key, text)
    try:
        return domains.parse(config_type, key, text)
    except ConfigError as error:
        if "," in text and not isinstance(domain, domains.Text):
            raise ConfigError(f"{key}={text} is not valid; valid: one value in each --arm, of {domain}") from error
        raise
