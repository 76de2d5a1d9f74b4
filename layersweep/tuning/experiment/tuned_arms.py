"""Tuned arms: arms whose best configuration is searched. Some keys are fixed, and samplers draw the others."""

import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from layersweep.project import install_command
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_grid import GridArm
from layersweep.tuning.experiment.arm_names import (
    FAMILY,
    ORACLE,
    changed_values,
    choices,
    names,
    with_changes,
)
from layersweep.tuning.experiment.key_ranges import Choices, idle_keys, listed, range_text, values_text
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range, Space
from trainables import config as domains
from trainables.config import Dataclass, Value
from trainables.errors import ConfigError
from trainables.nas import configuration
from trainables.nas.oracles import ORACLES

_TUNED: Final = " tuned"
"""The end of the name of an arm that is tuned, after the name of the same arm with its defaults."""

_ORACLE_PACKAGES: Final = ("autokeras", "keras_tuner", "tensorboard")
"""Packages that the oracles need."""


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """What is searched under one name. Every value is valid.

    Attributes:
        name: the arm's name.
        config_type: the Config of its family.
        fixed_values: the keys that are fixed.
        search_space: the keys that are searched, with their choices or Range.
        family: the family; empty for the sweep's own.
        oracle: the AutoKeras oracle that draws what `trainables.nas.configuration.ORACLE_KEYS` names; empty for none.
    """

    name: str
    config_type: type[Dataclass]
    fixed_values: Mapping[str, Value]
    search_space: Mapping[str, Choices]
    family: str = ""
    oracle: str = ""

    def config(self, values: Mapping[str, Value]) -> Dataclass:
        """The configuration with these values of searched keys; a key that does nothing beside others has its default.

        Raises:
            ConfigError: for a value that is not valid.
        """
        return domains.make_active(self.config_type, {**self.fixed_values, **values})

    def holds(self, config: Dataclass) -> bool:
        """Whether a configuration is one of the arm's."""
        actual_values = asdict(config)
        inactive = domains.inactive_keys(self.config_type, actual_values)
        return all(
            actual_values[key] == value for key, value in self.fixed_values.items() if key not in inactive
        ) and all(
            values.low <= actual_values[key] <= values.high
            if isinstance(values, Range)
            else actual_values[key] in values
            for key, values in self.search_space.items()
            if key not in inactive
        )

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes that its configurations may have, or the bounds of their range."""
        default = self.config({})
        values = self.search_space.get("batch_size", [getattr(default, "batch_size")])  # noqa: B009 (any family's Config)
        return [int(v) for v in ((values.low, values.high) if isinstance(values, Range) else values)]

    @property
    def space_text(self) -> str:
        """What is searched: `learning_rate 1e-05..0.1 (logarithmic), batch_size 16,32,64`; empty for an oracle's."""
        return ", ".join(
            f"{key} {values_text(values)}{' (logarithmic)' if isinstance(values, Range) and values.log else ''}"
            for key, values in self.search_space.items()
        )

    def describe(self, config: Dataclass) -> str:
        """What was drawn: `learning_rate .00316`."""
        if isinstance(config, configuration.Config):
            return config.summary
        return ", ".join(f"{key} {_short(getattr(config, key))}" for key in self.search_space)


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def tuned_arms(sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str] = ()) -> list[TunedArm]:
    """An arm for each of the sweep's tuned spaces that `overrides` leaves.

    If a space fixes a key of `overrides`, it stays if its value is among the new ones. If it searches the key, the new
    values are searched instead. Any other key is added, unless it does nothing in the arm. A key with only one value is
    fixed. If its value is not the default, it is in the arm's name: `adam batch_size=64 tuned`, and so is a range. The
    sweep itself gives the values of `sweep_keys`.

    Raises:
        UsageError: for an unknown key, a value or bound outside its domain, a Range of what is no number, spaces of
            one name, no space that has a given value, an arm with nothing to search, or what AutoKeras needs missing.
    """
    if sweep.family not in choices(FAMILY, overrides.get(FAMILY, [sweep.family])):
        return []
    overrides = {key: values for key, values in overrides.items() if key != FAMILY}
    if any(ORACLE in space for space in sweep.tuned):
        return _by_oracles(sweep, overrides)
    arms = all_arms = _with_names(sweep, [_arm(sweep, space) for space in sweep.tuned])
    command_keys = {key for key in overrides if key not in sweep_keys}
    for key, values in overrides.items():
        arms = _narrow(sweep, arms, key, _valid(sweep, key, values))
    arms = [_without_idle(arm, overrides) for arm in arms]
    for arm in arms:
        if not arm.search_space:
            sets = "".join(f" --set {key}={values_text(values)}" for key, values in overrides.items())
            keys = next(", ".join(before.search_space) for before in all_arms if before.name == arm.name)
            valid = f"several values of {keys or 'a key'}"
            raise UsageError(
                f"{arm.name!r} of sweep {sweep.name!r} has nothing to search{sets and ' with' + sets}; valid: {valid}"
            )
    fixed_keys = {arm.name: arm.fixed_values.keys() for arm in all_arms}
    ranges = {key: values for key, values in overrides.items() if key in command_keys and isinstance(values, Range)}
    return [_with_changes(arm, command_keys - fixed_keys[arm.name], ranges) for arm in arms]


