"""Judges whether a training learns: it is hopeless if not at all, and warned of if validation does not follow.

The rules and their error rates are in docs/decisions/early_stopping.md.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from layersweep.formatting import count
from layersweep.records.values import ClassCounts, Epoch, NetworkSummary
from layersweep.tuning.common.chance_test import p_value
from layersweep.tuning.experiment.settings import TRUSTED_STEPS
from layersweep.tuning.storage.recorded_attempt import Metrics

SIGNIFICANCE: Final = 1e-3
"""Of each test that something is shown."""

_NO_SIGN: Final = 0.05
"""Validation predictions of a larger p show no sign of the labels. A small set of an overfitted network shows some."""

_EPOCHS: Final = 2
_CAUGHT_UP: Final = 10.0
"""Steps times (1 - momentum) after which averages of batch normalisation follow the weights."""

_SHORT: Final = 0.9
"""A momentum with which they follow in 100 steps."""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What else is known of a training after an epoch.

    Attributes:
        steps: the steps so far.
        all_steps: those of the whole training.
        network: its network; None if it is not known.
        input_range: its key `input_range`; None if its family has no such key.
    """

    steps: int
    all_steps: int
    network: NetworkSummary | None = None
    input_range: object = None


def prepare() -> None:
    """Imports what the tests need. It takes a second or more, for which all slots would wait at the first judgement."""
    import scipy.special  # noqa: F401


def hopeless_reason(first: Metrics, last: Epoch, *, steps: int) -> str | None:
    """Why a training is hopeless by its first epoch and its last so far, after this number of steps; None if it is not.

    It is if, after 2 epochs and 500 steps, the training predictions do not depend on the labels (permutation test), and
    the loss is not below the first epoch's. Nothing is said of numbers that are not finite: that is divergence.
    """
    if last.epoch < _EPOCHS or steps < TRUSTED_STEPS or last.train_counts is None:
        return None
    if not all(map(math.isfinite, (first["loss"], last.loss))) or last.loss < first["loss"]:
        return None
    chance = p_value(last.train_counts)
    if chance <= SIGNIFICANCE:
        return None
    return (
        f"at chance after {last.epoch} epochs: training accuracy {_share(last.accuracy)} with predictions that do not "
        f"depend on the labels (permutation test, p = {chance:.2g}), and a loss {last.loss:.4f} that is not below the "
        f"first epoch's {first['loss']:.4f}"
    )


def lag_warning(last: Epoch, facts: TrainingFacts) -> str | None:
    """What to say if a training learns and its validation stays at chance, with the likely cause; else None.

    That is if the training predictions depend on the labels and the validation predictions do not (permutation tests),
    though these would, if each class were recognised as often as in training. Before 500 steps nothing is said of
    batch normalisation whose averages will follow in time.
    """
    train, validation = last.train_counts, last.val_counts
    if last.diverged or train is None or validation is None or not _falls_short(train, validation):
        return None
    chance = p_value(validation)
    if chance <= _NO_SIGN or p_value(train) > SIGNIFICANCE:
        return None
    cause = _cause_in_normalization(facts)
    if cause and facts.steps < TRUSTED_STEPS and not _cause_in_normalization(replace(facts, steps=facts.all_steps)):
        return None
    accuracies = f"accuracy {_share(last.val_accuracy)}, in training {_share(last.accuracy)}"
    images = count(sum(validation.images), "image")
    return (
        f"validation is at chance after {count(last.epoch, 'epoch')} ({accuracies}); {cause or _other_cause(facts)} "
        f"(its predictions do not depend on the labels: permutation test over {images}, p = {chance:.2g})"
    )


def _falls_short(train: ClassCounts, validation: ClassCounts) -> bool:
    """Whether validation is right less often than with the recalls of training: of all images or of some class.

    So a set that is too small to show anything is no sign. The sum of hits of several rates varies no more than a
    binomial number of their mean (Hoeffding 1956). The tests share the significance (Bonferroni).
    """
    from scipy.special import bdtr

    recalls = [(hits + 1) / (images + 2) for hits, images in zip(train.hits, train.images, strict=True)]
    expected = sum(recall * images for recall, images in zip(recalls, validation.images, strict=True))
    images = sum(validation.images)
    tests = [
        (sum(validation.hits), images, expected / images),
        *zip(validation.hits, validation.images, recalls, strict=True),
    ]
    return min(float(bdtr(*test)) for test in tests if test[1]) * len(tests) <= SIGNIFICANCE


def _follow(momentum: float, steps: int) -> bool:
    """Whether averages of batch normalisation follow the weights after so many steps."""
    return steps >= TRUSTED_STEPS and steps * (1 - momentum) >= _CAUGHT_UP


def _cause_in_normalization(facts: TrainingFacts) -> str:
    """The cause if batch normalisation is it; empty if its averages follow the weights, or there is none."""
    momentum = facts.network.normalization_momentum if facts.network is not None else None
    if momentum is None or _follow(momentum, facts.steps):
        return ""
    steps = count(facts.steps, "step")
    if momentum > _SHORT and facts.steps * (1 - momentum) < _CAUGHT_UP:
        averages = f"averages of batch normalisation (momentum {momentum:g}) lag behind after {steps}"
        return f"{averages}: try normalization_momentum={_SHORT:g}"
    return (
        f"batch normalisation (momentum {momentum:g}) differs between training and validation while weights change "
        f"fast, as in the first {steps}: try more epochs"
    )


def _other_cause(facts: TrainingFacts) -> str:
    if facts.input_range == "raw":
        return "input_range=raw gives the base pixels of another range than its weights had: try input_range=own"
    kinds = {layer.kind for layer in facts.network.layers} if facts.network is not None else SCALING_LAYERS
    if not kinds & SCALING_LAYERS:
        return "the network has no layer that scales pixels of 0 to 255: add keras.layers.Rescaling(1 / 255)"
    return (
        "averages of batch normalisation do not explain this: check that validation images look like the training "
        "images, that a base gets pixels in the range of its weights, and whether the network has learned the training "
        "images by heart"
    )


SCALING_LAYERS: Final = frozenset({"Rescaling", "Normalization", "Standardization"})
"""The layers that bring pixels of 0 to 255 into a network's range."""


def _share(share: float) -> str:
    return f"{share:.4f}".removeprefix("0")
