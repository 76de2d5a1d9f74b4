"""Arms whose best configuration is searched: what of each is fixed, and what is drawn (by `samplers`)."""

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE, choices, names
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range, Space
from trainables import config as domains
from trainables.config import Dataclass, Value
from trainables.errors import ConfigError
from trainables.nas import configuration
from trainables.nas.oracles import ORACLES

_NEEDED: Final = ("autokeras", "keras_tuner", "tensorboard")
"""Packages without which no oracle can be asked."""


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """What is searched under one name: the keys that are fixed, and those that are drawn. Every value is valid.

    Where an oracle of AutoKeras searches, it draws all that `trainables.nas.configuration.CHOSEN` names.
    """

    name: str
    config_type: type[Dataclass]
    fixed: Mapping[str, Value]
    searched: Mapping[str, Sequence[Value] | Range]
    oracle: str = ""

    def holds(self, config: Dataclass) -> bool:
        """Whether a configuration is one of the arm's."""
        return all(getattr(config, key) == value for key, value in self.fixed.items()) and all(
            values.low <= value <= values.high if isinstance(values, Range) else value in values
            for key, values in self.searched.items()
            for value in [getattr(config, key)]
        )

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes that its configurations may have, or the bounds of their range."""
        default = domains.make(self.config_type, dict(self.fixed))
        values = self.searched.get("batch_size", [getattr(default, "batch_size")])  # noqa: B009 (any family's Config)
        return [int(v) for v in ((values.low, values.high) if isinstance(values, Range) else values)]

    def describe(self, config: Dataclass) -> str:
        """What was drawn: `learning_rate .00316`."""
        if isinstance(config, configuration.Config):
            return config.described
        return ", ".join(f"{key} {_short(getattr(config, key))}" for key in self.searched)


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def tuned_arms(sweep: Sweep, narrowed: Mapping[str, Sequence[Value]]) -> list[TunedArm]:
    """An arm for each of the sweep's tuned spaces that `narrowed` leaves, named as it would be without `narrowed`.

    Where a space fixes a narrowed key, it is kept if its value is among those given; where it searches the key, those
    given are searched instead; any other key is added. A key that is left with one value is fixed.

    Raises:
        UsageError: for an unknown key, a value or bound outside its domain, a Range of what is no number, spaces of
            one name, no space that has a given value, an arm with nothing to search, or what AutoKeras needs missing.
    """
    families = narrowed.get(FAMILY, [sweep.family])
    if sweep.family not in families:
        return []
    narrowed = {key: values for key, values in narrowed.items() if key != FAMILY}
    if any(ORACLE in space for space in sweep.tuned):
        return _by_oracles(sweep, narrowed)
    arms = whole = _named(sweep, [_arm(sweep, space) for space in sweep.tuned])
    for key, values in narrowed.items():
        arms = _narrow(sweep, arms, key, _valid(sweep, key, values))
    for arm in arms:
        if not arm.searched:
            sets = "".join(f" --set {key}={_listed(values)}" for key, values in narrowed.items())
            keys = next(", ".join(before.searched) for before in whole if before.name == arm.name)
            valid = f"several values of {keys or 'a key'}"
            raise UsageError(
                f"{arm.name!r} of sweep {sweep.name!r} has nothing to search{sets and ' with' + sets}; valid: {valid}"
            )
    return arms


def sampled(tuned: Iterable[TunedArm]) -> Iterator[Arm]:
    """An arm for each value that a tuned arm may try of a key, for a Range its bounds: what is wrong shows in one."""
    for arm in tuned:
        if arm.oracle:
            yield Arm(name=arm.name, config=domains.make(arm.config_type, dict(arm.fixed)))
        for key, values in arm.searched.items():
            whole = domains.types(arm.config_type)[key] is int
            for value in (values.low, values.high) if isinstance(values, Range) else values:
                tried = int(value) if whole else value
                yield Arm(name=arm.name, config=domains.make(arm.config_type, {**arm.fixed, key: tried}))


def _by_oracles(sweep: Sweep, narrowed: Mapping[str, Sequence[Value]]) -> list[TunedArm]:
    """An arm for each oracle of each space; what narrows a space is fixed instead, and in the arm's name."""
    _check_installed()
    asked = narrowed.get(ORACLE)
    changed = {key: values for key, values in narrowed.items() if key != ORACLE}
    made = []
    for space in sweep.tuned:
        own = {key: values for key, values in space.items() if key != ORACLE}
        fixed = {key: _one(sweep, key, values) for key, values in {**own, **changed}.items()}
        try:
            domains.make(sweep.config_type, fixed)
        except ConfigError as error:
            raise UsageError(f"the tuned space of sweep {sweep.name!r}: {error}") from error
        others = [f"{key}={fixed[key]}" for key in changed if own.get(key) != [fixed[key]]]
        for name in map(str, choices(ORACLE, space[ORACLE]) if asked is None else asked):
            if name not in ORACLES:
                raise UsageError(f"the tuned space of sweep {sweep.name!r}: {_no_oracle(name)}")
            called = " ".join([name, *others])
            made.append(TunedArm(name=called, config_type=sweep.config_type, fixed=fixed, searched={}, oracle=name))
    if len({arm.name for arm in made}) < len(made):
        raise UsageError(f"sweep {sweep.name!r}: two tuned spaces have the same oracle; valid: one")
    return made