def sample_arms(tuned: Iterable[TunedArm]) -> Iterator[Arm]:
    """Arms with each value that a tuned arm may try of a key, for a Range with its bounds: a bad value shows in one."""
    for arm in tuned:
        if arm.oracle:
            yield Arm(name=arm.name, config=domains.make(arm.config_type, dict(arm.fixed_values)))
        for key, values in arm.search_space.items():
            for value in _samples(values, domains.types(arm.config_type)[key]):
                yield Arm(name=arm.name, family=arm.family, config=arm.config({key: value}))


def _samples(values: Choices, kind: type) -> Sequence[Value]:
    """The values that show whether a key may have these values: of a Range its bounds, and the first number after 0.

    0 often stands for something else, such as `image_size=0` for images as they are.
    """
    if not isinstance(values, Range):
        return values
    if kind is not int:
        return [values.low, values.high]
    low, high = int(values.low), int(values.high)
    return [low, *([1] if low == 0 else []), high]


def searched_arms(arms: Iterable[GridArm]) -> list[TunedArm]:
    """A tuned arm for each arm of a grid that is searched in ranges; it fixes all other keys."""
    return [
        TunedArm(
            name=f"{each.arm.name}{_TUNED}",
            config_type=type(each.arm.config),
            fixed_values=each.fixed_values,
            search_space={
                key: listed(domains.types(type(each.arm.config))[key], numbers) for key, numbers in each.ranges.items()
            },
            family=each.arm.family,
        )
        for each in arms
        if each.ranges
    ]


def _by_oracles(sweep: Sweep, overrides: Mapping[str, Choices]) -> list[TunedArm]:
    """An arm for each oracle of each space; keys that the command sets are fixed, and part of the arm's name."""
    _check_installed()
    selected_oracles = overrides.get(ORACLE)
    other_keys = {key: values for key, values in overrides.items() if key != ORACLE}
    arms = []
    for space in sweep.tuned:
        space_values = {key: values for key, values in space.items() if key != ORACLE}
        fixed_values = {key: _one(sweep, key, values) for key, values in {**space_values, **other_keys}.items()}
        try:
            domains.make(sweep.config_type, fixed_values)
        except ConfigError as error:
            raise UsageError(f"the tuned space of sweep {sweep.name!r}: {error}") from error
        new_keys = other_keys.keys() - space_values.keys()
        changed_keys = {key for key in other_keys if space_values.get(key, [fixed_values[key]]) != [fixed_values[key]]}
        changed_keys |= {*changed_values(sweep.config_type, fixed_values, new_keys)}
        for name in map(str, choices(ORACLE, space[ORACLE] if selected_oracles is None else selected_oracles)):
            if name not in ORACLES:
                raise UsageError(f"the tuned space of sweep {sweep.name!r}: {_no_oracle(name)}")
            arms.append(
                TunedArm(
                    name=with_changes(name, {key: fixed_values[key] for key in other_keys if key in changed_keys}),
                    config_type=sweep.config_type,
                    fixed_values=fixed_values,
                    search_space={},
                    oracle=name,
                )
            )
    if len({arm.name for arm in arms}) < len(arms):
        raise UsageError(f"sweep {sweep.name!r}: two tuned spaces have the same oracle; valid: one")
    return arms


def _check_installed() -> None:
    """Looks for the packages that AutoKeras needs, without importing them.

    Raises:
        UsageError: naming a missing package.
    """
    for name in _ORACLE_PACKAGES:
        if importlib.util.find_spec(name) is None:
            raise UsageError(
                f"architecture search needs the package {name}, which is not installed: "
                f"run `{install_command('train')}`"
            )


def oracle_names(names: Iterable[str]) -> list[Value]:
    """The oracles of these names, each once; all oracles for `all`.

    Raises:
        ConfigError: for an unknown name.
    """
    unique_names = [*dict.fromkeys(names)]
    for name in unique_names:
        if name not in ORACLES and name != "all":
            raise ConfigError(_no_oracle(name))
    return [*ORACLES] if "all" in unique_names else [*unique_names]


def _no_oracle(name: str) -> str:
    return f"{ORACLE}={name!r} is not valid; valid: {', '.join(ORACLES)}"


