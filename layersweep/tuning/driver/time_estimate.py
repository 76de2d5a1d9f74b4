"""How long a plan takes at most, estimated from recorded trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from layersweep.formatting import count, duration
from layersweep.tuning.experiment.search_clock import wall
from layersweep.tuning.experiment.trials import Trial


@dataclass(frozen=True, kw_only=True)
class TrialToRun:
    """A trial that is to run, and the epoch after which it continues (0: it begins)."""

    trial: Trial
    start_epoch: int

    @property
    def epochs(self) -> int:
        """The epochs that are left."""
        return self.trial.epochs - self.start_epoch


@dataclass(frozen=True, kw_only=True)
class TimeEstimate:
    """About how long a plan takes at most.

    Attributes:
        slot_seconds: seconds of one slot for all trials that can be estimated.
        unknown_trials: the number of trials that cannot: no trial of their family, data set and image size is recorded.
        search_seconds: the seconds left of each search that time limits; their candidates count in neither of the
            others.
    """

    slot_seconds: float
    unknown_trials: int
    search_seconds: Sequence[float] = ()

    @classmethod
    def of(cls, work: Sequence[tuple[float | None, int]], *, search_seconds: Sequence[float]) -> Self:
        """The estimate for work given as pairs: the recorded seconds for one image (None: unknown), and the images."""
        return cls(
            slot_seconds=sum(seconds * images for seconds, images in work if seconds is not None),
            unknown_trials=sum(seconds is None for seconds, images in work if images),
            search_seconds=search_seconds,
        )

    def text(self, slots: int) -> str:
        """The time on so many slots in words; empty if nothing is left."""
        seconds = self.slot_seconds / slots + wall(self.search_seconds, slots)
        about = f"about {duration(seconds)}"
        if self.unknown_trials and not seconds:
            return "unknown until the first trial is recorded"
        if self.unknown_trials:
            return f"{about}, and {count(self.unknown_trials, 'trial')} without a recorded run to estimate from"
        return f"at most {about}" if seconds else ""
