"""One value of each key: the combinations of a sweep's spaces, and of the arms that a command gives itself."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_names import FAMILY, choices
from layersweep.tuning.experiment.key_ranges import Choices, arm_text, idle_keys
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range, Space
from trainables import config as domains
from trainables.config import Dataclass, Value
from trainables.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One value of each key, or the range in which it is searched.

    Attributes:
        config_type: the Config of its family.
        space: the space of the sweep that it is from; an arm of the command line is from none.
        values: the values of keys, `family` included.
        ranges: the keys that are searched instead.
        command_values: what the command gives of keys that are not searched.
        source: the `--arm` that it is from; empty for a combination of a space.
    """

    config_type: type[Dataclass]
    space: Space
    values: Mapping[str, Value]
    ranges: Mapping[str, Range]
    command_values: Mapping[str, Sequence[Value]]
    source: str = ""

    @property
    def config_values(self) -> dict[str, Value]:
        """The values of keys of the configuration."""
        return {key: value for key, value in self.values.items() if key != FAMILY}

    @property
    def active(self) -> Self:
        """The combination without the keys that do nothing beside the values of others, unless they have the default.

        Raises:
            ConfigError: for such a key with a value outside its domain.
        """
        values, keys = self.config_values, self.config_type.__dataclass_fields__
        idle = idle_keys(self.config_type, values, self.ranges, {*values, *self.ranges})
        changed = [key for key in values if key in idle and values[key] != keys[key].default]
        for key in changed:
            domains.check_value(self.config_type, key, values[key])
        return replace(
            self,
            values={key: value for key, value in self.values.items() if key not in changed},
            ranges={key: numbers for key, numbers in self.ranges.items() if key not in idle},
        )

    @cached_property
    def config(self) -> Dataclass:
        """The configuration, with the defaults of keys that are searched.

        Raises:
            ConfigError: for an unknown key or a value outside its domain.
        """
        return domains.make_active(self.config_type, self.config_values)

    @property
    def fixed_values(self) -> dict[str, Value]:
        """The values of all keys that are not searched."""
        values = asdict(self.config) | self.config_values
        return {key: value for key, value in values.items() if key not in self.ranges}


def combinations(sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str]) -> Iterator[Combination]:
    """The combinations of a sweep's spaces or arms, with these values and ranges of a command or of `sweep_keys`.

    Raises:
        UsageError: for a value that is not valid, or a key of an arm that does nothing.
    """
    if sweep.arms:
        for arm in sweep.arms:
            yield from _of_arm(sweep, arm, overrides, sweep_keys)
    else:
        yield from _of_spaces(sweep, overrides, sweep_keys)


def _of_spaces(sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str]) -> Iterator[Combination]:
    command_values = {key: values for key, values in overrides.items() if key not in {FAMILY, *sweep_keys}}
    for sweep_space, space in _spaces_with_overrides(sweep, overrides):
        ranges, lists = _ranges_and_lists(space, overrides.keys())
        for values in _products(lists):
            combination = Combination(
                config_type=sweep.config_of(values.get(FAMILY, sweep.family)),
                space=sweep_space,
                values=values,
                ranges=ranges,
                command_values=_ranges_and_lists(command_values, command_values.keys())[1],
            )
            yield _valid(combination, f"the space of sweep {sweep.name!r}")


def _ranges_and_lists(
    space: Mapping[str, Choices], range_keys: Collection[str]
) -> tuple[dict[str, Range], dict[str, Sequence[Value]]]:
    """The ranges of these keys, and the lists of all others.

    Raises:
        UsageError: if another key is no list of choices.
    """
    ranges = {key: values for key, values in space.items() if key in range_keys and isinstance(values, Range)}
    return ranges, {key: choices(key, values) for key, values in space.items() if key not in ranges}


def _products(lists: Mapping[str, Sequence[Value]]) -> Iterator[dict[str, Value]]:
    for combination in itertools.product(*lists.values()):
        yield dict(zip(lists, combination, strict=True))


