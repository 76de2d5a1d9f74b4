"""The search of one tuned arm: candidates within a budget of epochs, then the best of them on fresh seeds.

The decisions about searches are in docs/decisions/searches.md.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Final

from layersweep.tuning.experiment.search_clock import SearchClock
from layersweep.tuning.experiment.trials import Ending, Trial, sign
from layersweep.tuning.experiment.tuned_arms import TunedArm
from layersweep.tuning.search.samplers import NotYet, Sampler
from trainables import config as domains

_COUNTED_BY_EPOCHS: Final = ("completed", "stopped", "diverged", "hopeless")


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What the search of one tuned arm may do, and what earlier commands did of it.

    Attributes:
        tuned_arm: what is searched.
        candidate: makes the trial of a configuration that was drawn, with its number.
        comparison: makes the trials that compare the selected candidate.
        recorded_candidates: those that earlier commands drew, in their order.
        epochs: of a candidate, at most.
        mode: whether the metric is better when larger (max) or smaller (min).
        comparison_epochs: the epochs that the comparison takes.
        budget_epochs: the epochs that all candidates may take; None for no limit.
        budget_seconds: the time in which candidates may run; None for no limit.
        seconds_before: what earlier commands took of that time.
        parallel: the number of candidates that may run at the same time; None for as many as there are slots.
    """

    tuned_arm: TunedArm
    candidate: Callable[[domains.Dataclass, int], Trial]
    comparison: Callable[[Trial], Sequence[Trial]]
    recorded_candidates: Sequence[Trial] = ()
    epochs: int
    mode: str
    comparison_epochs: int
    budget_epochs: int | None
    budget_seconds: float | None = None
    seconds_before: float = 0.0
    parallel: int | None = None

    def clock(self, now: Callable[[], float]) -> SearchClock | None:
        """A new clock of the search that begins at what earlier commands took; None if time does not limit it."""
        if self.budget_seconds is None:
            return None
        return SearchClock(self.budget_seconds, before=self.seconds_before, now=now)


class ArmSearch:
    """Draws candidates one after another.

    A candidate is drawn only if the budget suffices for the most epochs that one may take, so at the end less than
    that is left. Failed candidates count as if they had run to their end: an arm whose trainings all fail comes to an
    end.

    Args:
        plan: what the search may do.
        sampler: draws configurations, in its state after the recorded candidates were drawn.
        clock: the time that candidates have run; None if time does not limit the search.
    """

    def __init__(self, plan: SearchPlan, sampler: Sampler, clock: SearchClock | None = None) -> None:
        self.plan = plan
        self._sampler, self._clock = sampler, clock
        self._next_number = max((t.candidate or 0 for t in plan.recorded_candidates), default=-1) + 1
        self._open_candidates = {t.trial_id: t for t in plan.recorded_candidates}
        self._endings: dict[str, tuple[Trial, Ending]] = {}
        self._space_is_exhausted = self._waits_for_endings = self._comparison_is_made = False
        self._next_candidate: Trial | None = None

    def next(self) -> Trial | None:
        """The next candidate; None while running candidates take the budget or all places, and once it is spent."""
        if self.plan.parallel is not None and len(self._open_candidates) >= self.plan.parallel:
            return None
        trial, self._next_candidate = self._next_candidate or self._draw(), None
        if trial is not None:
            self._open_candidates[trial.trial_id] = trial
        return trial

    def _draw(self) -> Trial | None:
        if not self._may_draw:
            return None
        config = self._sampler.draw()
        if isinstance(config, NotYet):
            return None
        if config is None:  # a sampler may draw again once it knows how the running candidates end
            self._waits_for_endings, self._space_is_exhausted = True, not self._open_candidates
            return None
        trial = self.plan.candidate(config, self._next_number)
        self._next_number += 1
        return trial

    def owns(self, trial: Trial) -> bool:
        """Whether the trial is one of the search's candidates that have not ended."""
        return trial.trial_id in self._open_candidates

    def start_clock(self, trial: Trial) -> None:
        """Counts time from now on: a slot has started one of the candidates."""
        if self._clock is not None:
            self._clock.start(trial.trial_id)

    def stop_clock(self, trial: Trial) -> None:
        """Counts no time for one of the candidates: it has ended, or has lost its process and waits."""
        if self._clock is not None:
            self._clock.stop(trial.trial_id)

    @property
    def out_of_time(self) -> str | None:
        """Why the candidates end now, if the search's time is spent."""
        return self._clock.reason if self._clock is not None and self._clock.over else None

    @property
    def seconds_left(self) -> float | None:
        """The time that candidates may still take; None if time does not limit the search."""
        if self._clock is None:
            return None
        return 0.0 if self.over else self._clock.left

    def holds_back(self, trial: Trial, running_ids: Container[str]) -> bool:
        """Whether the trial is a candidate that must wait until another one ends."""
        if self.plan.parallel is None or not self.owns(trial):
            return False
        return sum(trial_id in running_ids for trial_id in self._open_candidates) >= self.plan.parallel

    def end(self, trial: Trial, ending: Ending) -> list[Trial]:
        """Tells the sampler how a candidate ended; returns the comparison's trials if the search is now over.

        The trial may belong to another question that asks for the same training.
        """
        self.stop_clock(trial)
        candidate = self._open_candidates.pop(trial.trial_id)
        self._endings[trial.trial_id] = candidate, ending
        self._sampler.tell(candidate.arm.config, ending.value if ending.sound else None)
        self._waits_for_endings = False
        if not self._open_candidates:
            self._next_candidate = self._draw()  # now: nobody would notice later that the space is exhausted
        return self.comparison()

    def comparison(self) -> list[Trial]:
        """The trials that compare the selected candidate, returned once, when the search is over.

        With a sampler that thinks for a while, only a later draw may show that it is over.
        """
        if self._comparison_is_made or not self.over:
            return []
        self._comparison_is_made = True
        return [] if self.best is None else list(self.plan.comparison(self.best))

    @property
    def over(self) -> bool:
        """Whether all candidates have ended and no other will be drawn."""
        return not self._open_candidates and self._next_candidate is None and not self._may_draw

    @property
    def best(self) -> Trial | None:
        """Of the candidates that trained most epochs the best, of equal ones the first; None if none is sound.

        One that a person stopped is behind all others.
        """
        ranks = [
            (
                (not ending.requested, ending.epoch, sign(self.plan.mode) * ending.value, -(trial.candidate or 0)),
                trial,
            )
            for trial, ending in self._endings.values()
            if ending.sound and ending.value is not None
        ]
        return max(ranks, key=lambda rank: rank[0], default=(None, None))[1]

    @property
    def epochs_to_come(self) -> int:
        """The epochs of the comparison, and of candidates that are not drawn yet, unless time limits them."""
        if self.over:
            return 0
        if self.plan.budget_epochs is None or self._clock is not None:
            return self.plan.comparison_epochs
        return self.plan.comparison_epochs + max(0, self.plan.budget_epochs - self._reserved_epochs)

    @property
    def _reserved_epochs(self) -> int:
        candidate_epochs = (e.epoch if e.outcome in _COUNTED_BY_EPOCHS else t.epochs for t, e in self._endings.values())
        return sum(candidate_epochs) + sum(t.epochs for t in self._open_candidates.values())

    @property
    def _may_draw(self) -> bool:
        if self._space_is_exhausted or self._waits_for_endings or self.out_of_time is not None:
            return False
        budget = self.plan.budget_epochs
        return budget is None or self._reserved_epochs + self.plan.epochs <= budget
