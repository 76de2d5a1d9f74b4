"""Trials that wait for a slot, in order or, where that pays, with a slot's trials of one arm after another."""

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator

from layersweep.tuning.experiment.trials import Trial


class WaitingTrials:
    """A queue of trials.

    Args:
        together: whether a slot that has just trained an arm is given the same arm again. Its process then has the
            model and its optimizer at hand, traced and compiled (of an arm with equal layers the model alone); but a
            sweep that is cut short has some arms on all seeds, and others on none.
    """

    def __init__(self, *, together: bool) -> None:
        self._together = together
        self._queues: OrderedDict[str, deque[Trial]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[Trial]:
        for queue in self._queues.values():
            yield from queue

    def append(self, trial: Trial) -> None:
        """Puts a trial at the end."""
        self._queues.setdefault(self._name(trial), deque()).append(trial)

    def append_first(self, trial: Trial) -> None:
        """Puts a trial at the front."""
        name = self._name(trial)
        self._queues.setdefault(name, deque()).appendleft(trial)
        self._queues.move_to_end(name, last=False)

    def take(
        self, *, after: str | None, running: Container[str], ready: Callable[[Trial], bool] = lambda _trial: True
    ) -> Trial | None:
        """The next trial for a slot that has trained the arm `after`, while those of the arms `running` run.

        None if none waits that is ready.
        """
        own = [] if after is None or after not in self._queues else [after]
        idle = (name for name in self._queues if name not in running)
        for name in itertools.chain(own, idle, self._queues):
            trial = next((trial for trial in self._queues[name] if ready(trial)), None)
            if trial is not None:
                self.remove(trial)
                return trial
        return None

    def remove(self, trial: Trial) -> None:
        """Takes out a trial that waits.

        Raises:
            KeyError, ValueError: if it does not.
        """
        name = self._name(trial)
        self._queues[name].remove(trial)
        if not self._queues[name]:
            del self._queues[name]

    def _name(self, trial: Trial) -> str:
        return trial.arm.name if self._together else ""
