"""The values of keys that `--set key=value,...` gives on the command line."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import tuned_arms
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE
from layersweep.tuning.experiment.key_ranges import Choices, is_range, parse_range
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.errors import ConfigError, near_miss
from trainables.families import by_name

T = TypeVar("T")


def key_of(text: str) -> str:
    """The key of a `key=value,...`."""
    return text.partition("=")[0]


def families(sweep: Sweep, sets: Sequence[str]) -> list[str]:
    """The families that a command with these `--set` may train.

    Raises:
        UsageError: for a family that the sweep does not have.
    """
    selected = key_values(sweep, [text for text in sets if key_of(text) == FAMILY]).get(FAMILY, [*sweep.config_types])
    assert not isinstance(selected, Range)
    return [str(name) for name in selected]


def with_families(sweep: Sweep, sets: Sequence[str]) -> Sweep:
    """The sweep with a space for each family of these `--set` that it lacks, at the family's smallest image size.

    Only a sweep that compares families has others added.
    """
    if not _compares_families(sweep):
        return sweep
    words = [name.strip() for text in sets if key_of(text) == FAMILY for name in text.partition("=")[2].split(",")]
    valid = {*by_name.NAMES} - {*by_name.FROM_SEARCH, *sweep.config_types}
    names = [name for name in dict.fromkeys(words) if name in valid]
    sizes = {name: by_name.family(name).Config.minimum_size for name in names}
    spaces = [{FAMILY: [name], **({"image_size": [size]} if size > 1 else {})} for name, size in sizes.items()]
    return replace(sweep, spaces=[*sweep.spaces, *spaces])


def key_values(sweep: Sweep, sets: Sequence[str]) -> dict[str, Choices]:
    """The values of each `--set key=value,...`, by key, or its range.

    Raises:
        UsageError: for a text without `=`, a key that is given twice, an unknown one, a value outside its domain, or
            a range without numbers.
    """
    sweep = with_families(sweep, sets)
    values_by_key: dict[str, Choices] = {}
    for text in sets:
        key, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"--set {text!r} is not valid; valid: key=value,value,... of {', '.join(sweep.key_types)}")
        if key in values_by_key:
            texts = " and ".join(f"--set {each}" for each in sets if key_of(each) == key)
            raise UsageError(f"{texts} give {key} twice; valid: one --set {key}= with all its values")
        try:
            values_by_key[key] = _values(sweep, key, values)
        except ConfigError as error:
            raise UsageError(f"--set {text}: {error}") from error
    return values_by_key


def with_sweep_values(
    sweep: Sweep, values_by_key: Mapping[str, Choices], results: Path
) -> tuple[dict[str, Choices], str]:
    """These values, and for other keys the values that the sweep takes from elsewhere (`Sweep.values_from`).

    Returns:
        The values by key, and a sentence about the source of the others; empty without such values.
    """
    if sweep.values_from is None:
        return dict(values_by_key), ""
    keys_of_arms = set.intersection(*({*arm} for arm in sweep.arms)) if sweep.arms else set()
    values, source = sweep.values_from(results, {*values_by_key, *keys_of_arms})
    return {key: [value] for key, value in values.items()} | dict(values_by_key), source


def _values(sweep: Sweep, key: str, text: str) -> Choices:
    """The values of a key, of the family or of the oracle.

    Raises:
        ConfigError: for a value that is not valid.
    """
    if key == FAMILY:
        return _families(sweep, text)
    if key == ORACLE and any(ORACLE in space for space in sweep.tuned):
        return tuned_arms.oracle_names(name.strip() for name in text.split(","))
    return _config_values(sweep, key, text)


def _families(sweep: Sweep, text: str) -> list[domains.Value]:
    """Some of the families of a sweep's spaces; for a sweep of one family only that one.

    Raises:
        ConfigError: for another family; the message lists the valid ones.
    """
    names = [*sweep.config_types]
    selected = names if text == "all" else [name.strip() for name in text.split(",")]
    for name in selected:
        if name not in names:
            valid = by_name.valid_names(names) if _compares_families(sweep) else ", ".join(names)
            likely_names = by_name.NAMES if _compares_families(sweep) else names
            raise ConfigError(f"family={name!r} is not valid; {near_miss(name, likely_names)}valid: {valid}")
    return [*selected]


def _compares_families(sweep: Sweep) -> bool:
    return any(FAMILY in space for space in sweep.spaces)


def _config_values(sweep: Sweep, key: str, text: str) -> Choices:
    """The values of a key that some family of the sweep has; a JSON object is one value."""
    configs = [config for config in sweep.config_types.values() if key in domains.types(config)] or [sweep.config_type]
    choices = [domains.domain(config, key) for config in configs]
    if text == "all" and all(isinstance(domain, domains.OneOf) for domain in choices):
        return list(
            dict.fromkeys(value for domain in choices if isinstance(domain, domains.OneOf) for value in domain.values)
        )
    if is_range(text, choices):
        if "," in text:
            raise ConfigError(f"{key}={text} has a range among values; valid: values, or one range of all of them")
        return _first_valid(parse_range, configs, key, text)
    words = [text] if text.startswith("{") else text.split(",")
    return [_first_valid(domains.parse, configs, key, word.strip()) for word in words]


def _first_valid(
    parse: Callable[[type[domains.Dataclass], str, str], T],
    configs: Sequence[type[domains.Dataclass]],
    key: str,
    text: str,
) -> T:
    """The value as the first family has it that allows it; each family checks it again when arms are made.

    Raises:
        ConfigError: if no family allows it.
    """
    *others, last = configs
    for config in others:
        with contextlib.suppress(ConfigError):
            return parse(config, key, text)
    return parse(last, key, text)
