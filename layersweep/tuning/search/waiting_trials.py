"""Trials that wait for a slot: in order or, where that saves time, one arm after another on each slot."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator

from layersweep.tuning.experiment.trials import Trial


class WaitingTrials:
    """A queue of trials.

    Args:
        by_arm: whether a slot that has just trained an arm gets the same arm again. Its process then has the model and
            its optimizer at hand, traced and compiled (for an arm with equal layers the model alone). But a sweep that
            is cut short then has some arms on all seeds, and others on none.
    """

    def __init__(self, *, by_arm: bool) -> None:
        self._by_arm = by_arm
        self._queues: OrderedDict[str, deque[Trial]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Trial]:
        for queue in self._queues.values():
            yield from queue

    def append(self, trial: Trial) -> None:
        """Puts a trial at the end."""
        self._queues.setdefault(self._queue_name(trial), deque()).append(trial)

    def append_first(self, trial: Trial) -> None:
        """Puts a trial at the front."""
        name = self._queue_name(trial)
        self._queues.setdefault(name, deque()).appendleft(trial)
        self._queues.move_to_end(name, last=False)

    def pop(
        self,
        *,
        last_arm: str | None,
        running_arms: Container[str],
        is_ready: Callable[[Trial], bool] = lambda _trial: True,
    ) -> Trial | None:
        """Takes out the next trial for a slot that has trained `last_arm`; None if no trial is ready."""
        same_arm = [] if last_arm is None or last_arm not in self._queues else [last_arm]
        idle_arms = (name for name in self._queues if name not in running_arms)
        for name in itertools.chain(same_arm, idle_arms, self._queues):
            trial = next((trial for trial in self._queues[name] if is_ready(trial)), None)
            if trial is not None:
                self.remove(trial)
                return trial
        return None

    def remove(self, trial: Trial) -> None:
        """Takes out a trial.

        Raises:
            KeyError, ValueError: if it does not wait.
        """
        name = self._queue_name(trial)
        self._queues[name].remove(trial)
        if not self._queues[name]:
            del self._queues[name]

    def _queue_name(self, trial: Trial) -> str:
        return trial.arm.name if self._by_arm else ""
