"""The arms of a sweep: every combination of the values in its search spaces, or the arms of the command line."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE, changed_values, choices, name_keys, names
from layersweep.tuning.experiment.combinations import Combination, combinations, constant_space, spaces_of
from layersweep.tuning.experiment.key_ranges import Choices, range_text
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range, Space
from trainables import config as domains


@dataclass(frozen=True, kw_only=True)
class GridArm:
    """An arm of a grid.

    Attributes:
        arm: the arm, with the defaults of keys that are searched.
        fixed_values: the values of all other keys.
        ranges: the keys that are searched, with their ranges; none if the arm is compared as it is.
    """

    arm: Arm
    fixed_values: Mapping[str, domains.Value]
    ranges: Mapping[str, Range]


@dataclass(frozen=True, kw_only=True)
class _NamedValues:
    """The values that may be in the name of an arm: those of its space, and those that the command changes."""

    space_values: Mapping[str, domains.Value]
    changes: Mapping[str, domains.Value]


def arms(sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str] = ()) -> list[Arm]:
    """The arms of a grid: see `grid`."""
    return [each.arm for each in grid(sweep, overrides, sweep_keys)]


def grid(sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str] = ()) -> list[GridArm]:
    """Every arm of the sweep's spaces, in their order; the values in `overrides` replace those of the spaces.

    The sweep itself gives the values of `sweep_keys` (`Sweep.values_from`); a command gives those of other keys, and
    what it changes is in the arms' names. A key that does nothing beside the values of others has its default, and
    equal configurations are one arm. The arms of the command line replace those of the spaces.

    Raises:
        UsageError: for a key that no Config has, a value outside its domain, an empty space, or two equal arms of the
            command line.
    """
    overrides = {key: values for key, values in overrides.items() if key != ORACLE}
    arms_by_content: dict[object, GridArm] = {}
    names_by_content: dict[object, _NamedValues] = {}
    sources: dict[object, str] = {}
    for each in combinations(sweep, overrides, sweep_keys):
        arm, named = _grid_arm(sweep, each), _named_values(sweep, _with_nearest_space(sweep, each))
        content = (arm.arm.family, frozenset(arm.fixed_values.items()), frozenset(arm.ranges.items()))
        source, known = sources.setdefault(content, each.source), names_by_content.setdefault(content, named)
        if source != each.source:
            raise UsageError(f"--arm {source} and --arm {each.source} are the same arm; valid: each arm once")
        arms_by_content.setdefault(content, arm)
        if len(named.changes) < len(known.changes):
            names_by_content[content] = named
    if not arms_by_content and not (sweep.tuned and sweep.family in choices(FAMILY, overrides.get(FAMILY, []))):
        raise UsageError(f"sweep {sweep.name!r} has no arms: each key of a space needs at least one value")
    arm_names = names(
        sweep.spaces,
        [named.space_values for named in names_by_content.values()],
        changes=[named.changes for named in names_by_content.values()],
    )
    return [
        replace(each, arm=replace(each.arm, name=name))
        for name, each in zip(arm_names, arms_by_content.values(), strict=True)
    ]


def name_of_control(sweep: Sweep, arms: Sequence[Arm]) -> str | None:
    """The name that the sweep's control has among these arms, which may state what a command changes."""
    if sweep.control is None or any(arm.name == sweep.control for arm in arms):
        return sweep.control
    controls = [arm.name for arm in arms if arm.name.startswith(f"{sweep.control} ")]
    return controls[0] if len(controls) == 1 else sweep.control


def _grid_arm(sweep: Sweep, combination: Combination) -> GridArm:
    """The arm of a combination, without its name."""
    family = str(combination.values.get(FAMILY, sweep.family))
    arm = Arm(name="", family="" if family == sweep.family else family, config=combination.config)
    return GridArm(arm=arm, fixed_values=combination.fixed_values, ranges=combination.ranges)


def _named_values(sweep: Sweep, combination: Combination) -> _NamedValues:
    """What may be in the name of an arm.

    A key of which the command gives several values is named even where it has its default, and so is a key that is
    searched in a range of the command. So is any key that the command sets of a sweep whose defaults come from other
    records: they may be others tomorrow.
    """
    space, values, command_values = combination.space, combination.values, combination.command_values
    space_values = {key: value for key, value in values.items() if key in space}
    named_keys = name_keys(sweep.spaces) & space.keys()
    open_keys = {key for key in command_values if key in values and key not in named_keys}
    changed = {key for key in open_keys if len({*command_values[key]}) > 1}
    changed |= {key for key in open_keys & space.keys() if values[key] not in choices(key, space[key])}
    added_keys = open_keys - space.keys() - {FAMILY}
    config_type, config_values = combination.config_type, combination.config_values
    changed |= {*added_keys} if sweep.values_from else {*changed_values(config_type, config_values, added_keys)}
    if FAMILY in values.keys() - space.keys() and not spaces_of(sweep, str(values[FAMILY])):
        changed.add(FAMILY)
    ranges = {key: range_text(config_type, key, numbers) for key, numbers in combination.ranges.items()}
    changes = {key: value for key, value in values.items() if key in changed}
    return _NamedValues(space_values=space_values, changes={**changes, **ranges})


def _with_nearest_space(sweep: Sweep, combination: Combination) -> Combination:
    """A combination of an arm of the command line as if it were from the space that needs the fewest changes.

    So an arm that a space has, too, has the same name. For a family without spaces that is a space of what the others
    have alike.
    """
    if not combination.source:
        return combination
    family, named_keys = str(combination.values.get(FAMILY, sweep.family)), name_keys(sweep.spaces)
    families: dict[str, Sequence[domains.Value]] = {FAMILY: [family]} if FAMILY in named_keys else {}
    spaces = spaces_of(sweep, family) or [{**families, **constant_space(sweep, family)}]

    def differences(candidate: Combination) -> tuple[int, int]:
        values, space = candidate.values, candidate.space
        keys = named_keys & space.keys() & values.keys()
        others = [key for key in keys if values[key] not in choices(key, space[key])]
        return len(others), len(_named_values(sweep, candidate).changes)

    return min([_from_space(combination, space) for space in spaces], key=differences)


def _from_space(combination: Combination, space: Space) -> Combination:
    """The combination with a space, and with its own values of the space's keys, defaults included."""
    config: dict[str, domains.Value] = asdict(combination.config)
    hidden_keys = domains.inactive_keys(combination.config_type, config) | combination.ranges.keys()
    own_values = {**config, **combination.values}
    values = {key: own_values[key] for key in space if key in own_values and key not in hidden_keys}
    values |= combination.values
    command_values = {key: [values[key]] for key in space if key in values} | dict(combination.command_values)
    return replace(combination, space=space, values=values, command_values=command_values)
