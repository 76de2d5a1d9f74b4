"""Hands out the trials of the queue as assignments, and records and shows what changes in the queue."""

from dataclasses import dataclass
from pathlib import Path

from layersweep.records.questions import COMPARISON, FIRST_PHASE, TUNING
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.epoch_files import EpochFile
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder
from layersweep.tuning.experiment.candidate_limits import SearchLimits
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.search.trial_queue import QueueChanges, TrialQueue
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.file_transfer import DriverFiles


@dataclass(frozen=True, kw_only=True)
class TrialDispatcher:
    """Hands out one assignment whenever a slot is free.

    Attributes:
        request: what the command asks for.
        asha: knows the rungs of a trial.
        queue: the trials that wait.
        records: builds rows, and knows what is recorded of a trial.
        display: shows how far the run is.
        slots: the slots that share a machine's memory.
        fork_server: the socket of the fork server; None without one.
        named_weights: files of weights that recorded plans name: they stay.
        driver_files: the driver's disk, for slots on other machines; None without any.
    """

    request: Request
    asha: Asha
    records: RecordBuilder
    queue: TrialQueue
    display: Display
    slots: int
    fork_server: Path | None
    named_weights: frozenset[Path] = frozenset()
    driver_files: DriverFiles | None = None

    @property
    def finished(self) -> bool:
        """Whether no assignment is left, now or later."""
        return self.queue.finished or self.queue.closed

    def next(self) -> Assignment | None:
        """The next assignment; None if other trials must end first, or none is left."""
        trial, changes = self.queue.next()
        if changes.added or changes.orphans or changes.late_candidates:
            self._record(changes)
            self.refresh_display()
        return None if trial is None else self._assignment(trial)

    def end(self, trial: Trial, ending: Ending) -> None:
        """Tells the queue how a trial ended; what follows is recorded and shown."""
        self._record(self.queue.end(trial, ending))

    def refresh_display(self) -> None:
        """Draws the display again."""
        self.display.refresh(
            epochs_to_come=self.queue.epochs_to_come,
            follower_epochs=self.queue.follower_epochs,
            search_seconds_left=self.queue.search_seconds_left,
        )

    def _record(self, changes: QueueChanges) -> None:
        """Records and shows what has changed in the queue, and what follows from that."""
        self.records.plan(changes.added)
        self.display.plan([t for t in changes.added if t.trial_id not in self.queue.endings])
        for child, ending in changes.orphans:
            assert child.parent is not None
            message = f"its first phase, trial {child.parent.trial_id}, {ending.outcome}"
            error = Error(type="NoFirstPhase", message=message)
            self.display.end(child, self.records.fail(child, error), error)
        for candidate, reason in changes.late_candidates:
            self.drop(candidate, reason)

    def drop(self, trial: Trial, reason: str) -> None:
        """Records and shows the end of a trial that has left the queue without a slot."""
        self.display.drop(trial, reason)
        self.end(trial, self.records.drop(trial, reason))

    def _assignment(self, trial: Trial) -> Assignment:
        """What a slot needs to know of a trial that is about to start."""
        sweep, settings, results = self.request.sweep, self.request.settings, self.request.settings.results
        start = self._start(trial)
        weights = kept_weights.weights_of(results, trial.trial_id)
        return Assignment(
            trial=trial,
            family=sweep.code_of(sweep.family_of(trial.arm)),
            warm_up=sweep.warm_up,
            fork_server=self.fork_server,
            log=results / "logs" / f"{trial.trial_id}.log",
            slots=self.slots,
            checkpoints=checkpoints.folder_of(results),
            checkpoint_every=settings.checkpoint_every,
            start=start.path if start else None,
            start_epoch=start.epoch if start else 0,
            timeout=settings.trial_timeout,
            keep_hopeless=settings.keep_hopeless,
            rungs=self.asha.rungs(trial),
            parent=kept_weights.file(results, trial.parent.trial_id, trial.parent.epochs) if trial.parent else None,
            weight_files=kept_weights.weight_files(trial.arm.stated, results),
            keep_weights=self._keep_weights(trial),
            lite=settings.lite and trial.question == COMPARISON,
            limits=self._limits(trial),
            driver_files=self.driver_files,
            results=results,
            metric=sweep.metric,
            mode=sweep.mode,
            named_weights=self.named_weights,
            best=self.records.recorded_attempt(trial.trial_id).value_at(weights, sweep.metric),
        )

    def _start(self, trial: Trial) -> EpochFile | None:
        """The checkpoint that a trial continues from; checkpoints that cannot be used are named and deleted."""
        folder = checkpoints.folder_of(self.request.settings.results)
        last_epoch = self.records.recorded_attempt(trial.trial_id).start(trial.epochs)
        start, problems = checkpoints.find(folder, trial.trial_id, recorded_epochs=last_epoch)
        for problem in problems:
            next_step = f"it continues after epoch {start.epoch}" if start else "it is trained again from epoch 1"
            self.display.warn(f"{trial.label}: the checkpoint {problem}; {next_step}")
        checkpoints.delete(folder, trial.trial_id, but=[start.path] if start else ())
        return start

    def _keep_weights(self, trial: Trial) -> str:
        """The epoch whose weights are kept: none, best or last."""
        if trial.question == FIRST_PHASE:
            return "last"
        return self.request.settings.keep_weights if trial.question == COMPARISON else "none"

    def _limits(self, trial: Trial) -> SearchLimits | None:
        """What a new candidate of a search may take; a candidate that has trained an epoch is not refused any more."""
        if trial.question != TUNING or self.records.recorded_attempt(trial.trial_id).last:
            return None
        return SearchLimits(seconds_left=self.queue.seconds_left(trial), flops_per_second=self.records.flops_per_second)
