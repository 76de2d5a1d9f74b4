"""How long a sweep still takes: one estimate, for the terminal, for the page and for whoever follows a job.

It knows trials and seconds only, whether they come from a driver's events or from the records
(`layersweep.records.recorded_times`). What made earlier estimates jump, and what is done about it:

- Arms take unequal time: each arm is counted with the seconds of its own epochs, an arm that has not run yet with those
  of earlier commands, scaled to the machine as it is now, or else with the mean of the arms that have run. Nothing is
  estimated while that is a guess: as long as arms that nobody has seen are expected to change the sum by a fifth.
- Tracing and measuring happen once for each trial, and starting a process once for each slot: they are no part of an
  epoch's seconds. Of short trials, nothing is estimated before one has ended.
- A scheduler stops trials: how far they get is the Kaplan-Meier estimate of those that ran, so that the trials that
  still run count too. It begins with the share that each rung is expected to stop.
- Trials that follow from a screening are not planned yet: as many as are expected to survive it are counted, and they
  begin when it has ended. Nothing is estimated before a quarter of the screened trials have ended.
- Slots are idle at the end: trials are laid out on the slots, instead of dividing the sum by them.
"""

import heapq
import math
import operator
from collections import Counter, defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final, Literal

from layersweep.records.questions import SCREENING, TUNING

_LAID_OUT: Final = 2_000
"""With more waiting trials, idle slots at the end do not matter, and the sum is divided by the slots."""
_LARGEST_ERROR: Final = 0.2
_SMALL_ERROR: Final = 0.05
"""The same, as a share of what is behind: close to the end, a large share of what is left is little."""
_SPREAD: Final = 0.85
"""How far arms differ from their mean, as far as is known before any has run."""
_FEWEST_SURVIVORS: Final = 2
_SCREENED: Final = 0.25
_MOST_EPOCHS: Final = 100_000
"""Where trials were stopped is not looked for behind so many epochs."""
_SHORT: Final = 60.0
"""Seconds of the epochs of a trial: of shorter ones, one ends soon."""
_PRIOR_TRIALS: Final = 4
"""What is expected of a scheduler counts as much as so many trials that were seen."""


@dataclass(frozen=True, kw_only=True)
class TrialTime:
    """A trial of a command, as far as its time is known. All times are seconds.

    Attributes:
        arm: what it trains; trials of one arm take equal time.
        question: why it runs (`layersweep.records.questions`).
        epochs: how many are planned.
        epoch: the last epoch that it has trained, in this command or before.
        state: whether it waits for a slot, runs, or has ended.
        epochs_here: how many epochs it has trained in this command.
        epoch_seconds: what training and validating took in all of these epochs.
        once_seconds: what else it took by now, without starting the slot's process: tracing, testing, measuring.
        first_seconds: how long after it got its slot its first epoch ended; None if unknown.
        since_epoch: if it runs, how long ago its last epoch ended, or it began.
        prior_seconds: an epoch of it by the records of earlier commands; None if there are none.
    """

    arm: str
    question: str
    epochs: int
    epoch: int = 0
    state: Literal["waiting", "running", "ended"] = "waiting"
    epochs_here: int = 0
    epoch_seconds: float = 0.0
    once_seconds: float = 0.0
    first_seconds: float | None = None
    since_epoch: float = 0.0
    prior_seconds: float | None = None


