"""What becomes of the trials of a run: Tune's events become rows, lines on the display, and ends in the queue."""

from collections.abc import Sequence
from typing import Final

from layersweep.records.questions import FIRST_PHASE
from layersweep.records.tables import STOPPED_ON_REQUEST
from layersweep.records.values import Epoch
from layersweep.records.write import Writer
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.driver.dispatcher import TrialDispatcher
from layersweep.tuning.driver.fail_fast import FailFast
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker.assignment import Assignment

_OUTSIDE_ERRORS: Final = ("ProcessKilled", "SlotDied", "NotFetched")
"""Errors that come from outside a training: the trial runs again in the same command. An error that the training itself
raised would come again, so the next command retries it."""


class TrialEvents:
    """Takes in what Tune reports of trials.

    Args:
        dispatcher: has handed out their assignments; knows queue, records and display.
        writer: writes the rows.
        fail_fast: ends the sweep if all first trials fail.
        slots_lost: how often a trial that lost its slot runs again at least, where nodes come and go.
    """

    def __init__(
        self, dispatcher: TrialDispatcher, writer: Writer, *, fail_fast: FailFast, slots_lost: int = 0
    ) -> None:
        self.queue, self.records, self.display = dispatcher.queue, dispatcher.records, dispatcher.display
        self._dispatcher, self._writer, self._slots_lost = dispatcher, writer, slots_lost
        self._fail_fast = fail_fast
        self._ended_assignments: list[Assignment] = []
        self._trials_to_stop: set[str] = set()

    def start(self, assignment: Assignment) -> None:
        """A slot takes a trial."""
        trial, start_epoch = assignment.trial, assignment.start_epoch
        self.queue.start(trial)
        self.records.start(trial, start_epoch=start_epoch)
        self.display.start(trial, start_epoch=start_epoch)
        self.refresh()

    def hopeless(self, trial: Trial, epoch: Epoch) -> str | None:
        """Why a trial is hopeless after an epoch; None if it is not."""
        return self.records.hopeless_reason(trial, epoch)

    def stop_reason(self, trial: Trial) -> str | None:
        """Why a trial ends now, if a person asks for that, or its search's time is spent."""
        return STOPPED_ON_REQUEST if trial.trial_id in self._trials_to_stop else self.queue.out_of_time(trial)

    def stop_trial(self, trial_id: str) -> str:
        """Stops a trial on a person's request; returns what becomes of the request, in words."""
        trial = self.queue.trial(trial_id)
        if trial is None:
            return "refused: the sweep has no such trial"
        if (ending := self.queue.endings.get(trial_id)) is not None:
            return f"refused: it has ended already: {ending.outcome}"
        if trial.question == FIRST_PHASE:
            return "refused: other trials continue from its weights"
        if self.queue.is_running(trial):
            self._trials_to_stop.add(trial_id)
            return "it ends after its present epoch"
        self.queue.remove(trial)
        self._dispatcher.drop(trial, STOPPED_ON_REQUEST)
        self.refresh()
        return "it waited, and is not run"

    def stop_sweep(self) -> str:
        """Starts no other trial on a person's request; returns what becomes of the request, in words."""
        if self.queue.finished:
            return "refused: its trials have ended"
        self.queue.closed = True
        return "no other trial starts"

    def report(self, assignment: Assignment, report: Report, decisions: Sequence[Decision]) -> None:
        """A slot has reported a step."""
        trial = assignment.trial
        ending = self.records.report(trial, report, decisions, busy_slots=self.other_busy_slots(report.host))
        if report.problem is not None:
            self.display.warn(report.problem)
        for epoch, decision in zip(report.epochs, decisions, strict=False):
            self.display.epoch(trial, epoch, decision)
        self.refresh()
        running_trial = self.records.running_trials.get(trial.trial_id)
        if running_trial is not None and running_trial.warning is not None:
            self.display.warn(f"{trial.label}: {running_trial.warning}", once=trial.trial_id)
        if ending is not None:
            self._end(assignment, ending, report.error, reason=decisions[-1].reason if decisions else None)

    def other_busy_slots(self, host: str) -> int:
        """The other slots that train on a machine, with those that have not reported yet."""
        reports = (running_trial.report for running_trial in self.records.running_trials.values())
        return sum(report is None or report.host == host for report in reports) - 1

    def slot_died(self, assignment: Assignment, message: str) -> None:
        """A slot died with its trial. If the trial has ended already, the slot's death is not its own."""
        trial = assignment.trial
        if trial.trial_id in self.records.running_trials or trial.trial_id not in self.queue.endings:
            error = Error(type="SlotDied", message=message)
            self._end(assignment, self.records.fail(trial, error), error)

    def refresh(self) -> None:
        """Draws the display again."""
        self._dispatcher.refresh_display()

    def flush(self) -> None:
        """Writes the rows that wait; then the checkpoints of trials whose end is written are deleted."""
        self._writer.flush()
        for assignment in self._ended_assignments:
            checkpoints.delete(assignment.checkpoints, assignment.trial.trial_id)
        self._ended_assignments.clear()

    def check_errors(self) -> None:
        """Ends a sweep whose first trials all failed of one error.

        Raises:
            BrokenOffError: if so.
        """
        self._fail_fast.check()

    def _end(self, assignment: Assignment, ending: Ending, error: Error | None, *, reason: str | None = None) -> None:
        trial, retry = assignment.trial, False
        if error is not None and trial.trial_id in self._trials_to_stop:  # its failure is recorded; it is not run again
            ending = self.records.drop(trial, STOPPED_ON_REQUEST)
            self.display.end(trial, ending, None, reason=f"{STOPPED_ON_REQUEST}, when it had failed ({error.type})")
            self._dispatcher.end(trial, ending)
            self.refresh()
            return
        if error is not None and error.type in _OUTSIDE_ERRORS:
            # a lost node is no fault of the trial, a killed process may be
            retry = self.queue.retry(trial, at_least=0 if error.type == "ProcessKilled" else self._slots_lost)
        self.display.end(trial, ending, error, retry=retry, reason=reason)
        if error is None:
            if ending.outcome != "stopped" or reason is None:  # with more time it continues from its checkpoint
                self._ended_assignments.append(assignment)
        elif error.traceback or not (retry or _has_progressed(assignment, ending)):
            checkpoints.delete(assignment.checkpoints, trial.trial_id)
        if not retry:
            self._fail_fast.note(error)
            self._dispatcher.end(trial, ending)
        self.refresh()


def _has_progressed(assignment: Assignment, ending: Ending) -> bool:
    """Whether a failed trial's checkpoint may help the next try: not if nothing could be trained from it."""
    return assignment.start is None or ending.epoch > assignment.start_epoch
