"""When to give a training up: it does not learn at all; or to warn of it: it learns nothing that validates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tuning.options import TRUSTED_STEPS

SIGNIFICANCE: Final = 1e-3
"""Of the test that an accuracy is above the largest class's share."""

_EPOCHS: Final = 2


class EpochMeasured(Protocol):
    """What is judged of an epoch; accuracies are shares from 0 to 1."""

    @property
    def epoch(self) -> int:
        """Its number, from 1."""

    @property
    def loss(self) -> float:
        """The training loss."""

    @property
    def accuracy(self) -> float:
        """The training accuracy."""

    @property
    def val_accuracy(self) -> float:
        """The validation accuracy."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a training is hopeless and to be ended, or else why its reader is to be warned."""

    ended: bool
    reason: str


def judge(
    curve: Sequence[EpochMeasured],
    *,
    steps_an_epoch: int,
    train_images: int,
    validation_images: int,
    majority_share: float,
) -> Verdict | None:
    """Judges a training by its epochs so far, from the first; None if there is nothing to say.

    Nothing is said before 2 epochs and 500 steps, nor of one whose first or last epoch has a number that is not
    finite: that is divergence.

    - Hopeless: the last epoch's training accuracy is not above the share of the largest class (one-sided binomial
      test), and its loss not below the first epoch's.
    - A warning: the training accuracy is above that share, and the validation accuracy is not.

    Args:
        curve: the epochs, in their order.
        steps_an_epoch: batches of an epoch.
        train_images: images that the training accuracy is a share of.
        validation_images: the same of the validation accuracy.
        majority_share: the share of the largest class.
    """
    if len(curve) < _EPOCHS or curve[-1].epoch * steps_an_epoch < TRUSTED_STEPS:
        return None
    first, last = curve[0], curve[-1]
    if not all(map(math.isfinite, (first.loss, last.loss, last.accuracy, last.val_accuracy))):
        return None
    trained = _chance(last.accuracy, train_images, majority_share)
    if trained > SIGNIFICANCE:
        return None if last.loss < first.loss else _hopeless(first, last, majority_share, trained)
    validated = _chance(last.val_accuracy, validation_images, majority_share)
    return _warning(last, majority_share, validated, validation_images) if validated > SIGNIFICANCE else None


def _hopeless(first: EpochMeasured, last: EpochMeasured, majority_share: float, p: float) -> Verdict:
    return Verdict(
        ended=True,
        reason=f"at chance after {last.epoch} epochs: training accuracy {_share(last.accuracy)} is not above the "
        f"largest class's share {_share(majority_share)} (binomial test, p = {p:.2g}), and its loss {last.loss:.4f} is "
        f"not below the first epoch's {first.loss:.4f}",
    )


def _warning(last: EpochMeasured, majority_share: float, p: float, images: int) -> Verdict:
    return Verdict(
        ended=False,
        reason=f"learns what does not validate after {last.epoch} epochs: training accuracy {_share(last.accuracy)} is "
        f"above the largest class's share {_share(majority_share)}, but validation accuracy "
        f"{_share(last.val_accuracy)} is not (binomial test over {images:,} images, p = {p:.2g})",
    )


def _chance(accuracy: float, images: int, majority_share: float) -> float:
    """The probability of at least this accuracy for one that names the largest class, or any at its share."""
    from scipy.stats import binomtest

    return float(binomtest(round(accuracy * images), images, majority_share, alternative="greater").pvalue)


def _share(share: float) -> str:
    return f"{share:.4f}".removeprefix("0")
