"""A slot: the Tune actor that trains one trial after another, in a training process that it owns.

The actor itself never imports TensorFlow, so Tune can reuse it for the whole sweep; only the training process leaks or
dies. A failure is a result with a reason, not a dead actor.

Short epochs are reported together, since Tune handles about 500 results a second. This only saves work: the driver
decides on each epoch, as if they came one by one. See docs/decisions/training_processes.md.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import ray
from ray import tune

from layersweep.records.questions import FIRST_PHASE
from layersweep.records.values import Epoch, NetworkSummary
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.experiment import memory_estimate
from layersweep.tuning.experiment.candidate_limits import refusal
from layersweep.tuning.experiment.trials import sign
from layersweep.tuning.runtime.machine import memory_share
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.local_files import LocalFiles, NotFetchedError, with_local_data, with_local_script
from layersweep.tuning.worker.training_process import TrainingFailedError, TrainingProcess
from trainables.worker.training_server import Begin

PATIENCE_SECONDS: Final = 30.0
"""A slot that cannot get the files of a trial waits so long before it says so: other machines take trials meanwhile."""

TOGETHER_SECONDS: Final = 0.25
"""Short epochs are reported together, within this time: Tune takes two milliseconds for each result."""

Step = Epoch | TrainingFailedError | None
"""What a training gives next: an epoch, an error, or nothing after its last epoch."""


@dataclass(kw_only=True)
class TrialState:
    """A slot's trial, and how far it is.

    Attributes:
        assignment: as the driver gave it: its files are on the driver's machine.
        local: the same with files of this machine.
        has_begun: whether its training process has been told to begin.
        network: its network; None before it is built.
        epoch: its last epoch; 0 before the first.
        first_loss: the loss of the first epoch that this slot trained.
        best: the best value of the metric so far.
        pending_step: what the training gave already, for the next report.
        last_checkpoint: the checkpoint that is certain to be recorded.
        beginning: what the first report says besides epochs.
        saving: what the next report says of written checkpoints and weights.
    """

    assignment: Assignment
    local: Assignment
    has_begun: bool = False
    network: NetworkSummary | None = None
    epoch: int = 0
    first_loss: float | None = None
    best: float | None = None
    pending_step: list[Step] = field(default_factory=list)
    last_checkpoint: Path | None = None
    beginning: dict[str, Any] = field(default_factory=dict)
    saving: dict[str, Any] = field(default_factory=dict)

    def ends_with(self, epoch: Epoch) -> bool:
        """Whether the trial ends with this epoch, whatever the driver decides."""
        diverged = epoch.diverged and not self.assignment.keep_hopeless
        return diverged or epoch.epoch >= self.assignment.trial.epochs

    def may_be_stopped_after(self, epoch: Epoch) -> bool:
        """Whether the driver may stop the trial after this epoch: at a rung, or because it does not learn."""
        learns = self.first_loss is not None and epoch.loss < self.first_loss
        return epoch.epoch in self.assignment.rungs or not learns

    def keeps_weights_of(self, epoch: Epoch) -> bool:
        """Notes the metric of an epoch; whether the weights of this epoch are to be kept."""
        keep = self.assignment.keep_weights
        if keep == "none" or epoch.diverged:
            return False
        value = getattr(epoch, self.assignment.metric)
        is_best = value is not None and (self.best is None or sign(self.assignment.mode) * (value - self.best) > 0)
        self.best = value if is_best else self.best
        return is_best if keep == "best" else epoch.epoch >= self.assignment.trial.epochs

    def add_saving(self, seconds: float, problem: str | None) -> None:
        """Notes for the next report what writing has cost, and why it failed, if it did."""
        total = self.saving.get("seconds_checkpoint", 0.0) + seconds
        self.saving = {"seconds_checkpoint": total, "problem": self.saving.get("problem") or problem}


class Slot(tune.Trainable):
    """Trains the trial of its assignment, one epoch a step, or as many as take a quarter of a second.

    Whatever may end the trial ends the step, so that the driver decides before training goes on. The driver decides on
    each epoch in any case, and drops those behind one that ends the trial. An error of the training is a result as
    well.

    Attributes:
        process: the training process.
        state: the present trial, and how far it is.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Asks for the training process at once: it does its imports while Tune goes on."""
        self._local_files: LocalFiles | None = None
        self._take(config)
        assignment = self.state.assignment
        self._memory_share = memory_share(_slots_on_this_machine(assignment))
        self.process = TrainingProcess(
            memory_limit_bytes=self._memory_share,
            warm_up=assignment.warm_up,
            fork_server=assignment.fork_server,
        )
        self.process.start()
        self._trial_start = self._last_save = time.perf_counter()
        self._close_seconds = 0.0

    def _take(self, config: dict[str, Any]) -> None:
        """Takes a trial, of which nothing has been trained yet."""
        assignment: Assignment = config["assignment"]
        self.state = TrialState(assignment=assignment, local=assignment, best=assignment.best)
        self.config: dict[str, Any] = {}  # else each result would bring it to the driver

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial. The training of the last one is closed first; this one's report has the time for it."""
        start = time.perf_counter()
        self.process.close()
        self._send_log()
        self._trial_start = time.perf_counter()
        self._close_seconds = self._trial_start - start
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or several short ones."""
        try:
            result = self._result(self._train())
        except (TrainingFailedError, NotFetchedError) as error:
            failure = (
                error
                if isinstance(error, TrainingFailedError)
                else TrainingFailedError(error_type="NotFetched", message=str(error))
            )
            message = self._explanation(failure)
            report_error = Error(type=failure.error_type, message=message, traceback=failure.traceback)
            result = {"done": True, "record": self._report(error=report_error).pack()}
        if result["done"]:
            self._send_log()
        return result

    def cleanup(self) -> None:
        """Ends the training process with the actor."""
        self.process.kill()
        if self._local_files is not None:
            self._send_log()
            self._local_files.close()

    def _train(self) -> Report:
        """A report of the next epochs, with the time that writing checkpoints and weights took."""
        state = self.state
        if not state.has_begun:
            self._begin()
        elif not (state.pending_step or self.process.epoch_requested) and self._checkpoint_due:
            self._write_checkpoint()
        epochs = self._epochs()
        saving, state.saving = state.saving, {}
        return self._report(epochs=epochs, **saving)

    def _begin(self) -> None:
        """Begins the trial's training.

        Raises:
            NotFetchedError: if a file could not be copied to this machine.
            TrainingFailedError: if the process died, or the network would take too much.
        """
        state = self.state
        state.has_begun = True
        self._localize()
        trial, local = state.local.trial, state.local
        state.last_checkpoint = local.start
        request = Begin(
            family=local.family,
            config={**trial.arm.values, **local.weight_files},
            data=trial.data,
            seed=trial.seed,
            epochs=trial.epochs,
            precision=trial.precision,
            log=local.log,
            start=local.start,
            parent=local.parent,
            lite=local.lite,
        )
        network = self.process.begin(request, timeout=local.timeout)
        self._last_save, state.network = time.perf_counter(), network
        seconds_import = self.process.seconds_import
        state.beginning = {
            "network": network,
            "seconds_start": time.perf_counter() - self._trial_start - seconds_import - network.seconds_build,
            "seconds_import": seconds_import,
            "seconds_close": self._close_seconds,
        }
        limits = local.limits
        error = refusal(network, limits, trial, share_bytes=self._memory_share) if limits is not None else None
        if error is not None:  # the process lives on
            raise TrainingFailedError(error_type=error.type, message=error.message)

    def _localize(self) -> None:
        """Copies the trial's files to this machine, if it does not see the driver's results folder.

        Raises:
            NotFetchedError: if a file could not be copied.
        """
        assignment = self.state.assignment
        driver_files = assignment.driver_files
        if driver_files is None:
            return
        try:
            if driver_files.is_shared():
                self.state.local = replace(assignment, trial=with_local_data(assignment.trial, driver_files))
            else:
                self._local_files = self._local_files or LocalFiles(driver_files)
                self.state.local = self._local_files.localized(assignment)
            self.state.local = with_local_script(self.state.local, driver_files)
        except NotFetchedError:
            time.sleep(PATIENCE_SECONDS)
            raise

    def _epochs(self) -> tuple[Epoch, ...]:
        """The next epoch, and those after it on which the driver need not decide before training goes on.

        The end of the training is reported by itself: if epochs came before it, it waits for the next step. So does an
        epoch that takes longer than those before it. No epochs means that the training has ended early.

        Raises:
            TrainingFailedError: if the training failed.
        """
        start, state = time.perf_counter(), self.state
        epochs: list[Epoch] = []
        while True:
            step = state.pending_step.pop() if state.pending_step else self._next_step()
            if epochs and (not isinstance(step, Epoch) or state.ends_with(step)):
                state.pending_step.append(step)
                return tuple(epochs)
            if isinstance(step, TrainingFailedError):
                raise step
            if step is None:
                return ()
            epochs.append(step)
            self._note(step)
            seconds = time.perf_counter() - start
            if self._report_is_due(step) or seconds * (len(epochs) + 1) / len(epochs) > TOGETHER_SECONDS:
                return tuple(epochs)
            if not self.process.request_epoch(TOGETHER_SECONDS - seconds):
                return tuple(epochs)

    def _next_step(self) -> Step:
        try:
            return self.process.next()
        except TrainingFailedError as error:
            return error

    def _note(self, epoch: Epoch) -> None:
        """Notes an epoch that has ended, and keeps its weights if they are asked for."""
        state = self.state
        state.epoch = epoch.epoch
        state.first_loss = epoch.loss if state.first_loss is None else state.first_loss
        if state.keeps_weights_of(epoch):
            self._write_weights(epoch)

    def _report_is_due(self, epoch: Epoch) -> bool:
        """Whether the driver has to see this epoch, or the slot has to write, before training goes on."""
        state = self.state
        ends = state.ends_with(epoch) or state.may_be_stopped_after(epoch)
        return bool(state.pending_step) or ends or self._checkpoint_due

    @property
    def _checkpoint_due(self) -> bool:
        return time.perf_counter() - self._last_save >= self.state.assignment.checkpoint_every

    def _write_checkpoint(self) -> None:
        """Writes a checkpoint of the last epoch, which the driver has seen: it asked for the next one.

        A kill may come before the driver has recorded that epoch, so the checkpoint before stays as well.
        """
        start, state = time.perf_counter(), self.state
        folder, home_folder = state.local.checkpoints, state.assignment.checkpoints
        path = folder / checkpoints.name(state.assignment.trial.trial_id, state.epoch)
        problem = self._write(path, home_folder / path.name)
        if problem is None:
            remaining = [path] if state.last_checkpoint is None else [path, state.last_checkpoint]
            self._delete_others(checkpoints.delete, folder, remaining)
            self._delete_at_driver(checkpoints.delete, home_folder, [home_folder / file.name for file in remaining])
            state.last_checkpoint = path
        self._last_save = time.perf_counter()
        state.add_saving(self._last_save - start, problem)

    def _write_weights(self, epoch: Epoch) -> None:
        """Writes the weights as they are after this epoch; those of earlier epochs are deleted.

        A first phase fails if they cannot be written, since nothing could continue from it.
        """
        start, state = time.perf_counter(), self.state
        local, assignment = state.local, state.assignment
        first_phase = assignment.trial.question == FIRST_PHASE
        path, home_path = (
            kept_weights.file(each.results, each.trial.trial_id, epoch.epoch) for each in (local, assignment)
        )
        try:
            problem = self._write(path, home_path)
        except TrainingFailedError as error:
            if first_phase:
                raise
            state.pending_step.append(error)  # the epoch itself is over, and is reported first
            return
        if first_phase and problem is not None:
            raise TrainingFailedError(error_type="NotSaved", message=problem)
        if not first_phase and problem is None:
            self._delete_others(kept_weights.delete, local.results, [path, *local.named_weights])
            self._delete_at_driver(kept_weights.delete, assignment.results, [home_path, *assignment.named_weights])
        state.add_saving(time.perf_counter() - start, problem)

    def _write(self, path: Path, home_path: Path) -> str | None:
        """Writes the network after the last epoch, also to the driver's machine; returns why it could not, if so.

        Raises:
            TrainingFailedError: if the process died.
        """
        problem = self.process.save(path)
        if problem is None and self._local_files is not None:
            problem = self._local_files.send(path, home_path)
        return problem

    def _delete_others(self, delete: Callable[..., None], folder: Path, remaining: list[Path]) -> None:
        delete(folder, self.state.assignment.trial.trial_id, but=remaining)

    def _delete_at_driver(self, delete: Callable[..., None], folder: Path, remaining: list[Path]) -> None:
        if self._local_files is not None:
            self._local_files.try_remotely(delete, folder, self.state.assignment.trial.trial_id, but=remaining)

    def _send_log(self) -> None:
        """Sends what the training has printed to the driver's machine, if this is another one."""
        if self._local_files is not None:
            self._local_files.send_log(self.state.local.log, self.state.assignment.log)

    def _explanation(self, failure: TrainingFailedError) -> str:
        """The message of a failure; if memory was the cause, with the memory that the training needs."""
        out_of_memory = failure.error_type in memory_estimate.OUT_OF_MEMORY
        if not out_of_memory and memory_estimate.KILLED not in failure.message:
            return failure.message
        state = self.state
        trial = state.assignment.trial
        memory = memory_estimate.text(state.network, batch_size=trial.arm.batch_size, precision=trial.precision)
        parts = [memory, failure.message] if out_of_memory else [failure.message, memory]
        return "; ".join(filter(None, parts))  # the first line of several is the reason

    def _result(self, report: Report) -> dict[str, Any]:
        """Three scalars of the last epoch and one bytes value: Tune looks into every value that it gets."""
        if not report.epochs:
            return {"done": True, "record": report.pack()}
        epoch = report.epochs[-1]
        result = {"epoch": epoch.epoch, "record": report.pack(), "done": self.state.ends_with(epoch)}
        if not epoch.diverged:  # a NaN passes every rung of ASHA: it must not get there
            metric = self.state.assignment.metric
            result[metric] = getattr(epoch, metric)
        return result

    def _report(self, *, epochs: tuple[Epoch, ...] = (), error: Error | None = None, **saving: Any) -> Report:
        """A report of epochs or an error; the first of a trial says how it began as well."""
        state, hello = self.state, self.process.hello
        beginning, state.beginning = state.beginning, {}
        return Report(
            host=socket.gethostname(),
            device=hello.device if hello else None,
            log=str(state.assignment.log),
            memory_peak_bytes=self.process.memory_peak_bytes,
            epochs=epochs,
            error=error,
            **beginning,
            **saving,
        )


def _slots_on_this_machine(assignment: Assignment) -> int:
    """The number of slots that share this machine's memory."""
    if assignment.driver_files is None:
        return assignment.slots
    node_id = ray.get_runtime_context().get_node_id()
    cpus = next((int(n["Resources"].get("CPU", 1)) for n in ray.nodes() if n["NodeID"] == node_id), 1)
    return min(cpus, assignment.slots)
