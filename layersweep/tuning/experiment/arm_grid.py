"""The arms of a sweep: every combination of the values in its search spaces."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE, changed_values, choices, name_keys, names
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Space
from trainables import config as domains
from trainables.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class _NamedValues:
    """The values that may be in the name of an arm: those of its space, and those that the command changes."""

    space_values: Mapping[str, domains.Value]
    changes: Mapping[str, domains.Value]


def arms(sweep: Sweep, overrides: Mapping[str, Sequence[domains.Value]], sweep_keys: Collection[str] = ()) -> list[Arm]:
    """Every arm of the sweep's spaces, in their order; the values in `overrides` replace those of the spaces.

    The sweep itself gives the values of `sweep_keys` (`Sweep.values_from`); a command gives those of other keys, and
    what it changes is in the arms' names.

    Raises:
        UsageError: for a key that no Config has, a value outside its domain, or an empty space.
    """
    overrides = {key: values for key, values in overrides.items() if key != ORACLE}
    command_values = {key: values for key, values in overrides.items() if key not in {FAMILY, *sweep_keys}}
    arms_by_config: dict[tuple[str, domains.Dataclass], _NamedValues] = {}
    for sweep_space, space in _spaces_with_overrides(sweep, overrides):
        for values in _combinations(space):  # spaces may overlap: equal configurations are one arm
            config = _family_and_config(sweep, values)
            named = _named_values(sweep, sweep_space, values, command_values)
            known = arms_by_config.setdefault(config, named)
            if len(named.changes) < len(known.changes):
                arms_by_config[config] = named
    if not arms_by_config and not (sweep.tuned and sweep.family in overrides.get(FAMILY, [])):
        raise UsageError(f"sweep {sweep.name!r} has no arms: each key of a space needs at least one value")
    arm_names = names(
        sweep.spaces,
        [named.space_values for named in arms_by_config.values()],
        changes=[named.changes for named in arms_by_config.values()],
    )
    return [
        Arm(name=name, family="" if family == sweep.family else family, config=config)
        for name, (family, config) in zip(arm_names, arms_by_config, strict=True)
    ]


def name_of_control(sweep: Sweep, arms: Sequence[Arm]) -> str | None:
    """The name that the sweep's control has among these arms, which may state what a command changes."""
    if sweep.control is None or any(arm.name == sweep.control for arm in arms):
        return sweep.control
    controls = [arm.name for arm in arms if arm.name.startswith(f"{sweep.control} ")]
    return controls[0] if len(controls) == 1 else sweep.control


def _named_values(
    sweep: Sweep,
    sweep_space: Space,
    values: Mapping[str, domains.Value],
    command_values: Mapping[str, Sequence[domains.Value]],
) -> _NamedValues:
    """What may be in the name of an arm of a space, in which a command has replaced these values.

    A key of which the command gives several values is named even where it has its default. So is any key that the
    command sets of a sweep whose defaults come from other records: they may be others tomorrow.
    """
    space_values = {key: value for key, value in values.items() if key in sweep_space}
    named_keys = name_keys(sweep.spaces) & sweep_space.keys()
    open_keys = {key for key in command_values if key in values and key not in named_keys}
    changed = {key for key in open_keys if len({*command_values[key]}) > 1}
    changed |= {key for key in open_keys & sweep_space.keys() if values[key] not in choices(key, sweep_space[key])}
    added_keys = open_keys - sweep_space.keys()
    config_type = sweep.config_of(values.get(FAMILY, sweep.family))
    config_values = {key: value for key, value in values.items() if key != FAMILY}
    changed |= {*added_keys} if sweep.values_from else {*changed_values(config_type, config_values, added_keys)}
    return _NamedValues(space_values=space_values, changes={k: v for k, v in values.items() if k in changed})


def _spaces_with_overrides(
    sweep: Sweep, overrides: Mapping[str, Sequence[domains.Value]]
) -> list[tuple[Space, dict[str, Any]]]:
    """Each space of the sweep, and the same with these keys replaced.

    If families are selected, a space without any of them is left out. A key that a family does not have changes none
    of that family's arms.
    """
    if not any(FAMILY in space for space in sweep.spaces):
        return [(space, {**space, **overrides}) for space in sweep.spaces]
    selected_families = overrides.get(FAMILY)
    other_keys = {key: values for key, values in overrides.items() if key != FAMILY}
    spaces: list[tuple[Space, dict[str, Any]]] = []
    for space in sweep.spaces:
        families = choices(FAMILY, space.get(FAMILY, [sweep.family]))
        if selected_families is not None:
            families = [name for name in families if name in selected_families]
        families_by_keys: dict[tuple[str, ...], list[domains.Value]] = {}
        for name in families:
            config_keys = domains.types(sweep.config_of(name))
            families_by_keys.setdefault(tuple(key for key in other_keys if key in config_keys), []).append(name)
        spaces += [
            (space, {**space, **{key: other_keys[key] for key in keys}, FAMILY: names})
            for keys, names in families_by_keys.items()
        ]
    return spaces


def _combinations(space: Space) -> Iterator[dict[str, domains.Value]]:
    for combination in itertools.product(*itertools.starmap(choices, space.items())):
        yield dict(zip(space, combination, strict=True))


def _family_and_config(sweep: Sweep, values: Mapping[str, domains.Value]) -> tuple[str, domains.Dataclass]:
    family = str(values.get(FAMILY, sweep.family))
    try:
        return family, domains.make(sweep.config_of(family), {k: v for k, v in values.items() if k != FAMILY})
    except ConfigError as error:
        raise UsageError(f"the space of sweep {sweep.name!r}: {error}") from error
