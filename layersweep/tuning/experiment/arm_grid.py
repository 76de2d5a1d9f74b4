"""The arms of a sweep: every combination of the values in its search spaces."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE, choices, names
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Space
from trainables import config as domains
from trainables.errors import ConfigError


def arms(sweep: Sweep, overrides: Mapping[str, Sequence[domains.Value]]) -> list[Arm]:
    """Every arm of the sweep's spaces, in their order; the values in `overrides` replace those of the spaces.

    Raises:
        UsageError: for a key that no Config has, a value outside its domain, or an empty space.
    """
    spaces = _spaces_with_overrides(sweep, {key: values for key, values in overrides.items() if key != ORACLE})
    values_by_config: dict[tuple[str, domains.Dataclass], dict[str, domains.Value]] = {}
    for space in spaces:
        for values in _combinations(space):  # spaces may overlap: equal configurations are one arm
            values_by_config.setdefault(_family_and_config(sweep, values), values)
    if not values_by_config and not (sweep.tuned and sweep.family in overrides.get(FAMILY, [])):
        raise UsageError(f"sweep {sweep.name!r} has no arms: each key of a space needs at least one value")
    arm_names = names(spaces, [*values_by_config.values()], sweep_spaces=sweep.spaces)
    return [
        Arm(name=name, family="" if family == sweep.family else family, config=config)
        for name, (family, config) in zip(arm_names, values_by_config, strict=True)
    ]


def _spaces_with_overrides(sweep: Sweep, overrides: Mapping[str, Sequence[domains.Value]]) -> list[dict[str, Any]]:
    """The spaces with these keys replaced.

    If families are selected, a space without any of them is left out. A key that a family does not have changes none
    of that family's arms.
    """
    if not any(FAMILY in space for space in sweep.spaces):
        return [{**space, **overrides} for space in sweep.spaces]
    selected_families = overrides.get(FAMILY)
    other_keys = {key: values for key, values in overrides.items() if key != FAMILY}
    spaces = []
    for space in sweep.spaces:
        families = choices(FAMILY, space.get(FAMILY, [sweep.family]))
        if selected_families is not None:
            families = [name for name in families if name in selected_families]
        families_by_keys: dict[tuple[str, ...], list[domains.Value]] = {}
        for name in families:
            config_keys = domains.types(sweep.config_of(name))
            families_by_keys.setdefault(tuple(key for key in other_keys if key in config_keys), []).append(name)
        spaces += [
            {**space, **{key: other_keys[key] for key in keys}, FAMILY: names}
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
