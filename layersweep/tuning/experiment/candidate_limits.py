"""Refuses candidates of a search by an estimate, after they are built and before they are trained.

A candidate is too large if a step takes more memory than its slot's share, and too slow if one epoch takes longer than
the search's time left, at the highest rate that any training of this sweep has shown: so what is refused is too slow
for certain. A refusal is a failed trial, but it neither ends the sweep (`--fail-fast`) nor makes its exit code 1.
"""

import re
from dataclasses import dataclass
from typing import Final

from layersweep.formatting import GIB, exact_duration
from layersweep.records.tables import TOO_LARGE, TOO_SLOW
from layersweep.records.values import NetworkSummary
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.experiment import memory_estimate
from layersweep.tuning.experiment.trials import Trial

_PASSES: Final = 3
"""A training step takes about three times the operations of a forward pass: the backward pass takes two."""

_SHARE_TEXT: Final = re.compile(r"a slot's share is (\d+\.\d\d) GiB")


@dataclass(frozen=True, kw_only=True)
class SearchLimits:
    """The limits of a candidate, apart from its slot's share of memory.

    Attributes:
        seconds_left: the time that its search has left; None if time does not limit it.
        flops_per_second: the highest rate of any training of this sweep; None if unknown.
    """

    seconds_left: float | None = None
    flops_per_second: float | None = None

    def epoch_seconds(self, flops: int, images: int) -> float | None:
        """The least time of an epoch of so many images, with so many FLOPs for each forward pass; None if unknown."""
        return None if self.flops_per_second is None else epoch_flops(flops, images) / self.flops_per_second

    def too_slow(self, flops: int, images: int) -> bool:
        """Whether one epoch takes longer than what is left."""
        seconds = self.epoch_seconds(flops, images)
        return seconds is not None and self.seconds_left is not None and seconds > self.seconds_left


def epoch_flops(flops: int, images: int) -> int:
    """The FLOPs of an epoch; `flops` are those of one image's forward pass."""
    return _PASSES * flops * images


def refusal(network: NetworkSummary, limits: SearchLimits, trial: Trial, *, share_bytes: int) -> Error | None:
    """Why a candidate is refused; None if it is not.

    Args:
        network: the candidate's network.
        limits: its limits.
        trial: the candidate.
        share_bytes: the memory that its slot may use.
    """
    batch_size, precision, train_images = trial.arm.batch_size, trial.precision, trial.data.train_images
    if memory_estimate.step_bytes(network, batch_size=batch_size, precision=precision) > share_bytes:
        memory = memory_estimate.text(network, batch_size=batch_size, precision=precision)
        share = f"a slot's share is {share_bytes / GIB:.2f} GiB"
        return Error(type=TOO_LARGE, message=f"{memory}; {share}: {memory_estimate.advice(network)}")
    if limits.too_slow(network.flops, train_images):
        least_seconds, seconds_left = (
            limits.epoch_seconds(network.flops, train_images) or 0.0,
            limits.seconds_left or 0.0,
        )
        return Error(
            type=TOO_SLOW,
            message=f"by estimate an epoch takes at least {estimated(least_seconds)}, and the search has "
            f"{estimated(seconds_left)} left: use a larger --time-budget or fewer --images",
        )
    return None


def estimated(seconds: float) -> str:
    """A time in words, to three digits."""
    return exact_duration(float(f"{seconds:.3g}"))


def still_refused(error: Error, limits: SearchLimits, *, flops: int, train_images: int, share_bytes: int) -> bool:
    """Whether a candidate that was refused with this error would be refused again.

    It is still too large if the slot's share is no larger than the one that the error names. It is still too slow by a
    new estimate.
    """
    if error.type == TOO_SLOW:
        return limits.too_slow(flops, train_images)
    share = _SHARE_TEXT.search(error.message)
    return error.type == TOO_LARGE and share is not None and round(share_bytes / GIB, 2) <= float(share[1])