def _check_installed() -> None:
    """Looks for what AutoKeras needs, without importing it.

    Raises:
        UsageError: naming what is missing.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"architecture search needs the package {name}, which is not installed: run `uv sync`")


def asked_oracles(names: Iterable[str]) -> list[Value]:
    """The oracles of these names, each once; every one for `all`.

    Raises:
        ConfigError: for one that there is not.
    """
    asked = [*dict.fromkeys(names)]
    for name in asked:
        if name not in ORACLES and name != "all":
            raise ConfigError(_no_oracle(name))
    return [*ORACLES] if "all" in asked else [*asked]


def _no_oracle(name: str) -> str:
    return f"{ORACLE}={name!r} is not valid; valid: {', '.join(ORACLES)}"


def _one(sweep: Sweep, key: str, values: Sequence[Value] | Range) -> Value:
    """The one value of a key that an oracle leaves alone."""
    if key in configuration.CHOSEN:
        raise UsageError(f"{key} is what the oracle chooses; valid: any other key, or --set family= of the fixed arms")
    valid = _valid(sweep, key, values)
    if isinstance(valid, Range) or len(valid) > 1:
        raise UsageError(f"{key} has several values, which an oracle does not search; valid: one")
    return valid[0]


def _arm(sweep: Sweep, space: Space) -> TunedArm:
    valid = {key: _valid(sweep, key, values) for key, values in space.items()}
    fixed = {key: values[0] for key, values in valid.items() if not isinstance(values, Range) and len(values) == 1}
    searched = {key: values for key, values in valid.items() if key not in fixed}
    return TunedArm(name="tuned", config_type=sweep.config_type, fixed=fixed, searched=searched)


def _valid(sweep: Sweep, key: str, values: Sequence[Value] | Range) -> list[Value] | Range:
    """The values, checked, each once and of the key's own type; or the Range, its bounds checked."""
    try:
        domain, kind = domains.domain(sweep.config_type, key), domains.types(sweep.config_type).get(key)
        listed = [values.low, values.high] if isinstance(values, Range) else choices(key, values)
        if not listed:
            raise ConfigError(f"{key} has no values; valid: {domain}")
        if isinstance(values, Range) and not isinstance(domain, domains.Between):
            raise ConfigError(f"{key}={values} is no list of choices; valid: {domain}")
        for value in listed:
            domains.check_value(sweep.config_type, key, value)
    except (ConfigError, UsageError) as error:
        raise UsageError(f"the tuned space of sweep {sweep.name!r}: {error}") from error
    if isinstance(values, Range):
        return values
    return list(dict.fromkeys(float(value) if kind is float else value for value in listed))


def _named(sweep: Sweep, arms: Sequence[TunedArm]) -> list[TunedArm]:
    if len(arms) <= 1:
        named = any(FAMILY in space for space in sweep.spaces)  # then the arm as it stands is named after its family
        return [replace(arm, name=f"{sweep.family} tuned") if named else arm for arm in arms]
    made = names([{k: [v] for k, v in arm.fixed.items()} for arm in arms], [arm.fixed for arm in arms])
    if len(set(made)) < len(made):
        made = [f"{name} {' '.join(arm.searched)}" for name, arm in zip(made, arms, strict=True)]
    if len(set(made)) < len(made):
        raise UsageError(f"sweep {sweep.name!r}: two tuned spaces fix the same and search the same keys; valid: one")
    return [replace(arm, name=f"{name} tuned") for name, arm in zip(made, arms, strict=True)]


def _narrow(sweep: Sweep, arms: Sequence[TunedArm], key: str, values: list[Value] | Range) -> list[TunedArm]:
    given = values if isinstance(values, list) else []
    kept = [arm for arm in arms if key not in arm.fixed or arm.fixed[key] in given]
    if arms and not kept:
        valid = ", ".join(dict.fromkeys(str(arm.fixed[key]) for arm in arms))
        raise UsageError(f"--set {key}={_listed(given)}: no tuned space of sweep {sweep.name!r} has it; valid: {valid}")
    return [arm if key in arm.fixed else _set(arm, key, values) for arm in kept]


def _set(arm: TunedArm, key: str, values: list[Value] | Range) -> TunedArm:
    if isinstance(values, list) and len(values) == 1:
        others = {k: v for k, v in arm.searched.items() if k != key}
        return replace(arm, fixed={**arm.fixed, key: values[0]}, searched=others)
    return replace(arm, searched={**arm.searched, key: values})


def _listed(values: Iterable[Value]) -> str:
    return ",".join(map(str, values))
