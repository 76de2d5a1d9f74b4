"""The one Tune callback: hands what Tune brings to the journal, the plan and the display."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial as TuneTrial

from layersweep.records.errors import ResultsError
from layersweep.records.tables import REFUSED
from layersweep.records.write import Writer
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError
from layersweep.tuning.common.worker_report import Error, Report, unpack
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder
from layersweep.tuning.driver.tune_scheduler import TuneScheduler
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.runtime.metrics import Metrics, by_state
from layersweep.tuning.search.trial_queue import Plan
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker.assignment import Assignment
from layersweep.words import first_line

_LOST: Final = ("ProcessKilled", "SlotDied", "NotFetched")
"""Errors that come from outside a training: it is tried again. One that it raised itself would come again."""


_TUNE_NEEDS: Final = frozenset({"done", "trial_id", "training_iteration", "node_ip", "pid"})
"""What Tune itself reads of a result once the scheduler has seen it."""

_NUMBERS: Final = re.compile(r"\d+(\.\d+)?")
"""Errors that differ in their numbers alone, such as an amount of memory, are one error."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a sweep ends before its plan does.

    Attributes:
        fail_fast: so many trials that end first, all of one error, end the sweep; 0 for never.
        deadline: when the time budget is spent, by the recorder's clock; None for never.
        slots_lost: how often a trial that lost its slot is tried again at least, where nodes come and go.
    """

    fail_fast: int = 0
    deadline: float | None = None
    slots_lost: int = 0


class TuneCallback(Callback):
    """Records every step; flushes at most once a second.

    Between two steps it raises KeyboardInterrupt once it was asked to stop, BudgetSpentError when the time is over, and
    BrokenOffError when the first trials all fail in one way.
    """

    def __init__(
        self,
        *,
        journal: RecordBuilder,
        writer: Writer,
        plan: Plan,
        scheduler: TuneScheduler,
        display: Display,
        limits: Limits,
        clock: Callable[[], float],
        news: Callable[[], Sequence[str]] = tuple,
        metrics: Metrics | None = None,
    ) -> None:
        self._journal, self._writer, self._plan = journal, writer, plan
        self._scheduler, self._display, self._clock = scheduler, display, clock
        self._limits, self._flushed, self._news, self._metrics = limits, clock(), news, metrics
        self._ended_well = False
        self._errors: Counter[str] = Counter()
        self._last_error = ""
        self._over: list[Assignment] = []
        self._broken: ResultsError | BrokenOffError | None = None
        self.stop_asked = False
        plan.added, plan.orphaned, plan.broken_off = self._planned, self._orphaned, self._broken_off

    def __getstate__(self) -> dict[str, object]:
        """Nothing: Tune pickles its callbacks to resume from, but the records are the only state."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """A slot takes a trial."""
        ticket = _ticket(trial)
        self._plan.started(ticket.trial)
        self._journal.started(ticket.trial, start=ticket.start_epoch)
        self._display.started(ticket.trial, start=ticket.start_epoch)

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """A step has ended. Tune keeps what is left in the result, with statistics of each number, for good.

        Rows that cannot be written, or a search that cannot go on, end the sweep at the end of Tune's step: here Tune
        would hide why.
        """
        record = result["record"]
        for name in result.keys() - _TUNE_NEEDS:
            del result[name]
        try:
            self._reported(trial, unpack(record))
        except (ResultsError, BrokenOffError) as error:
            self._broken = error

    def _reported(self, trial: TuneTrial, report: Report) -> None:
        ours = _trial(trial)
        decisions = self._scheduler.decisions(ours)
        ending = self._journal.reported(ours, report, decisions, busy=self._others_at_work(report.host))
        if report.problem is not None:
            self._display.warn(report.problem)
        for epoch, decision in zip(report.epochs, decisions, strict=False):
            self._display.epoch(ours, epoch, decision)
        self._display.refresh()
        if (running := self._journal.running.get(ours.trial_id)) is not None and running.warning is not None:
            self._display.warn(f"{ours.label}: {running.warning}", once=ours.trial_id)
        if ending is not None:
            self._ended(_ticket(trial), ending, report.error, reason=decisions[-1].reason if decisions else None)

    def _others_at_work(self, host: str) -> int:
        """How many other slots train on a machine, those included of which nothing was heard yet."""
        seen = (progress.report for progress in self._journal.running.values())
        return sum(report is None or report.host == host for report in seen) - 1

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """The slot itself died, with the trial; once a trial has ended, its slot's death is none of its own."""
        ours = _trial(trial)
        if ours.trial_id in self._journal.running or ours.trial_id not in self._plan.endings:
            error = Error(type="SlotDied", message=_last_words(trial))
            self._ended(_ticket(trial), self._journal.lost(ours, error), error)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Between two events: the moment to write, to draw, and to stop."""
        if self._broken is not None:
            raise self._broken
        if self.stop_asked:
            raise KeyboardInterrupt
        now = self._clock()
        if now - self._flushed >= 1.0:
            self.flush()
            for line in self._news():
                self._display.say(line)
            self._display.refresh()
            self.measure()
        if self._limits.deadline is not None and now > self._limits.deadline:
            raise BudgetSpentError
        self._fail_fast()

    def flush(self) -> None:
        """Writes what waits; then the checkpoints of trials whose end is safe are of no more use."""
        self._writer.flush()
        for ticket in self._over:
            checkpoints.delete(ticket.checkpoints, ticket.trial.trial_id)
        self._over.clear()
        self._flushed = self._clock()

    def measure(self, *, over: bool = False) -> None:
        """Hands on where the sweep stands, if anybody asks; once it is over, nothing runs."""
        if self._metrics is None:
            return
        running = 0 if over else len(self._journal.running)
        trials = by_state(self._plan.outcomes, planned=self._plan.size, running=running)
        progress = self._display.progress()
        best = progress.best[0] if progress.best else None
        self._metrics.show(trials=trials, epochs=progress.epochs_done, best=best)

    def _planned(self, trials: Sequence[Trial]) -> None:
        self._journal.planned(trials)
        self._display.planned([t for t in trials if t.trial_id not in self._plan.endings])

    def _ended(self, ticket: Assignment, ending: Ending, error: Error | None, reason: str | None = None) -> None:
        trial = ticket.trial
        again = False
        if error is not None and error.type in _LOST:  # a lost node is no fault of the trial, a killed process may be
            at_least = 0 if error.type == "ProcessKilled" else self._limits.slots_lost
            again = self._plan.again(trial, at_least=at_least)
        self._display.ended(trial, ending, error, again=again, reason=reason)
        if error is None:
            if ending.outcome != "stopped" or reason is None:  # with more time it goes on from its checkpoint
                self._over.append(ticket)
        elif error.traceback or not (again or _goes_on(ticket, ending)):
            checkpoints.delete(ticket.checkpoints, trial.trial_id)
        if not again:
            self._note(error)
            self._planned(self._plan.ended(trial, ending))

    def _orphaned(self, child: Trial, parent: Ending) -> None:
        """Writes that a trial cannot go on from its first phase, which has not completed."""
        assert child.parent is not None
        said = f"its first phase, trial {child.parent.trial_id}, {parent.outcome}"
        error = Error(type="NoFirstPhase", message=said, traceback="")
        ending = self._journal.lost(child, error)
        self._display.ended(child, ending, error, again=False, reason=None)
        self._planned(self._plan.ended(child, ending))

    def _broken_off(self, trial: Trial, reason: str) -> Ending:
        """Writes that a trial which waited is not run."""
        self._display.dropped(trial, reason)
        return self._journal.broken_off(trial, reason)

    def _note(self, error: Error | None) -> None:
        if error is None:
            self._ended_well = True
        elif error.type not in REFUSED:
            said = f"{error.type}: {error.message}"
            self._errors[_NUMBERS.sub("#", said)] += 1
            self._last_error = first_line(said)

    def _fail_fast(self) -> None:
        """Ends a sweep whose first trials all failed of one error, before the others do as well."""
        limit = self._limits.fail_fast
        if limit and not self._ended_well and len(self._errors) == 1 and self._errors.total() >= limit:
            raise BrokenOffError(
                f"the first {self._errors.total()} trials all failed: {self._last_error} (see the logs below "
                "the results; --fail-fast 0 goes on all the same)"
            )


def _goes_on(ticket: Assignment, ending: Ending) -> bool:
    """Whether a failed trial's checkpoint may help the next try: not if nothing could be trained from it."""
    return ticket.start is None or ending.epoch > ticket.start_epoch


def _ticket(trial: TuneTrial) -> Assignment:
    ticket: Assignment = trial.config["ticket"]
    return ticket


def _trial(trial: TuneTrial) -> Trial:
    return _ticket(trial).trial


def _last_words(trial: TuneTrial) -> str:
    """What Tune wrote of the error, below its heading."""
    written = Path(trial.error_file) if trial.error_file else None
    text = written.read_text() if written and written.exists() else ""
    return text.partition("\n")[2].strip() or "the slot's process died without a word"
