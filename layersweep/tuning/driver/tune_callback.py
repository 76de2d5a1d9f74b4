"""The one Tune callback: hands what Tune brings to `TrialEvents`, and ends the sweep between two events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial as TuneTrial

from layersweep.records.errors import ResultsError
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError
from layersweep.tuning.common.worker_report import unpack
from layersweep.tuning.driver.person_requests import PersonRequests
from layersweep.tuning.driver.trial_events import TrialEvents
from layersweep.tuning.driver.tune_scheduler import TuneScheduler
from layersweep.tuning.runtime.metrics import Metrics, count_by_state
from layersweep.tuning.runtime.stop_request import StopRequest
from layersweep.tuning.worker.assignment import Assignment

_FLUSH_SECONDS: Final = 1.0

_TUNE_NEEDS: Final = frozenset({"done", "trial_id", "training_iteration", "node_ip", "pid"})
"""What Tune itself reads of a result after the scheduler has seen it."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the callback uses in addition to the trials.

    Attributes:
        clock: seconds that never go back.
        deadline: when the time budget is spent, by that clock; None for never.
        stop: a person's request to stop.
        node_news: lines about nodes that have come or gone since the last call.
        metrics: where the sweep's standing is served for Prometheus; None if nobody asks.
        requests: what people ask of the sweep while it runs; None if nobody may.
    """

    clock: Callable[[], float]
    deadline: float | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    node_news: Callable[[], Sequence[str]] = tuple
    metrics: Metrics | None = None
    requests: PersonRequests | None = None


class TuneCallback(Callback):
    """Records every step; flushes at most once a second.

    Between two steps it raises KeyboardInterrupt if it was asked to stop, BudgetSpentError when the time is over, and
    BrokenOffError when the first trials all fail in one way.

    Args:
        events: what becomes of trials.
        scheduler: knows the decisions on the last report.
        surroundings: clock, deadline and what else it looks at.
    """

    def __init__(self, events: TrialEvents, scheduler: TuneScheduler, surroundings: Surroundings) -> None:
        self._events, self._scheduler, self._surroundings = events, scheduler, surroundings
        self._flush_time = surroundings.clock()
        self._error: ResultsError | BrokenOffError | None = None

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its callbacks to resume from, but the records are the only state."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A slot takes a trial."""
        self._events.start(_assignment(trial))

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """A step has ended. What stays in the result, Tune keeps for good, with statistics of each number.

        If rows cannot be written, or a search cannot continue, the sweep ends at the end of Tune's step: if this
        raised, Tune would hide why.
        """
        report = unpack(result["record"])
        for name in result.keys() - _TUNE_NEEDS:
            del result[name]
        assignment = _assignment(trial)
        try:
            self._events.report(assignment, report, self._scheduler.decisions(assignment.trial))
        except (ResultsError, BrokenOffError) as error:
            self._error = error

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A slot died with its trial."""
        self._events.slot_died(_assignment(trial), _error_message(trial))

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Between two events: the moment to write, to draw, and to stop."""
        if self._error is not None:
            raise self._error
        if self._surroundings.stop.requested:
            raise KeyboardInterrupt
        now = self._surroundings.clock()
        if now - self._flush_time >= _FLUSH_SECONDS:
            self.honour_requests()
            self.flush()
            for line in self._surroundings.node_news():
                self._events.display.say(line)
            self._events.refresh()
            self.measure()
        if self._surroundings.deadline is not None and now > self._surroundings.deadline:
            raise BudgetSpentError
        self._events.check_errors()

    def flush(self) -> None:
        """Writes the rows that wait; then the files of requests that are recorded are removed."""
        self._events.flush()
        if self._surroundings.requests is not None:
            self._surroundings.requests.remove_recorded()
        self._flush_time = self._surroundings.clock()

    def honour_requests(self) -> None:
        """Does what people have asked since the last call."""
        if self._surroundings.requests is not None:
            self._surroundings.requests.honour(self._events)

    def measure(self, *, over: bool = False) -> None:
        """Serves the sweep's standing, if anybody asks; once the sweep is over, nothing runs."""
        metrics, queue = self._surroundings.metrics, self._events.queue
        if metrics is None:
            return
        running_trials = 0 if over else len(self._events.records.running_trials)
        trials = count_by_state(queue.outcomes, trials=queue.size, running_trials=running_trials)
        progress = self._events.display.progress()
        best = progress.best[0] if progress.best else None
        metrics.show(trials=trials, epochs=progress.epochs_done, best=best)


def _assignment(trial: TuneTrial) -> Assignment:
    assignment: Assignment = trial.config["assignment"]
    return assignment


def _error_message(trial: TuneTrial) -> str:
    """What Tune wrote of the error, below its heading."""
    file = Path(trial.error_file) if trial.error_file else None
    text = file.read_text() if file and file.exists() else ""
    return text.partition("\n")[2].strip() or "the slot's process died without a message"
