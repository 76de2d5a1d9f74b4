"""Hands a plan's trials to Ray Tune, one whenever a slot is free."""

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.search.trial_queue import Plan
from layersweep.tuning.worker.assignment import Assignment


class TuneSearcher(Searcher):
    """A Tune searcher that suggests what a plan says.

    Args:
        plan: the plan.
        ticket: makes a trial into what a slot is told.
        slots: how many trials may run at once, now: a cluster's nodes come and go.
        metric: a result's metric.
        mode: max or min.
    """

    def __init__(
        self,
        plan: Plan,
        ticket: Callable[[Trial], Assignment],
        *,
        slots: Callable[[], int],
        metric: str,
        mode: str,
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._plan, self._ticket, self._slots = plan, ticket, slots
        self._live: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its searcher to resume from, but the records are the only state."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial, None while others must end first, FINISHED when there are no more."""
        if len(self._live) >= self._slots():
            return None
        trial: Trial | None = self._plan.next()
        if trial is not None:
            self._live.add(trial_id)
            return {"ticket": self._ticket(trial)}
        return str(Searcher.FINISHED) if self._plan.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A slot is free; the recorder tells the plan, since it knows the outcome."""
        self._live.discard(trial_id)
