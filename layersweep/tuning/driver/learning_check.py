"""Judges whether a training learns: it is hopeless if not at all, and warned of if validation does not follow."""

import math
from dataclasses import dataclass
from typing import Final

from layersweep.tuning.experiment.settings import TRUSTED_STEPS
from layersweep.tuning.storage.recorded_attempt import Metrics
from trainables.data.dataset import Data

SIGNIFICANCE: Final = 1e-3
"""Of the test that an accuracy is above the largest class's share."""

_EPOCHS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a training is hopeless, so that it ends, or else what a person is warned of."""

    hopeless: bool
    reason: str


def prepare() -> None:
    """Imports what the test needs. It takes a second or more, for which all slots would wait at the first judgement."""
    import scipy.special  # noqa: F401


def judge(first: Metrics, last: Metrics, data: Data, *, epoch: int, steps_an_epoch: int) -> Verdict | None:
    """Judges a training by its first epoch and its last so far; None if there is nothing to say.

    There is no verdict before 2 epochs and 500 steps. There is none either if a number of the first or last epoch is
    not finite: that is divergence.

    - Hopeless: the last epoch's training accuracy is not above the share of the largest class (one-sided binomial
      test), and its loss not below the first epoch's.
    - A warning: the training accuracy is above that share, and the validation accuracy is not.

    Args:
        first: the metrics of epoch 1.
        last: those of the last epoch so far.
        data: the training and validation data.
        epoch: the number of the last epoch.
        steps_an_epoch: batches of an epoch.
    """
    if epoch < _EPOCHS or epoch * steps_an_epoch < TRUSTED_STEPS:
        return None
    if not all(map(math.isfinite, (first["loss"], last["loss"], last["accuracy"], last["val_accuracy"]))):
        return None
    after = f"after {epoch} epochs: training accuracy {_share(last['accuracy'])}"
    largest = f"above the largest class's share {_share(data.majority_share)}"
    train_p_value = _chance(last["accuracy"], data.train_images, data.majority_share)
    if train_p_value > SIGNIFICANCE:
        loss_text = f"its loss {last['loss']:.4f} is not below the first epoch's {first['loss']:.4f}"
        reason = f"at chance {after} is not {largest} (binomial test, p = {train_p_value:.2g}), and {loss_text}"
        return None if last["loss"] < first["loss"] else Verdict(hopeless=True, reason=reason)
    validation_p_value = _chance(last["val_accuracy"], data.validation_images, data.majority_share)
    test = f"(binomial test over {data.validation_images:,} images, p = {validation_p_value:.2g})"
    reason = f"but validation accuracy {_share(last['val_accuracy'])} is not {test}"
    reason = f"validation is at chance {after} is {largest}, {reason}; {_LAG}"
    return Verdict(hopeless=False, reason=reason) if validation_p_value > SIGNIFICANCE else None


_LAG: Final = "slow averages of batch normalisation may cause this: try normalization_momentum=0.9"


def _chance(accuracy: float, images: int, majority_share: float) -> float:
    """The probability of at least this accuracy for a guesser that is right with the largest class's share."""
    from scipy.special import bdtrc  # scipy.stats takes three times as long to import

    return float(bdtrc(round(accuracy * images) - 1, images, majority_share))


def _share(share: float) -> str:
    return f"{share:.4f}".removeprefix("0")
