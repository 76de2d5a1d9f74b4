"""Hands trials to Ray Tune, one whenever a slot is free."""

from collections.abc import Callable
from typing import Any, Protocol

from ray.tune.search import Searcher

from layersweep.tuning.worker.assignment import Assignment


class AssignmentSource(Protocol):
    """Where the next assignment comes from."""

    @property
    def finished(self) -> bool:
        """Whether no assignment is left, now or later."""

    def next(self) -> Assignment | None:
        """The next assignment; None if other trials must end first, or none is left."""


class TuneSearcher(Searcher):
    """A Tune searcher that suggests one assignment after another.

    Args:
        source: where they come from.
        slots: the number of trials that may run at once now: a cluster's nodes come and go, and Tune's own limit is
            fixed when it starts.
        metric: the metric of a result.
        mode: max or min.
    """

    def __init__(self, source: AssignmentSource, *, slots: Callable[[], int], metric: str, mode: str) -> None:
        super().__init__(metric=metric, mode=mode)
        self._source, self._slots = source, slots
        self._running_ids: set[str] = set()

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its searcher to resume from, but the records are the only state."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next assignment, None while other trials must end first, FINISHED when none is left."""
        if len(self._running_ids) >= self._slots():
            return None
        assignment = self._source.next()
        if assignment is not None:
            self._running_ids.add(trial_id)
            return {"assignment": assignment}
        return str(Searcher.FINISHED) if self._source.finished else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A slot is free; the callback handles the outcome."""
        self._running_ids.discard(trial_id)
