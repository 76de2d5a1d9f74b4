"""Which trials run, in which order: all at once, or a screening first and then a comparison of its survivors."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tuning.sweep import Trial

SURVIVORS: Final = 2
"""At least this many arms are compared after a screening, if so many did not fail."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a trial ended: its outcome, and the last value of the metric at the last epoch."""

    outcome: str
    epoch: int
    value: float | None


Then = Callable[[Mapping[str, Ending]], Sequence[Trial]]


class Plan:
    """Trials that wait for a slot.

    Args:
        first: the trials to start with.
        then: when all of them have ended, names more from their endings (by trial id).
        known: how a trial ended that is recorded already, so that it is not run; None if it has to run.
    """

    def __init__(
        self, first: Sequence[Trial], *, then: Then | None = None, known: Callable[[Trial], Ending | None] | None = None
    ) -> None:
        self.trials: list[Trial] = []
        self.endings: dict[str, Ending] = {}
        self._waiting: deque[Trial] = deque()
        self._then, self._known = then, known
        self._add(first)
        self._go_on()

    def next(self) -> Trial | None:
        """The next trial to start; None if none is waiting now."""
        return self._waiting.popleft() if self._waiting else None

    def ended(self, trial: Trial, ending: Ending) -> list[Trial]:
        """Notes how a trial ended. Returns the trials that this adds to the plan."""
        self.endings[trial.trial_id] = ending
        return self._go_on()

    @property
    def waiting(self) -> list[Trial]:
        """The trials that are known and not started."""
        return list(self._waiting)

    def describe(self) -> str:
        """The trials counted by arm, seed and question."""
        by_question: dict[str, list[Trial]] = {}
        for trial in self.trials:
            by_question.setdefault(trial.question, []).append(trial)
        parts = [
            f"{question}: {count(len({t.arm.name for t in trials}), 'arm')} on "
            f"{count(len({t.seed for t in trials}), 'seed')}"
            for question, trials in by_question.items()
        ]
        return ", ".join([*parts, *(["then the survivors compared"] if self._then else [])])

    @property
    def finished(self) -> bool:
        """Whether no trial is left to start, now or later."""
        return not self._waiting and self._then is None

    def _go_on(self) -> list[Trial]:
        if self._then is None or any(t.trial_id not in self.endings for t in self.trials):
            return []
        more, self._then = list(self._then(self.endings)), None
        self._add(more)
        return more

    def _add(self, trials: Sequence[Trial]) -> None:
        self.trials.extend(trials)
        for trial in trials:
            ending = self._known(trial) if self._known else None
            if ending is None:
                self._waiting.append(trial)
            else:
                self.endings[trial.trial_id] = ending


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural where due."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def survivors(screened: Sequence[Trial], endings: Mapping[str, Ending], *, control: str | None, mode: str) -> list[str]:
    """The names of the arms to compare: those that a screening did not stop, the control, and at least two.

    Arms that diverged or failed are not among them. Where fewer than two are left, the arms that came furthest and
    were best there fill up.
    """
    sign = -1 if mode == "min" else 1
    sound = [t for t in screened if endings[t.trial_id].outcome in ("completed", "stopped")]

    def merit(trial: Trial) -> tuple[int, float]:
        ending = endings[trial.trial_id]
        return ending.epoch, sign * (ending.value if ending.value is not None else float("-inf"))

    ranked = sorted(sound, key=merit, reverse=True)
    kept = [t.arm.name for t in ranked if endings[t.trial_id].outcome == "completed"]
    for trial in ranked:
        if trial.arm.name not in kept and (len(kept) < SURVIVORS or trial.arm.name == control):
            kept.append(trial.arm.name)
    return kept
