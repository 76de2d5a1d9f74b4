"""How long a plan takes at most, estimated from recorded trials; and how long it still takes while it runs."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from layersweep.formatting import count, duration
from layersweep.records.time_left import TrialTime, seconds_left
from layersweep.records.values import Epoch
from layersweep.tuning.experiment.search_clock import wall
from layersweep.tuning.experiment.trials import Trial

_TRIALS_A_SECOND: Final = 1_000
"""An estimate over so many trials takes milliseconds: then it is made anew after a second, of ten times as many after
ten."""


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


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What is known of a sweep's time besides its events.

    Attributes:
        slots: the number of slots now.
        epoch_seconds: the seconds of an epoch of a trial by earlier commands; None if unknown.
        expected_stops: as in `seconds_left`.
    """

    slots: Callable[[], int] = lambda: 1
    epoch_seconds: Callable[[Trial], float | None] = lambda _trial: None
    expected_stops: Mapping[int, float] = field(default_factory=dict)


class SweepTimes:
    """Keeps the time of each trial by a sweep's events."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._trials: dict[str, TrialTime] = {}
        self._last_event: dict[str, float] = {}
        self._estimate: tuple[float, float | None] | None = None

    def plan(self, trials: Iterable[Trial]) -> None:
        """Trials that are to run."""
        for trial in trials:
            self._trials[trial.trial_id] = TrialTime(
                arm=trial.arm.name,
                question=trial.question,
                epochs=trial.epochs,
                prior_seconds=self._pace.epoch_seconds(trial),
            )

    def start(self, trial: Trial, start_epoch: int) -> None:
        """A slot has started a trial after this epoch."""
        if trial.trial_id not in self._trials:
            self.plan([trial])
        self._change(trial, state="running", epoch=start_epoch)

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """An epoch of a trial has ended."""
        before = self._trials[trial.trial_id]
        other = epoch.seconds_build + epoch.seconds_features + epoch.seconds_test + epoch.seconds_measure
        first = before.first_seconds
        if not before.epochs_here:
            first = time.monotonic() - self._last_event[trial.trial_id]
        self._change(
            trial,
            epoch=epoch.epoch,
            epochs_here=before.epochs_here + 1,
            epoch_seconds=before.epoch_seconds + epoch.seconds_train + epoch.seconds_validate,
            once_seconds=before.once_seconds + other,
            first_seconds=first,
        )

    def end(self, trial: Trial, *, retry: bool) -> None:
        """A trial has ended, or waits to be tried again."""
        if trial.trial_id in self._trials:
            self._change(trial, **{"state": "waiting", "epoch": 0} if retry else {"state": "ended"})

    def seconds_left(self, *, follower_epochs: int, other_epochs: int, search_seconds: float | None) -> float | None:
        """As `layersweep.records.time_left.seconds_left`; of many trials it is computed more rarely."""
        now = time.monotonic()
        if self._estimate is not None and now - self._estimate[0] < len(self._trials) // _TRIALS_A_SECOND:
            return self._estimate[1]
        trials = [
            replace(trial, since_epoch=now - self._last_event[name]) if trial.state == "running" else trial
            for name, trial in self._trials.items()
        ]
        left = seconds_left(
            trials,
            slots=self._pace.slots(),
            follower_epochs=follower_epochs,
            other_epochs=other_epochs,
            search_seconds=search_seconds,
            expected_stops=self._pace.expected_stops,
        )
        self._estimate = now, left
        return left

    def _change(self, trial: Trial, **changes: Any) -> None:
        self._trials[trial.trial_id] = replace(self._trials[trial.trial_id], **changes)
        self._last_event[trial.trial_id] = time.monotonic()