def _one(sweep: Sweep, key: str, values: Choices) -> Value:
    """The one value of a key that an oracle does not choose."""
    if key in configuration.ORACLE_KEYS:
        raise UsageError(f"{key} is what the oracle chooses; valid: any other key, or --set family= of the fixed arms")
    valid = _valid(sweep, key, values)
    if isinstance(valid, Range) or len(valid) > 1:
        raise UsageError(f"{key} has several values, but an oracle does not search this key; valid: one value")
    return valid[0]


def _arm(sweep: Sweep, space: Space) -> TunedArm:
    valid = {key: _valid(sweep, key, values) for key, values in space.items()}
    fixed_values = {
        key: values[0] for key, values in valid.items() if not isinstance(values, Range) and len(values) == 1
    }
    search_space = {key: values for key, values in valid.items() if key not in fixed_values}
    return TunedArm(name="tuned", config_type=sweep.config_type, fixed_values=fixed_values, search_space=search_space)


def _valid(sweep: Sweep, key: str, values: Choices) -> Choices:
    """The values, checked, each once and of the key's own type; or the Range, its bounds checked.

    A Range with a step is the list of its numbers.
    """
    try:
        domain, kind = domains.domain(sweep.config_type, key), domains.types(sweep.config_type)[key]
        value_list = [values.low, values.high] if isinstance(values, Range) else choices(key, values)
        if not value_list:
            raise ConfigError(f"{key} has no values; valid: {domain}")
        if isinstance(values, Range) and not isinstance(domain, domains.Between):
            raise ConfigError(f"{key}={values} is no list of choices; valid: {domain}")
        for value in value_list:
            domains.check_value(sweep.config_type, key, value)
    except (ConfigError, UsageError) as error:
        raise UsageError(f"the tuned space of sweep {sweep.name!r}: {error}") from error
    if isinstance(values, Range):
        return listed(kind, values)
    return list(dict.fromkeys(float(value) if kind is float else value for value in value_list))


def _with_names(sweep: Sweep, arms: Sequence[TunedArm]) -> list[TunedArm]:
    if len(arms) <= 1:
        by_family = any(FAMILY in space for space in sweep.spaces)  # then the untuned arm has its family's name
        return [replace(arm, name=f"{sweep.family} tuned") if by_family else arm for arm in arms]
    arm_names = names(
        [{k: [v] for k, v in arm.fixed_values.items()} for arm in arms], [arm.fixed_values for arm in arms]
    )
    if len(set(arm_names)) < len(arm_names):
        arm_names = [f"{name} {' '.join(arm.search_space)}" for name, arm in zip(arm_names, arms, strict=True)]
    if len(set(arm_names)) < len(arm_names):
        raise UsageError(f"sweep {sweep.name!r}: two tuned spaces fix the same and search the same keys; valid: one")
    return [replace(arm, name=f"{name} tuned") for name, arm in zip(arm_names, arms, strict=True)]


def _without_idle(arm: TunedArm, keys: Collection[str]) -> TunedArm:
    """The arm without those of these keys that do nothing in any of its configurations."""
    idle = idle_keys(arm.config_type, arm.fixed_values, arm.search_space, keys)
    return replace(
        arm,
        fixed_values={key: value for key, value in arm.fixed_values.items() if key not in idle},
        search_space={key: values for key, values in arm.search_space.items() if key not in idle},
    )


def _with_changes(arm: TunedArm, keys: Collection[str], ranges: Mapping[str, Range]) -> TunedArm:
    """The arm, with the keys in its name that a command has fixed otherwise than by default, or given a range."""
    changes = changed_values(arm.config_type, arm.fixed_values, keys)
    changes |= {key: range_text(arm.config_type, key, ranges[key]) for key in ranges if key in arm.search_space}
    name = with_changes("" if arm.name == "tuned" else arm.name.removesuffix(_TUNED), changes)
    return replace(arm, name=f"{name}{_TUNED}") if changes else arm


def _narrow(sweep: Sweep, arms: Sequence[TunedArm], key: str, values: Choices) -> list[TunedArm]:
    selected_values = [] if isinstance(values, Range) else choices(key, values)
    remaining_arms = [arm for arm in arms if key not in arm.fixed_values or arm.fixed_values[key] in selected_values]
    if arms and not remaining_arms:
        valid = ", ".join(dict.fromkeys(str(arm.fixed_values[key]) for arm in arms))
        raise UsageError(
            f"--set {key}={values_text(values)}: no tuned space of sweep {sweep.name!r} has it; valid: {valid}"
        )
    return [arm if key in arm.fixed_values else _set(arm, key, values) for arm in remaining_arms]


def _set(arm: TunedArm, key: str, values: Choices) -> TunedArm:
    if not isinstance(values, Range) and len(values) == 1:
        others = {k: v for k, v in arm.search_space.items() if k != key}
        return replace(arm, fixed_values={**arm.fixed_values, key: values[0]}, search_space=others)
    return replace(arm, search_space={**arm.search_space, key: values})
