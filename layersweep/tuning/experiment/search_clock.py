"""The time that a search has taken: how long any of its candidates has run, in this command and in earlier ones.

The time is the length of the union of the spans in which any candidate ran, so neither the number of candidates at once
nor a kill changes it. What earlier commands took is read from the records (layersweep/records/spans.py). When the time
is over, no candidate is drawn, those that run stop at the end of their epoch, and those that wait are not run.
"""

import time
from collections.abc import Callable, Sequence

from layersweep.formatting import exact_duration


class SearchClock:
    """A clock that runs while at least one candidate of a search does.

    Args:
        budget: the seconds that the search may take.
        before: those that it took in earlier commands.
        now: a clock in seconds that never goes back.
    """

    def __init__(self, budget: float, *, before: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self.budget, self.before = budget, before
        self._now = now
        self._seconds_here, self._start_time = 0.0, 0.0
        self._running_ids: set[str] = set()

    def start(self, trial_id: str) -> None:
        """A candidate runs from now on."""
        if not self._running_ids:
            self._start_time = self._now()
        self._running_ids.add(trial_id)

    def stop(self, trial_id: str) -> None:
        """A candidate runs no more, if it did."""
        if self._running_ids == {trial_id}:
            self._seconds_here += self._now() - self._start_time
        self._running_ids.discard(trial_id)

    @property
    def spent(self) -> float:
        """The seconds in which any candidate ran."""
        return self.before + self._seconds_here + (self._now() - self._start_time if self._running_ids else 0.0)

    @property
    def left(self) -> float:
        """The seconds that are left of the budget."""
        return max(0.0, self.budget - self.spent)

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.spent >= self.budget

    @property
    def over_before(self) -> bool:
        """Whether earlier commands have spent it."""
        return self.before >= self.budget

    @property
    def reason(self) -> str:
        """Why a candidate is stopped once the budget is spent."""
        return f"the search's time, {exact_duration(self.budget)}, was spent"


def wall(left: Sequence[float], slots: int) -> float:
    """The least seconds in which searches with so much time left can all end, on so many slots."""
    return max([*left, sum(left) / max(1, slots)], default=0.0)
