"""Checks of arms against the data and against their pretrained weights, before any trial starts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import visible_data
from trainables.data.dataset import Data
from trainables.errors import ConfigError, DataError, WeightsError
from trainables.keys import Keys

if TYPE_CHECKING:
    from trainables.worker.model_check import ModelSpec


def check_images(sweep: Sweep, arms: Sequence[Arm], data: Data, *, folds: int = 0) -> list[str]:
    """Refuses arms whose family cannot take the data's images or classes.

    Returns:
        Sentences about what is done to the images for a family, such as giving grey images three channels.

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
    if not families_in_colour:
        return []
    return [f"grey images get three equal channels for {', '.join(dict.fromkeys(families_in_colour))}"]


def model_spec(arm: Arm, family: str, data: Data, weight_files: Mapping[str, object] | None = None) -> "ModelSpec":
    """The model of an arm; `weight_files` replaces values of its configuration."""
    from trainables.worker.model_check import ModelSpec

    arm_data = visible_data(arm, data)
    return ModelSpec(
        family=family,
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
        model_spec(arm, sweep.family_of(arm), data, kept_weights.weight_files(arm.stated, results)): arm
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