def _spaces_with_overrides(sweep: Sweep, overrides: Mapping[str, Choices]) -> list[tuple[Space, dict[str, Any]]]:
    """Each space of the sweep, and the same with these keys replaced.

    If families are selected, a space without any of them is left out. A key that a family does not have changes none
    of that family's arms.
    """
    if not any(FAMILY in space for space in sweep.spaces):
        return [(space, {**space, **_without(FAMILY, overrides)}) for space in sweep.spaces]
    other_keys = _without(FAMILY, overrides)
    spaces: list[tuple[Space, dict[str, Any]]] = []
    for space in sweep.spaces:
        families = choices(FAMILY, space.get(FAMILY, [sweep.family]))
        if FAMILY in overrides:
            families = [name for name in families if name in choices(FAMILY, overrides[FAMILY])]
        families_by_keys: dict[tuple[str, ...], list[Value]] = {}
        for name in families:
            config_keys = domains.types(sweep.config_of(name))
            families_by_keys.setdefault(tuple(key for key in other_keys if key in config_keys), []).append(name)
        spaces += [
            (space, {**space, **{key: other_keys[key] for key in keys}, FAMILY: names})
            for keys, names in families_by_keys.items()
        ]
    return spaces


def _without(key: str, values: Mapping[str, Choices]) -> dict[str, Choices]:
    return {each: value for each, value in values.items() if each != key}


def _of_arm(
    sweep: Sweep, arm: Mapping[str, Value | Range], overrides: Mapping[str, Choices], sweep_keys: Collection[str]
) -> Iterator[Combination]:
    """The combinations of an arm of the command line.

    A key to which all spaces of the arm's family give one and the same value keeps it, unless the arm has another.
    """
    family, source = str(arm.get(FAMILY, sweep.family)), arm_text(arm)
    config_type, constants = sweep.config_of(family), constant_space(sweep, family)
    of_sweep = {key: values for key, values in overrides.items() if key in sweep_keys}
    of_command = {key: values for key, values in overrides.items() if key not in sweep_keys}
    of_arm = {key: value if isinstance(value, Range) else [value] for key, value in arm.items()}
    space = {**constants, **of_sweep, **of_arm, **of_command}
    space = {key: values for key, values in space.items() if key == FAMILY or key in domains.types(config_type)}
    ranges, lists = _ranges_and_lists(space, space)
    for values in _products(lists):
        combination = Combination(
            config_type=config_type,
            space={},
            values=values,
            ranges=ranges,
            command_values={key: lists[key] for key in lists if key in arm or key not in of_sweep},
            source=source,
        )
        active = _valid(combination, f"--arm {source}")
        for key in sorted(arm.keys() - active.values.keys() - active.ranges.keys()):
            reason = idle_reason(config_type, combination.config_values) if key in combination.values else ""
            raise UsageError(f"--arm {source}: {reason or f'{key} does nothing with the other values'}")
        yield active


def constant_space(sweep: Sweep, family: str) -> dict[str, Sequence[Value]]:
    """The values that all spaces of a family fix alike; of a family without spaces, those of all spaces."""
    spaces = spaces_of(sweep, family) or sweep.spaces
    keys = [key for key in domains.types(sweep.config_of(family)) if spaces and all(key in space for space in spaces)]
    lists = {key: [choices(key, space[key]) for space in spaces] for key in keys}
    return {
        key: values
        for key, (values, *others) in lists.items()
        if len(values) == 1 and all(other == values for other in others)
    }


def spaces_of(sweep: Sweep, family: str) -> list[Space]:
    """The sweep's spaces that have arms of a family."""
    return [space for space in sweep.spaces if family in choices(FAMILY, space.get(FAMILY, [sweep.family]))]


def _valid(combination: Combination, place: str) -> Combination:
    """The active keys of a combination, whose configuration is valid.

    Raises:
        UsageError: naming the place, if it is not.
    """
    try:
        active = combination.active
        _ = active.config
    except ConfigError as error:
        raise UsageError(f"{place}: {error}") from error
    return active


def idle_reason(config_type: type[Dataclass], values: Mapping[str, Value]) -> str:
    """Why a key does nothing beside the others, in words of its family; empty if it has none."""
    try:
        domains.make(config_type, values)
    except ConfigError as error:
        return str(error)
    return ""