def seconds_left(
    trials: Sequence[TrialTime],
    *,
    slots: int,
    follower_epochs: int = 0,
    other_epochs: int = 0,
    search_seconds: float | None = None,
    expected_stops: Mapping[int, float] | None = None,
) -> float | None:
    """About how long the trials of a command still take; None as long as that cannot be told.

    Args:
        trials: those that are planned, in the order in which they are to start; ended ones as well.
        slots: how many train at once, now.
        follower_epochs: the most epochs of the trials that follow when those of `trials` have ended: those that survive
            a screening are compared. 0 once they are planned.
        other_epochs: the epochs of other trials that are not planned yet: of searches.
        search_seconds: how long searches that time limits may still take; their candidates are counted in that alone.
            None without such a search.
        expected_stops: by epoch, the share of screened trials and candidates that a scheduler is expected to stop there
            of those that reach it.
    """
    slots, costs = max(1, slots), _Costs.of(trials)
    longest = max((trial.epochs for trial in trials), default=1)
    if search_seconds is not None:
        trials = [trial for trial in trials if trial.question != TUNING]
    if costs is None or costs.is_guess(trials) or (follower_epochs and not _has_screened(trials)):
        return None
    reach = {
        question: _Reach.of(
            [trial for trial in trials if trial.question == question],
            expected_stops or {} if question in (SCREENING, TUNING) else {},
        )
        for question in {trial.question for trial in trials}
    }
    running = [costs.running(trial, reach[trial.question]) for trial in trials if trial.state == "running"]
    waiting = [costs.waiting(trial, reach[trial.question]) for trial in trials if trial.state == "waiting"]
    waiting += [costs.mean(epochs) for epochs in _portions(other_epochs, longest)]
    seconds = _layout(running, waiting, slots)
    if follower_epochs:
        seconds += _followers(trials, follower_epochs, longest, costs=costs, reach=reach, slots=slots)
    return seconds + (search_seconds or 0.0)


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """What trials cost.

    Attributes:
        epoch: the seconds of an epoch of each arm.
        at_least: those of an arm that has run longer than that without an epoch.
        other_epoch: those of an arm of which nothing is known: the mean of the others.
        deviation: how far an arm is from that mean.
        once: what each trial takes besides its epochs, by arm.
        other_once: that of an arm that has not run.
    """

    epoch: Mapping[str, float]
    at_least: Mapping[str, float]
    other_epoch: float
    deviation: float
    once: Mapping[str, float]
    other_once: float

    @classmethod
    def of(cls, trials: Sequence[TrialTime]) -> "_Costs | None":
        """The costs by these trials; None if nothing is known."""
        measured = _measured(trials)
        priors = {trial.arm: trial.prior_seconds for trial in trials if trial.prior_seconds}
        both = [(measured[arm], prior) for arm, prior in priors.items() if arm in measured]
        scale = sum(now for now, _ in both) / sum(prior for _, prior in both) if both else 1.0
        epoch = {arm: scale * prior for arm, prior in priors.items()} | measured
        if not epoch:
            return None
        once, mean = _once(trials), fmean(epoch.values())
        at_least = _at_least(trials, {*epoch}, mean)
        values = [*epoch.values(), *at_least.values()]
        return cls(
            epoch=epoch,
            at_least=at_least,
            other_epoch=mean,
            deviation=math.sqrt(fmean([(_SPREAD * mean) ** 2, *((seconds - mean) ** 2 for seconds in values)])),
            once=once,
            other_once=median(once.values()) if once else 0.0,
        )

    def is_guess(self, trials: Sequence[TrialTime]) -> bool:
        """Whether the arms of which nothing is known are expected to change the sum of what is left considerably."""
        if not any(trial.state == "ended" for trial in trials):
            shortest = min((self._epoch(trial.arm) * trial.epochs for trial in trials), default=0.0)
            if shortest < _SHORT and any(trial.epochs_here for trial in trials):
                return True
        known, done, unknown = 0.0, 0.0, Counter[str]()
        for trial in trials:
            if trial.arm in self.epoch:
                done += self.epoch[trial.arm] * trial.epochs_here
            if trial.state != "ended" and trial.arm in self.epoch:
                known += self.epoch[trial.arm] * (trial.epochs - trial.epoch)
            elif trial.state != "ended":
                unknown[trial.arm] += trial.epochs - trial.epoch
        epochs = sum(unknown.values())
        error = math.sqrt(sum(number**2 for number in unknown.values()) + epochs**2 / len(self.epoch))
        left = known + epochs * self.other_epoch
        return error * self.deviation > _LARGEST_ERROR * left + _SMALL_ERROR * done

    def mean(self, epochs: float) -> float:
        """A trial of no particular arm."""
        return self.other_once + epochs * self.other_epoch

    def waiting(self, trial: TrialTime, reach: "_Reach") -> float:
        """What a trial that waits will take."""
        return self._once(trial.arm) + self._epoch(trial.arm) * reach.epochs_left(trial)

    def whole(self, trial: TrialTime) -> float:
        """What a new trial of the same arm takes if it is not stopped."""
        return self._once(trial.arm) + self._epoch(trial.arm) * trial.epochs

    def running(self, trial: TrialTime, reach: "_Reach") -> float:
        """What a trial that runs will still take."""
        once = 0.0 if trial.epochs_here else self._once(trial.arm)
        return max(0.0, once + self._epoch(trial.arm) * reach.epochs_left(trial) - trial.since_epoch)

    def _epoch(self, arm: str) -> float:
        return self.epoch.get(arm) or self.at_least.get(arm, self.other_epoch)

    def _once(self, arm: str) -> float:
        return self.once.get(arm, self.other_once)


def _measured(trials: Sequence[TrialTime]) -> dict[str, float]:
    """The mean seconds of an epoch of each arm that has trained one."""
    seconds, epochs = defaultdict[str, float](float), Counter[str]()
    for trial in trials:
        if trial.epochs_here and trial.epoch_seconds:
            seconds[trial.arm] += trial.epoch_seconds
            epochs[trial.arm] += trial.epochs_here
    return {arm: seconds[arm] / number for arm, number in epochs.items()}


def _at_least(trials: Sequence[TrialTime], known: Container[str], mean: float) -> dict[str, float]:
    """The seconds of an epoch of each arm whose first epoch takes longer than the mean by now."""
    starts = [
        trial.first_seconds - trial.epoch_seconds / trial.epochs_here
        for trial in trials
        if trial.first_seconds is not None and trial.epochs_here
    ]
    seconds: dict[str, float] = {}
    for trial in trials:
        if trial.state == "running" and not trial.epochs_here and trial.arm not in known:
            by_now = trial.since_epoch - max(starts, default=math.inf)
            if by_now > mean:
                seconds[trial.arm] = max(by_now, seconds.get(trial.arm, 0.0))
    return seconds


