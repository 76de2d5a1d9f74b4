"""Whether results are from the first steps of a network with batch normalisation, where the ranking means little.

In validation, batch normalisation uses moving averages that begin at 0 and 1 (Ioffe & Szegedy 2015, arXiv:1502.03167).
After n steps, momentum^n of these initial values is left: e^-5 = .7 % after 5 / (1 - momentum) steps, which is 500 at
Keras' default of .99. Measured in this project: an accuracy of .107 after 130 steps, and of .9 later.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from layersweep.studies.statistics.replicates import configuration

LAYER_COLUMNS: Final = ("trial_id", "kind", "trainable")
"""The columns of the table `layers` that are read here."""

KERAS_MOMENTUM: Final = 0.99
"""The default of Keras' layer."""
FAMILY_MOMENTUM: Final[Mapping[str, float]] = {"mobilenet_v2": 0.999, "mobilenet_v3_small": 0.999}
"""The families whose network in keras.applications has another momentum."""
SHORT_MOMENTUM: Final = 0.9
"""The momentum that is recommended for few steps: 50 are enough."""

_KIND: Final = "BatchNormalization"
_KEY: Final = "normalization_momentum"
_TIME_CONSTANTS: Final = 5


class WarmUp(NamedTuple):
    """The arms whose results are from a warm-up, sorted, and a sentence of at most 30 words for the reader."""

    arms: tuple[str, ...]
    sentence: str


class _Training(NamedTuple):
    """The shortest training of an arm, with the momentum of its batch normalisation."""

    arm: str
    epochs: int
    steps_an_epoch: int
    momentum: float

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_an_epoch

    def epochs_needed(self, momentum: float) -> int:
        return math.ceil(steps_needed(momentum) / self.steps_an_epoch)


def steps_needed(momentum: float) -> int:
    """The steps after which .7 % of the initial averages are left: 500 for a momentum of .99, 50 for .9."""
    return math.ceil(round(_TIME_CONSTANTS / (1 - momentum), 6))


def warm_up(rows: pl.DataFrame, layers: pl.DataFrame) -> WarmUp | None:
    """The completed arms with fewer steps than their batch normalisation needs; None if there is none.

    Batch normalisation that is frozen does not count, because its averages do not move. A step is a batch; the last one
    of an epoch may be smaller. An arm of which no layer is recorded counts only if its configuration has
    `batch_normalization`, or sets `normalization_momentum` for a network that is trained.

    Args:
        rows: as `Replicates.rows`.
        layers: the table `layers`, with `LAYER_COLUMNS` at least; rows of other trials do no harm.
    """
    completed = rows.filter(pl.col("outcome") == "completed").drop_nulls(["train_images", "config_json"])
    trainings = [_shortest_training(arm, part) for (arm,), part in completed.group_by("arm", maintain_order=True)]
    short = [one for one in trainings if one is not None and one.steps < steps_needed(one.momentum)]
    normalized = _normalized_arms(completed.filter(pl.col("arm").is_in([one.arm for one in short])), layers)
    concerned = [one for one in short if one.arm in normalized]
    if not concerned:
        return None
    momenta = {one.momentum for one in trainings if one is not None}
    sentence = _sentence(concerned, completed["arm"].n_unique(), can_set_momentum=len(momenta) == 1)
    return WarmUp(tuple(sorted(one.arm for one in concerned)), sentence)


def _sentence(short: Sequence[_Training], compared: int, *, can_set_momentum: bool) -> str:
    worst = max(short, key=lambda one: one.epochs_needed(one.momentum))
    scope = "" if len(short) == compared else f" for {len(short)} of {compared} arms"
    momentum = f"{worst.momentum:g}".removeprefix("0")
    flags = f"--epochs {worst.epochs_needed(worst.momentum)}"
    if can_set_momentum and worst.momentum > SHORT_MOMENTUM:
        epochs = max(one.epochs_needed(SHORT_MOMENTUM) for one in short)
        is_enough = all(one.steps >= steps_needed(SHORT_MOMENTUM) for one in short)
        flags += f" or {'' if is_enough else f'--epochs {epochs} with '}--set {_KEY}={SHORT_MOMENTUM}"
    return (
        f"After {worst.steps:,} steps the ranking is one of warm-up{scope}: batch normalisation at momentum {momentum} "
        f"needs {steps_needed(worst.momentum):,}. Use {flags}."
    )


def _normalized_arms(rows: pl.DataFrame, layers: pl.DataFrame) -> set[str]:
    """The arms with a batch normalisation that is trained."""
    ids = rows["trial_id"].unique().to_list()
    own_layers = layers.filter(pl.col("trial_id").is_in(ids)).select(
        pl.col("trial_id", "kind").cast(pl.String), "trainable"
    )
    recorded = own_layers.unique().join(rows.select("trial_id", "arm").unique(), on="trial_id")
    is_trained = (pl.col("kind") == _KIND) & pl.col("trainable")
    normalized = set(recorded.filter(is_trained)["arm"])
    unrecorded = rows.filter(~pl.col("arm").is_in(recorded["arm"].unique().to_list()))
    configs = unrecorded.select("arm", "config_json").rows()
    return normalized | {arm for arm, text in configs if _states_normalization(configuration(text))}


def _states_normalization(config: Mapping[str, Any]) -> bool:
    if "batch_normalization" in config:
        return bool(config["batch_normalization"])
    return bool(config.get(_KEY)) and config.get("trained") != "none"


def _momentum(config: Mapping[str, Any], family: str | None) -> float:
    return float(config.get(_KEY) or FAMILY_MOMENTUM.get(family or "", KERAS_MOMENTUM))


def _shortest_training(arm: object, part: pl.DataFrame) -> _Training | None:
    """The training of an arm with the fewest steps; None if no batch size is recorded."""
    columns = ("epochs_reached", "train_images", "config_json", "family")
    trainings = [
        _Training(str(arm), epochs, math.ceil(images / config["batch_size"]), _momentum(config, family))
        for epochs, images, text, family in part.select(columns).rows()
        if (config := configuration(text)).get("batch_size")
    ]
    return min(trainings, key=lambda one: one.steps, default=None)
