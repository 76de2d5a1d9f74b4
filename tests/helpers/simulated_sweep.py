"""A sweep that runs in simulated time: what the estimate of the time left is shown at each epoch, and what is true."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from layersweep.records.time_left import TrialTime, seconds_left

START_UP = 8.0
"""Seconds for starting a slot's process: only the first trial of each slot has them."""
TRACING = 3.0
MEASURING = 2.0


@dataclass(frozen=True)
class Shown:
    """What is estimated at a time, and what is true."""

    time: float
    estimate: float | None
    truth: float


@dataclass
class Simulation:
    """Trials on slots: arms by the seconds of their epochs.

    With `rungs`, the arms are screened on one seed: at each of these epochs a trial is stopped unless it is among the
    best third of those that have reached it by then. Those that survive are compared on `seeds`.
    """

    arms: Mapping[str, float]
    seeds: int
    epochs: int = 10
    slots: int = 4
    rungs: Sequence[int] = ()
    priors: Mapping[str, float] = field(default_factory=dict)
    more_slots: tuple[float, int] | None = None
    by_arm: bool = False
    seed: int = 1

    def run(self) -> list[Shown]:
        """What is shown after each epoch."""
        self._random = random.Random(self.seed)
        self._values: dict[int, list[float]] = {rung: [] for rung in self.rungs}
        self._trials: dict[int, TrialTime] = {}
        self._last: dict[int, float] = {}
        self._epoch_at: dict[int, float] = {}
        self._queue: list[int] = []
        self._followers = len(self.arms) * self.seeds * self.epochs if self.rungs else 0
        self._plan(self._order(1 if self.rungs else self.seeds), "screening" if self.rungs else "comparison")
        shown, end = [], 0.0
        for time in self._events():
            end = time
            shown.append((time, self._estimate(time)))
        return [Shown(time, estimate, end - time) for time, estimate in shown]

    def _order(self, seeds: int, arms: Sequence[str] | None = None) -> Iterator[str]:
        names = list(self.arms if arms is None else arms)
        if self.by_arm:
            return iter([name for name in names for _ in range(seeds)])
        return iter([name for _ in range(seeds) for name in self._random.sample(names, len(names))])

    def _plan(self, arms: Iterator[str], question: str) -> None:
        for arm in arms:
            number = len(self._trials)
            self._trials[number] = TrialTime(
                arm=arm, question=question, epochs=self.epochs, prior_seconds=self.priors.get(arm)
            )
            self._queue.append(number)

    def _events(self) -> Iterator[float]:
        order = itertools.count()
        events: list[tuple[float, int, Callable[[float], None]]] = []

        def add(time: float, do: Callable[[float], None]) -> None:
            heapq.heappush(events, (time, next(order), do))

        def next_trial(time: float, start_up: float = 0.0) -> None:
            if self._queue:
                number = self._queue.pop(0)
                trial = self._trials[number]
                self._trials[number] = replace(trial, state="running")
                self._epoch_at[number] = time
                self._last[number] = seconds = self._seconds(trial)
                add(time + start_up + TRACING + seconds, lambda at: epoch(number, at))

        def epoch(number: int, time: float) -> None:
            trial = self._trials[number]
            first = trial.first_seconds if trial.epochs_here else time - self._epoch_at[number]
            self._epoch_at[number] = time
            trial = replace(
                trial,
                epoch=trial.epoch + 1,
                epochs_here=trial.epochs_here + 1,
                epoch_seconds=trial.epoch_seconds + self._last[number],
                once_seconds=TRACING,
                first_seconds=first,
            )
            self._trials[number] = trial
            is_stopped = self._is_stopped(trial)
            if is_stopped:
                self._trials[number] = replace(trial, state="ended")
            if is_stopped or trial.epoch == trial.epochs:
                add(time + MEASURING, lambda at: end(number, at))
            else:
                self._last[number] = seconds = self._seconds(trial)
                add(time + seconds, lambda at: epoch(number, at))

        def end(number: int, time: float) -> None:
            self._trials[number] = replace(self._trials[number], state="ended", once_seconds=TRACING + MEASURING)
            if not self._queue and all(trial.state == "ended" for trial in self._trials.values()) and self._followers:
                self._followers = 0
                survivors = [trial.arm for trial in self._trials.values() if trial.epoch == trial.epochs]
                survivors += [arm for arm in self.arms if arm not in survivors][: max(0, 2 - len(survivors))]
                self._plan(self._order(self.seeds, survivors), "comparison")
                for _ in range(self.slots):
                    next_trial(time)
            else:
                next_trial(time)

        for _ in range(self.slots):
            next_trial(0.0, START_UP)
        if self.more_slots is not None:
            at, slots = self.more_slots
            add(at, lambda _time: setattr(self, "slots", self.slots + slots))
            for _ in range(slots):
                add(at, lambda time: next_trial(time, START_UP))
        while events:
            time, _, do = heapq.heappop(events)
            do(time)
            yield time

    def _is_stopped(self, trial: TrialTime) -> bool:
        if trial.question != "screening" or trial.epoch not in self.rungs:
            return False
        values, value = self._values[trial.epoch], self._random.random()
        values.append(value)
        return value < sorted(values)[-math.ceil(len(values) / 3)]

    def _seconds(self, trial: TrialTime) -> float:
        return self.arms[trial.arm] * self._random.uniform(0.9, 1.1)

    def _estimate(self, time: float) -> float | None:
        trials = [
            replace(trial, since_epoch=time - self._epoch_at[number]) if trial.state == "running" else trial
            for number, trial in self._trials.items()
        ]
        return seconds_left(
            trials, slots=self.slots, follower_epochs=self._followers, expected_stops=dict.fromkeys(self.rungs, 2 / 3)
        )