def _once(trials: Sequence[TrialTime]) -> dict[str, float]:
    """What each trial of an arm takes besides its epochs: the median of those that have ended, or have an epoch."""
    ended: defaultdict[str, list[float]] = defaultdict(list)
    running: defaultdict[str, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.epochs_here:
            (ended if trial.state == "ended" else running)[trial.arm].append(trial.once_seconds)
    return {arm: median(values) for arm, values in {**running, **ended}.items()}


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """How far the trials of a question get: the Kaplan-Meier estimate of the share that trains on after each epoch.

    Attributes:
        after: the share that trains on after an epoch; the last one holds for all later epochs.
        sums: the sums of `after` before each epoch: the epochs that a trial is expected to train by then.
    """

    after: Sequence[float]
    sums: Sequence[float]

    @classmethod
    def of(cls, trials: Sequence[TrialTime], expected_stops: Mapping[int, float]) -> "_Reach":
        """The reach of these trials, which have the same question."""
        last = min(_MOST_EPOCHS, max([*expected_stops, *(trial.epoch for trial in trials)], default=0))
        reached = Counter(trial.epoch for trial in trials)
        stopped = Counter(trial.epoch for trial in trials if trial.state == "ended" and trial.epoch < trial.epochs)
        at_risk = len(trials) - reached[0]
        after, sums, share = [1.0], [0.0], 1.0
        for epoch in range(1, last + 1):
            sums.append(sums[-1] + share)
            prior = _PRIOR_TRIALS if epoch in expected_stops else 0
            if at_risk + prior:
                share *= 1.0 - (stopped[epoch] + prior * expected_stops.get(epoch, 0.0)) / (at_risk + prior)
            after.append(share)
            at_risk -= reached[epoch]
        return cls(after=after, sums=sums)

    def share(self, epoch: int) -> float:
        """The share that trains on after an epoch."""
        return self.after[min(epoch, len(self.after) - 1)]

    def epochs_left(self, trial: TrialTime) -> float:
        """The epochs that a trial is expected to train from now on."""
        share = self.share(trial.epoch)
        return (self._epochs_by(trial.epochs) - self._epochs_by(trial.epoch)) / share if share else 0.0

    def _epochs_by(self, epoch: int) -> float:
        last = len(self.after) - 1
        return self.sums[min(epoch, last)] + max(0, epoch - last) * self.after[last]


def _portions(epochs: int, longest: int) -> list[float]:
    """So many epochs, as trials of at most `longest` epochs each; of very many trials, as fewer and longer ones."""
    if epochs <= 0:
        return []
    whole, rest = divmod(epochs, max(1, longest))
    if whole > _LAID_OUT:
        return [epochs / (_LAID_OUT + 1)] * (_LAID_OUT + 1)
    return [float(longest)] * whole + [float(rest)] * bool(rest)


def _layout(running: Sequence[float], waiting: Sequence[float], slots: int) -> float:
    """When the last trial ends, if each starts as soon as a slot is free, in this order."""
    if not running and not waiting:
        return 0.0
    if len(waiting) > _LAID_OUT:
        return max(*running, (sum(running) + sum(waiting)) / slots, *waiting)
    free = [*running, *[0.0] * (slots - len(running))]
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def _followers(
    trials: Sequence[TrialTime],
    most_epochs: int,
    longest: int,
    *,
    costs: _Costs,
    reach: Mapping[str, _Reach],
    slots: int,
) -> float:
    """The time of the trials that follow: of the arms that survive, or are expected to, once the others have ended."""
    first = [trial for trial in trials if trial.question != TUNING]
    if not first:
        return 0.0
    each = most_epochs / longest / len(first)
    """How many trials follow for each survivor."""
    odds = [_survival(trial, reach[trial.question]) for trial in first]
    seconds = [costs.whole(trial) for trial in first]
    survivors = max(sum(odds), min(_FEWEST_SURVIVORS, len(first)))
    mean = sum(map(operator.mul, odds, seconds)) / sum(odds) if sum(odds) else fmean(seconds)
    if {*odds} <= {0.0, 1.0} and survivors * each <= _LAID_OUT:
        lengths = [one for share, one in zip(odds, seconds, strict=True) if share]
        lengths += [mean] * round(survivors - len(lengths))
        return _layout([], lengths * round(each), slots)
    rounds = survivors * each / slots
    idle = (0.5 - 0.5 / slots) * min(1.0, max(0.0, 2.0 * rounds - 1.0))
    """The part of a trial's time that slots are idle at the end, on average over the unknown number of trials."""
    return max(1.0, rounds + idle) * mean


def _has_screened(trials: Sequence[TrialTime]) -> bool:
    """Whether enough trials of a screening have ended to tell how many survive it."""
    screened = [trial for trial in trials if trial.question == SCREENING]
    return sum(trial.state == "ended" for trial in screened) >= _SCREENED * len(screened)


def _survival(trial: TrialTime, reach: _Reach) -> float:
    """How likely a trial is to reach its last epoch."""
    if trial.state == "ended":
        return float(trial.epoch >= trial.epochs)
    share = reach.share(trial.epoch)
    return min(1.0, reach.share(trial.epochs - 1) / share) if share and trial.epochs else 0.0
