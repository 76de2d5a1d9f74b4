"""Checks of arms against the data and against their pretrained weights, before any trial starts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from layersweep.formatting import GIB, first_names
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import memory_estimate
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_names import FAMILY, ORACLE
from layersweep.tuning.experiment.combinations import idle_reason
from layersweep.tuning.experiment.key_ranges import Choices, idle_keys, values_text
from layersweep.tuning.experiment.settings import Settings
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import visible_data
from layersweep.tuning.experiment.tuned_arms import TunedArm
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.data.dataset import Data
from trainables.errors import ConfigError, DataError, WeightsError
from trainables.keys import Keys

if TYPE_CHECKING:
    from trainables.worker.model_check import ModelSpec


_OPTIMIZER_KEYS: Final = ("optimizer", "learning_rate", "momentum")


@dataclass(frozen=True, kw_only=True)
class _Keys:
    """The keys of an arm, fixed or searched."""

    name: str
    family: str
    config_type: type[domains.Dataclass]
    values: Mapping[str, domains.Value]
    space: Mapping[str, Choices]

    def has(self, key: str) -> bool:
        """Whether the family has the key."""
        return key in self.config_type.__dataclass_fields__

    def is_idle(self, key: str, values: Choices) -> bool:
        """Whether the key does nothing in any configuration of the arm, though a value is not its default."""
        default = self.config_type.__dataclass_fields__[key].default
        is_default = not isinstance(values, Range) and all(value == default for value in values)
        return not is_default and bool(idle_keys(self.config_type, self.values, self.space, [key]))


def idle_values(
    sweep: Sweep, command_values: Mapping[str, Choices], arms: Sequence[Arm], tuned: Sequence[TunedArm]
) -> tuple[list[str], list[str]]:
    """What a command, or a space of the sweep, sets of keys that do nothing.

    Returns:
        Sentences about keys that do nothing in some arms, and about those that do nothing in any arm.
    """
    keys = [
        _Keys(name=arm.name, family=sweep.family_of(arm), config_type=type(arm.config), values=arm.values, space={})
        for arm in arms
    ]
    keys += [
        _Keys(
            name=arm.name,
            family=arm.family or sweep.family,
            config_type=arm.config_type,
            values=arm.fixed_values,
            space=arm.search_space,
        )
        for arm in tuned
    ]
    remarks: list[str] = []
    errors: list[str] = []
    for key, values in command_values.items():
        if key not in (FAMILY, ORACLE):
            families = [*dict.fromkeys(each.family for each in keys if not each.has(key))]
            idle = [each for each in keys if each.has(key) and each.is_idle(key, values)]
            does_nothing = sum(not each.has(key) for each in keys) + len(idle) == len(keys)
            place = f"--set {key}={values_text(values)}"
            (errors if does_nothing else remarks).extend(_sentences(place, key, values, families, idle))
    for space in () if sweep.arms else sweep.spaces:
        for key, values in space.items():
            having = [each for each in keys if key not in (FAMILY, *command_values) and each.has(key)]
            if having and all(each.is_idle(key, values) for each in having):
                place = f"the space of sweep {sweep.name!r}: {key}={values_text(values)}"
                errors += _sentences(place, key, values, [], having)
    return remarks, errors


def _sentences(place: str, key: str, values: Choices, families: Sequence[str], idle: Sequence[_Keys]) -> Iterator[str]:
    """What is to be said of a key that these families do not have, and that does nothing in these arms."""
    if idle:
        value = values.high if isinstance(values, Range) else values[-1]
        reason = idle_reason(idle[0].config_type, {**idle[0].values, key: value})
        yield f"{place} does nothing in {first_names([each.name for each in idle])}{reason and ': ' + reason}"
    if families:
        yield f"{place} does nothing in {first_names(families)}: no such key there"


def check_images(sweep: Sweep, arms: Sequence[Arm], data: Data, *, folds: int = 0) -> list[str]:
    """Refuses arms whose family cannot take the data's images or classes.

    Returns:
        Sentences about what is done to the images for a family, such as giving grey images three channels, and about
        what of a hypermodel has another name or is not used.

    Raises:
        UsageError: naming the arm, what is wrong with it, and what is valid.
    """
    families_in_colour = []
    for arm in arms:
        family, keys = sweep.family_of(arm), arm.config if isinstance(arm.config, Keys) else None
        try:
            arm_data = visible_data(arm, data, fold=0 if folds else None, folds=folds)
            if keys is not None:
                keys.check_shape(arm_data.image_shape, family)
        except (ConfigError, DataError) as error:
            raise UsageError(f"arm {arm.name}: {error}") from error
        if keys is not None and keys.changes_channels(data.image_shape):
            families_in_colour.append(family)
    trains = [sweep.train_of(family) for family in dict.fromkeys(map(sweep.family_of, arms))]
    remarks = [remark for train in trains for remark in getattr(train, "remarks", ())]
    if families_in_colour:
        remarks.append(f"grey images get three equal channels for {', '.join(dict.fromkeys(families_in_colour))}")
    return remarks


def check_memory(sweep: Sweep, arms: Sequence[Arm], data: Data, settings: Settings, share_bytes: int) -> None:
    """Refuses arms of which a training step on large images takes more memory than a slot's share by estimate.

    It builds a network for each, which takes seconds, but no memory for its weights. Small images are not checked.

    Raises:
        UsageError: naming the arm, its memory, and the keys to change.
    """
    from trainables.worker import model_check

    arms_by_network: dict[tuple[ModelSpec, int], Arm] = {}
    for arm in arms:
        if isinstance(arm.config, Keys) and _has_large_images(arm.config, visible_data(arm, data)):
            weight_files = kept_weights.weight_files(arm.stated, settings.results)
            spec = model_spec(sweep, without_optimizer(arm), data, weight_files)
            arms_by_network.setdefault((spec, arm.batch_size), arm)
    try:
        networks = model_check.networks([spec for spec, _ in arms_by_network]) if arms_by_network else []
    except WeightsError as error:
        raise UsageError(str(error)) from error
    for arm, network in zip(arms_by_network.values(), networks, strict=True):
        options: dict[str, Any] = {"batch_size": arm.batch_size, "precision": settings.precision}
        if network is not None and memory_estimate.step_bytes(network, **options) > share_bytes:
            raise UsageError(
                f"arm {arm.name}: {memory_estimate.text(network, **options)}; a slot's share is "
                f"{share_bytes / GIB:.2f} GiB: {memory_estimate.advice(network)}, such as --set image_size=64"
            )


def _has_large_images(keys: Keys, data: Data) -> bool:
    height, width, _ = keys.shape(data.image_shape)
    return max(height, width) * keys.enlarged > memory_estimate.LARGE_PIXELS


def without_optimizer(arm: Arm) -> Arm:
    """The arm with the default optimizer: others have the same network."""
    values = {key: value for key, value in arm.values.items() if key not in _OPTIMIZER_KEYS}
    return replace(arm, config=domains.make(type(arm.config), values))


def model_spec(sweep: Sweep, arm: Arm, data: Data, weight_files: Mapping[str, object] | None = None) -> "ModelSpec":
    """The model of an arm; `weight_files` replaces values of its configuration."""
    from trainables.worker.model_check import ModelSpec

    arm_data = visible_data(arm, data)
    return ModelSpec(
        family=sweep.code_of(sweep.family_of(arm)),
        config_json=json.dumps(arm.stated | dict(weight_files or {}), sort_keys=True),
        image_shape=arm_data.image_shape,
        classes=len(arm_data.classes),
    )


def check_weights(sweep: Sweep, arms: Sequence[Arm], data: Data, results: Path) -> None:
    """Builds each model that begins with pretrained or kept weights once: the weights are fetched, and must fit.

    Raises:
        UsageError: naming the arm, and what is wrong with its weights.
    """
    from trainables.worker import model_check

    arms_by_model = {
        model_spec(sweep, arm, data, kept_weights.weight_files(arm.stated, results)): arm
        for arm in arms
        if arm.stated.get(kept_weights.KEY)
    }
    if not arms_by_model:
        return
    try:
        problems = model_check.problems(list(arms_by_model))
    except WeightsError as error:
        raise UsageError(str(error)) from error
    for arm, problem in zip(arms_by_model.values(), problems, strict=True):
        if problem is not None:
            raise UsageError(f"arm {arm.name}: {problem}")
