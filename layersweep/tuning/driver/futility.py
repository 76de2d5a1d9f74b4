"""When to give a training up: it does not learn at all; or to warn of it: it learns nothing that validates."""

import math
from dataclasses import dataclass
from typing import Final

from layersweep.tuning.experiment.options import TRUSTED_STEPS
from layersweep.tuning.storage.recorded_attempt import Metrics
from trainables.data.dataset import Data

SIGNIFICANCE: Final = 1e-3
"""Of the test that an accuracy is above the largest class's share."""

_EPOCHS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Why a training is hopeless and to be ended, or else why its reader is to be warned."""

    ended: bool
    reason: str


def prepare() -> None:
    """Imports what the test needs, a second or more: else all slots would wait for it at the first judgement."""
    import scipy.special  # noqa: F401


def judge(first: Metrics, last: Metrics, data: Data, *, epoch: int, steps_an_epoch: int) -> Verdict | None:
    """Judges a training by its first epoch and its last so far; None if there is nothing to say.

    Nothing is said before 2 epochs and 500 steps, nor of one whose first or last epoch has a number that is not
    finite: that is divergence.

    - Hopeless: the last epoch's training accuracy is not above the share of the largest class (one-sided binomial
      test), and its loss not below the first epoch's.
    - A warning: the training accuracy is above that share, and the validation accuracy is not.

    Args:
        first: the metrics of epoch 1.
        last: those of the last epoch so far.
        data: what is trained on, and validated.
        epoch: the last one's number.
        steps_an_epoch: batches of an epoch.
    """
    if epoch < _EPOCHS or epoch * steps_an_epoch < TRUSTED_STEPS:
        return None
    if not all(map(math.isfinite, (first["loss"], last["loss"], last["accuracy"], last["val_accuracy"]))):
        return None
    after = f"after {epoch} epochs: training accuracy {_share(last['accuracy'])}"
    largest = f"above the largest class's share {_share(data.majority_share)}"
    trained = _chance(last["accuracy"], data.train_images, data.majority_share)
    if trained > SIGNIFICANCE:
        lost = f"its loss {last['loss']:.4f} is not below the first epoch's {first['loss']:.4f}"
        reason = f"at chance {after} is not {largest} (binomial test, p = {trained:.2g}), and {lost}"
        return None if last["loss"] < first["loss"] else Verdict(ended=True, reason=reason)
    validated = _chance(last["val_accuracy"], data.validation_images, data.majority_share)
    test = f"(binomial test over {data.validation_images:,} images, p = {validated:.2g})"
    reason = f"but validation accuracy {_share(last['val_accuracy'])} is not {test}"
    reason = f"learns what does not validate {after} is {largest}, {reason}; {_LAG}"
    return Verdict(ended=False, reason=reason) if validated > SIGNIFICANCE else None


_LAG: Final = "averages of batch normalisation that lag do that: try normalization_momentum=0.9"


def _chance(accuracy: float, images: int, majority_share: float) -> float:
    """The probability of at least this accuracy for one that names the largest class, or any at its share."""
    from scipy.special import bdtrc  # scipy.stats takes three times as long to import

    return float(bdtrc(round(accuracy * images) - 1, images, majority_share))


def _share(share: float) -> str:
    return f"{share:.4f}".removeprefix("0")
