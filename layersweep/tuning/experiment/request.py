"""What a command asks for, checked: a sweep, its settings, the arms to compare and those to tune."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from layersweep.formatting import exact_duration
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment import arm_grid
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.arm_checks import check_images
from layersweep.tuning.experiment.key_values import key_values, with_sweep_values
from layersweep.tuning.experiment.settings import Settings
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.tuned_arms import TunedArm, sample_arms, tuned_arms
from trainables import config as domains
from trainables.data.dataset import Data, prepare


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
        sweep = replace(sweep, metric=settings.metric)
        command_values = key_values(sweep, settings.set)
        overrides, source = with_sweep_values(sweep, command_values, settings.results)
        sweep_keys = overrides.keys() - command_values.keys()
        if source:
            say(source)
        sweep_with_files, overrides = _with_weight_files(sweep, overrides, settings.results)
        has_searches = settings.search != "grid"
        searched_arms = tuned_arms(sweep_with_files, overrides, sweep_keys) if has_searches else []
        arms = arm_grid.arms(sweep_with_files, overrides, sweep_keys)
        sweep = replace(sweep, control=arm_grid.name_of_control(sweep, arms))
        request = cls(sweep=sweep, settings=settings, arms=arms, tuned_arms=searched_arms)
        if not request.arms and not request.tuned_arms:
            raise UsageError(f"the sweep {sweep.name!r} has nothing to train with these --set and --search")
        if settings.search_time is not None and not request.tuned_arms:
            raise UsageError(
                f"--time-budget {exact_duration(settings.search_time)} is the time of each search of the sweep "
                f"{sweep.name!r}, and these --set leave no search; valid: the command without --time-budget"
            )
        return request

    @property
    def sampled_arms(self) -> list[Arm]:
        """The arms, and for each tuned arm some that have the values it may try: a check of these covers all."""
        return [*self.arms, *sample_arms(self.tuned_arms)]

    @property
    def replicates(self) -> int:
        """The number of trials that compare one arm."""
        return self.settings.seeds * max(1, self.settings.folds)

    def prepare_data(self, say: Callable[[str], None]) -> Data:
        """The data of the settings, checked against the arms; `say` is told of slow work and of changes to images.

        Raises:
            UsageError, DataError: if there is no such data, or an arm cannot take it.
        """
        settings = self.settings
        data = prepare(settings.dataset, folder=settings.data, images=settings.images, strict=settings.strict, say=say)
        for line in check_images(self.sweep, self.sampled_arms, data, folds=settings.folds):
            say(line)
        return data


def _with_weight_files(
    sweep: Sweep, overrides: Mapping[str, list[domains.Value]], results: Path
) -> tuple[Sweep, dict[str, list[domains.Value]]]:
    """The sweep and the overrides of its keys; each trial that they name as a source of weights gets its id and epoch.

    Raises:
        UsageError: if there is no such trial, or it has no weights.
    """
    selected_values = overrides.get(kept_weights.KEY)
    resolved = {value: kept_weights.resolve(value, results) for value in selected_values or ()}

    def with_ids(space: Mapping[str, Any]) -> dict[str, Any]:
        values = space.get(kept_weights.KEY)
        if not isinstance(values, list | tuple):
            return dict(space)
        if selected_values is not None:  # the sweep's own weights need not exist
            return {**space, kept_weights.KEY: [resolved.get(value, value) for value in values]}
        return {**space, kept_weights.KEY: [kept_weights.resolve(value, results) for value in values]}

    spaces, tuned_spaces = ([with_ids(space) for space in each] for each in (sweep.spaces, sweep.tuned))
    return replace(sweep, spaces=spaces, tuned=tuned_spaces), with_ids(overrides)
