"""What a command asks for, checked: a sweep, its settings, the arms to compare and those to tune."""

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from layersweep import project
from layersweep.formatting import exact_duration
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import arm_grid
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_checks import check_images, idle_values
from layersweep.tuning.experiment.arm_data import class_text, fittings, with_class_indices
from layersweep.tuning.experiment.arm_names import choices
from layersweep.tuning.experiment.key_ranges import Choices
from layersweep.tuning.experiment.key_values import key_values, with_families, with_sweep_values
from layersweep.tuning.experiment.settings import Settings
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import visible_data
from layersweep.tuning.experiment.tuned_arms import TunedArm, sample_arms, searched_arms, tuned_arms
from search_spaces.ranges import Range
from trainables import config as domains
from trainables.data.dataset import Data, prepare
from trainables.data.pictures.columns import Columns
from trainables.data.pictures.names import listed
from trainables.data.pictures.variants import PictureOptions
from trainables.data.sources import ARRAYS, PICTURES, PictureSource, source
from trainables.errors import DataError
from trainables.keys import Keys


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command asks for.

    Attributes:
        sweep: the sweep.
        settings: the command's flags, filled in.
        arms: the arms whose configuration is fixed.
        tuned_arms: those whose configuration is searched.
    """

    sweep: Sweep
    settings: Settings
    arms: Sequence[Arm]
    tuned_arms: Sequence[TunedArm] = ()

    @classmethod
    def of(cls, sweep: Sweep, settings: Settings, say: Callable[[str], None]) -> Self:
        """What these settings ask for; `say` is told where values come from that the command line does not give.

        Raises:
            UsageError: for bad input.
        """
        sweep = with_families(replace(sweep, metric=settings.metric), settings.set)
        command_values = key_values(sweep, settings.set)
        overrides, source = with_sweep_values(sweep, command_values, settings.results)
        sweep_keys = overrides.keys() - command_values.keys()
        if source:
            say(source)
        sweep_with_files, overrides = _with_weight_files(sweep, overrides, settings.results)
        arms, tuned = _arms(sweep_with_files, overrides, sweep_keys, has_searches=settings.search != "grid")
        sweep = replace(sweep, control=arm_grid.name_of_control(sweep, arms))
        request = cls(sweep=sweep, settings=settings, arms=arms, tuned_arms=tuned)
        if not request.arms and not request.tuned_arms:
            raise UsageError(f"the sweep {sweep.name!r} has nothing to train with these --set and --search")
        if settings.search_time is not None and not request.tuned_arms:
            raise UsageError(
                f"--time-budget {exact_duration(settings.search_time)} is the time of each search of the sweep "
                f"{sweep.name!r}, and these --set leave no search; valid: the command without --time-budget"
            )
        remarks, errors = idle_values(sweep, command_values, arms, tuned)
        if errors and not settings.quick:  # the keys of --quick may be those of a search
            raise UsageError(errors[0])
        for line in [*remarks, *errors]:
            say(line)
        return request

    @property
    def sampled_arms(self) -> list[Arm]:
        """The arms, and for each tuned arm some that have the values it may try: a check of these covers all."""
        return [*self.arms, *sample_arms(self.tuned_arms)]

    @property
    def replicates(self) -> int:
        """The number of trials that compare one arm."""
        return self.settings.seeds * max(1, self.settings.folds)

    def prepared(self, say: Callable[[str], None]) -> tuple[Self, Data]:
        """The request with its classes as indices, and the data of the settings, checked against the arms.

        `say` is told of what the data are, of slow work, and of changes to images.

        Raises:
            UsageError, DataError: if there is no such data, or an arm cannot take it.
        """
        settings, pictures = self.settings, PictureOptions()
        advice = f"check    {project.COMMAND} data {shlex.quote(str(settings.data))}"
        if isinstance(source(settings.dataset, settings.data), PictureSource):
            pictures = PictureOptions(
                fittings=[*dict.fromkeys(fittings(self.arms, self.tuned_arms))],
                columns=None if settings.columns is None else Columns.parse(settings.columns),
                advice=advice,
            )
        elif settings.columns is not None:
            raise UsageError(f"--columns {settings.columns} is for a table of pictures; valid: --dataset {PICTURES}")
        data = prepare(settings.dataset, folder=settings.data, strict=settings.strict, say=say, pictures=pictures)
        if data.name == ARRAYS:
            say(f"{len(data.classes):,} classes ({listed(data.classes)}) in the arrays of {settings.data}")
            say(advice)
        request = self._with_class_indices(data)
        if settings.images is not None:
            limit = data.limited if settings.exact_images else partial(request._at_most, data, say)
            data = limit(settings.images)
        for line in check_images(self.sweep, request.sampled_arms, data, folds=settings.folds):
            say(line)
        return request, data

    def _with_class_indices(self, data: Data) -> Self:
        """The request with the names of classes in its configurations as indices: what a trial's id holds.

        Raises:
            UsageError: naming the arm, for a class that there is not, or for two equal arms of the command line.
        """
        arms: dict[tuple[str, domains.Dataclass], Arm] = {}
        for arm in self.arms:
            if isinstance(arm.config, Keys):
                config = replace(arm.config, classes=class_text(arm.name, arm.config.classes, data))
                known = arms.setdefault((arm.family, config), replace(arm, config=config))
                if self.sweep.arms and known.name != arm.name:
                    raise UsageError(f"--arm: {known.name} and {arm.name} have the same classes; valid: each arm once")
            else:
                arms[arm.family, arm.config] = arm
        return replace(
            self, arms=[*arms.values()], tuned_arms=[with_class_indices(arm, data) for arm in self.tuned_arms]
        )

    def _at_most(self, data: Data, say: Callable[[str], None], images: int) -> Data:
        """The data with so many images, with more if a class would have none, or all if there are fewer."""
        number = images
        while number < data.train_images:
            try:
                limited_data = data.limited(number)
                for arm in self.sampled_arms:
                    visible_data(arm, limited_data, fold=0 if self.settings.folds else None, folds=self.settings.folds)
            except DataError:
                number *= 2
                continue
            if number > images:
                say(f"--quick: {number:,} training images in place of {images:,}, so that each class has some")
            return limited_data
        say(f"--quick: all {data.train_images:,} training images, since there are no more than {images:,}")
        return data


def _arms(
    sweep: Sweep, overrides: Mapping[str, Choices], sweep_keys: Collection[str], *, has_searches: bool
) -> tuple[list[Arm], list[TunedArm]]:
    """The arms whose configuration is fixed, and those that are searched.

    A sweep's own tuned spaces are searched beside its arms. Without such spaces, each arm is searched in the ranges.

    Raises:
        UsageError: for an arm or a space that is not valid.
    """
    if has_searches and sweep.tuned:
        lists = {key: values for key, values in overrides.items() if not isinstance(values, Range)}
        return arm_grid.arms(sweep, lists, sweep_keys), tuned_arms(sweep, overrides, sweep_keys)
    grid = arm_grid.grid(sweep, overrides, sweep_keys)
    return [each.arm for each in grid if not each.ranges], searched_arms(grid)


def _with_weight_files(
    sweep: Sweep, overrides: Mapping[str, Choices], results: Path
) -> tuple[Sweep, dict[str, Choices]]:
    """The sweep and the overrides of its keys; each trial that they name as a source of weights gets its id and epoch.

    Raises:
        UsageError: if there is no such trial, or it has no weights.
    """
    key = kept_weights.KEY
    texts = [str(value) for value in choices(key, overrides.get(key, []))]
    texts += [str(arm[key]) for arm in sweep.arms if key in arm]
    resolved: dict[domains.Value | Range, str] = {text: kept_weights.resolve(text, results) for text in texts}
    is_selected = key in overrides or (bool(sweep.arms) and all(key in arm for arm in sweep.arms))

    def with_ids(space: Mapping[str, Any]) -> dict[str, Any]:
        values = space.get(key)
        if not isinstance(values, list | tuple):
            return dict(space)
        if is_selected:  # the sweep's own weights need not exist
            return {**space, key: [resolved.get(value, value) for value in values]}
        return {**space, key: [kept_weights.resolve(value, results) for value in values]}

    spaces, tuned_spaces = ([with_ids(space) for space in each] for each in (sweep.spaces, sweep.tuned))
    arms = [{**arm, key: resolved[arm[key]]} if key in arm else arm for arm in sweep.arms]
    return replace(sweep, spaces=spaces, tuned=tuned_spaces, arms=arms), with_ids(overrides)
