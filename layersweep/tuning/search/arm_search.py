"""The search of one tuned arm: candidates within a budget of epochs, then the best of them on fresh seeds."""

from collections.abc import Callable, Container, Sequence
from typing import Final

from layersweep.tuning.experiment.search_clock import SearchClock
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.search.samplers import Sampler, NotYet
from trainables import config as domains

_SPENT: Final = ("completed", "stopped", "diverged", "hopeless")


class ArmSearch:
    """Draws trials one after another, spending `budget` epochs on candidates of `epochs` at most.

    A candidate is drawn only if the budget suffices for as many epochs: what is left at the end is less than that. It
    takes those that it may have itself, where that is fewer. Failed candidates count as if they had run to their end,
    so that an arm whose trainings all fail comes to an end.

    Args:
        drawer: draws configurations; it stands behind the recorded ones.
        make: makes a configuration into the candidate of that number.
        recorded: the candidates of earlier commands, in their order.
        compare: the trials that compare the chosen candidate.
        following: the epochs that these trials take.
        budget: epochs; None for no limit.
        epochs: those of a candidate, at most.
        mode: whether the metric is better when greater (max) or smaller (min).
        at_once: how many candidates may run at the same time; None for as many as there are slots.
        time: what bounds the time in which its candidates run: once it is spent none is drawn; None for no limit.
    """

    def __init__(
        self,
        *,
        drawer: Sampler,
        make: Callable[[domains.Dataclass, int], Trial],
        recorded: Sequence[Trial],
        compare: Callable[[Trial], Sequence[Trial]],
        following: int,
        budget: int | None,
        epochs: int,
        mode: str,
        at_once: int | None = None,
        time: SearchClock | None = None,
    ) -> None:
        self._drawer, self._make, self._compare = drawer, make, compare
        self._budget, self._epochs, self._following, self._mode = budget, epochs, following, mode
        self._at_once, self._time = at_once, time
        self.recorded = list(recorded)
        self._numbers = max((t.candidate or 0 for t in recorded), default=-1) + 1
        self._open = {t.trial_id: t for t in recorded}
        self._ended: dict[str, tuple[Trial, Ending]] = {}
        self._exhausted = self._idle = self._compared = False
        self._ahead: Trial | None = None

    def next(self) -> Trial | None:
        """The next candidate; None while those that run take the budget or all places, or it is spent."""
        if self._at_once is not None and len(self._open) >= self._at_once:
            return None
        trial, self._ahead = self._ahead or self._draw(), None
        if trial is not None:
            self._open[trial.trial_id] = trial
        return trial

    def _draw(self) -> Trial | None:
        if not self._may_draw:
            return None
        config = self._drawer.draw()
        if isinstance(config, NotYet):
            return None
        if config is None:
            self._idle, self._exhausted = True, not self._open  # it may wait for how those that run end
            return None
        trial = self._make(config, self._numbers)
        self._numbers += 1
        return trial

    def owns(self, trial: Trial) -> bool:
        """Whether the trial is one of its candidates that have not ended."""
        return trial.trial_id in self._open

    def started(self, trial: Trial) -> None:
        """A slot has taken one of its candidates."""
        if self._time is not None:
            self._time.started(trial.trial_id)

    def paused(self, trial: Trial) -> None:
        """One of its candidates has lost its process, and waits."""
        if self._time is not None:
            self._time.ended(trial.trial_id)

    @property
    def out_of_time(self) -> str | None:
        """Why its candidates are to end now, if its time is spent."""
        return self._time.reason if self._time is not None and self._time.over else None

    @property
    def seconds_left(self) -> float | None:
        """The time that its candidates may still take; None if nothing bounds it."""
        if self._time is None:
            return None
        return 0.0 if self.over else self._time.left

    def holds_back(self, trial: Trial, running: Container[str]) -> bool:
        """Whether the trial is a candidate that waits for another to end, while those of these ids run."""
        if self._at_once is None or not self.owns(trial):
            return False
        return sum(trial_id in running for trial_id in self._open) >= self._at_once

    def ended(self, trial: Trial, ending: Ending) -> list[Trial]:
        """Tells the drawer; returns the trials that compare the chosen candidate once all have ended.

        The trial may be one of another question that is the same training as a candidate.
        """
        self.paused(trial)
        own = self._open.pop(trial.trial_id)
        self._ended[trial.trial_id] = own, ending
        self._drawer.tell(own.arm.config, ending.value if ending.sound else None)
        self._idle = False
        if not self._open:
            self._ahead = self._draw()  # else a space that has run out would be noticed after its last end
        return self.late()

    def late(self) -> list[Trial]:
        """The trials that compare the chosen candidate, once, when all have ended and no other will be drawn.

        That may turn out only when a drawer is asked again that took its time.
        """
        if self._compared or not self.over:
            return []
        self._compared = True
        return [] if self.chosen is None else list(self._compare(self.chosen))

    @property
    def over(self) -> bool:
        """Whether all candidates have ended and no other is drawn."""
        return not self._open and self._ahead is None and (self._exhausted or not self._may_draw)

    @property
    def chosen(self) -> Trial | None:
        """The best at the end of those that came furthest, of equal ones the first drawn; None if none is sound."""
        sound = [
            (ending.epoch, sign(self._mode) * ending.value, -(trial.candidate or 0), trial)
            for trial, ending in self._ended.values()
            if ending.sound and ending.value is not None
        ]
        return max(sound, key=lambda entry: entry[:3], default=(0, 0.0, 0, None))[3]

    @property
    def foreseen(self) -> int:
        """The epochs of candidates that are not drawn yet, unless time bounds them, and of the comparison."""
        if self.over:
            return 0
        if self._budget is None or self._time is not None:
            return self._following
        return self._following + max(0, self._budget - self._reserved)

    @property
    def _reserved(self) -> int:
        spent = (e.epoch if e.outcome in _SPENT else t.epochs for t, e in self._ended.values())
        return sum(spent) + sum(t.epochs for t in self._open.values())

    @property
    def _may_draw(self) -> bool:
        if self._exhausted or self._idle or self.out_of_time is not None:
            return False
        return self._budget is None or self._reserved + self._epochs <= self._budget
