"""Candidates of a search that are refused by an estimate, once they are built and before they are trained."""

import re
from dataclasses import dataclass
from typing import Final

from layersweep.records.tables import TOO_LARGE, TOO_SLOW
from layersweep.records.values import Built
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment import memory_estimate
from layersweep.tuning.experiment.trials import Trial
from layersweep.words import GIB, exact_duration

_PASSES: Final = 3
"""A training step takes about three times the operations of a forward pass: backward takes two."""

_SHARE: Final = re.compile(r"a slot's share is (\d+\.\d\d) GiB")


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """What a candidate may take besides its slot's share of memory.

    Attributes:
        seconds_left: the time that its search has left; None if nothing bounds it.
        flops_per_second: the most that any training here has done, so that what it calls too slow is; None if unknown.
    """

    seconds_left: float | None = None
    flops_per_second: float | None = None

    def epoch_seconds(self, flops: int, images: int) -> float | None:
        """The least time of an epoch of so many images, each of so many operations forward; None if it is not known."""
        return None if self.flops_per_second is None else epoch_flops(flops, images) / self.flops_per_second

    def too_slow(self, flops: int, images: int) -> bool:
        """Whether one epoch takes longer than what is left."""
        seconds = self.epoch_seconds(flops, images)
        return seconds is not None and self.seconds_left is not None and seconds > self.seconds_left


def epoch_flops(flops: int, images: int) -> int:
    """The operations of an epoch: `flops` are those of one image's forward pass (`layersweep.records.values.Built`)."""
    return _PASSES * flops * images


def refusal(built: Built, limits: SearchLimits, trial: Trial, *, share_bytes: int) -> Error | None:
    """Why a candidate is not trained, if so.

    Args:
        built: the candidate's network.
        limits: what it may take.
        trial: the candidate.
        share_bytes: the memory that its slot may use.
    """
    batch_size, precision, train_images = trial.arm.batch_size, trial.precision, trial.data.train_images
    if memory_estimate.step_bytes(built, batch_size=batch_size, precision=precision) > share_bytes:
        needed = memory_estimate.said(built, batch_size=batch_size, precision=precision)
        share = f"a slot's share is {share_bytes / GIB:.2f} GiB"
        return Error(type=TOO_LARGE, message=f"{needed}; {share}: use a smaller batch_size or fewer --slots")
    if limits.too_slow(built.flops, train_images):
        least, left = limits.epoch_seconds(built.flops, train_images) or 0.0, limits.seconds_left or 0.0
        return Error(
            type=TOO_SLOW,
            message=f"by estimate an epoch takes at least {estimated(least)}, and the search has "
            f"{estimated(left)} left: use a larger --time-budget or fewer --images",
        )
    return None


def estimated(seconds: float) -> str:
    """A time in words, to three digits."""
    return exact_duration(float(f"{seconds:.3g}"))


def stands(error: Error, limits: SearchLimits, *, flops: int, train_images: int, share_bytes: int) -> bool:
    """Whether a candidate that was refused with this error would be refused again.

    Too large: where the share of a slot is no larger than the one that the error names. Too slow: by the estimate anew.
    """
    if error.type == TOO_SLOW:
        return limits.too_slow(flops, train_images)
    named = _SHARE.search(error.message)
    return error.type == TOO_LARGE and named is not None and round(share_bytes / GIB, 2) <= float(named[1])
