"""A slot: the Tune actor that trains trials one after another, in a child process that it owns.

The actor itself never imports TensorFlow, so Tune may reuse it for the whole sweep; what leaks or dies is the child.
"""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import ray
from ray import tune

from layersweep.records.questions import FIRST_PHASE
from layersweep.records.values import Built, Epoch
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.experiment import memory_estimate
from layersweep.tuning.experiment.admission import refusal
from layersweep.tuning.experiment.trials import sign
from layersweep.tuning.runtime.machine import memory_share
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.local_files import LocalFiles, NotFetchedError, with_data_here
from layersweep.tuning.worker.training_process import TrainingProcess, TrainingFailedError
from trainables.worker.training_server import Begin

PATIENCE_SECONDS: Final = 30.0
"""So long a slot that cannot be given what a trial needs waits before it says so."""

TOGETHER_SECONDS: Final = 0.25
"""Short epochs are reported together, within this time: Tune takes two milliseconds for each result."""


class Slot(tune.Trainable):
    """Trains the trial that its config names, an epoch a step, or as many as take a quarter of a second.

    What may end the trial ends the step, so that the driver decides on it before training goes on; it decides on each
    epoch all the same, and drops those behind one that ends the trial. An error of the training is a result as well.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Asks for the child at once: what it has to import is imported while Tune goes on."""
        self._elsewhere: LocalFiles | None = None
        self._take(config)
        self._share = memory_share(_slots_here(self._ticket))
        self._child = TrainingProcess(
            memory_limit_bytes=self._share,
            warm_up=self._ticket.warm_up,
            fork_server=self._ticket.fork_server,
        )
        self._child.start()
        self._taken = self._saved = time.perf_counter()
        self._seconds_close = 0.0

    def _take(self, config: dict[str, Any]) -> None:
        """Takes a trial, of which nothing has been trained yet."""
        self._ticket: Assignment = config["ticket"]
        self._home = self._ticket
        self._began = False
        self._built: Built | None = None
        self._epoch = 0
        self._first_loss: float | None = None
        self._held: list[Epoch | TrainingFailedError | None] = []
        self._last: Path | None = None
        self._best = self._ticket.best
        self._keeping: dict[str, Any] = {}
        self._beginning: dict[str, Any] = {}
        self.config: dict[str, Any] = {}  # else each result would bring it to the driver

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial; what the last one left is closed first, and its seconds are booked with this one."""
        began = time.perf_counter()
        self._child.close()
        self._send_log()
        self._taken = time.perf_counter()
        self._seconds_close = self._taken - began
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch, or several short ones."""
        try:
            result = self._result(self._next())
        except (TrainingFailedError, NotFetchedError) as problem:
            death = (
                problem
                if isinstance(problem, TrainingFailedError)
                else TrainingFailedError(error_type="NotFetched", message=str(problem))
            )
            error = Error(type=death.error_type, message=self._explained(death), traceback=death.traceback)
            result = {"done": True, "record": self._report(error=error).pack()}
        if result["done"]:
            self._send_log()
        return result

    def _send_log(self) -> None:
        """What the training has printed goes to the driver's machine, if this is another."""
        if self._elsewhere is not None:
            self._elsewhere.send_log(self._ticket.log, self._home.log)

    def _settle(self) -> None:
        """Brings what the trial needs to this machine, if it does not see the driver's results.

        Raises:
            NotFetchedError: if something could not be brought.
        """
        depot = self._home.depot
        if depot is None:
            return
        try:
            if depot.seen():
                self._ticket = replace(self._home, trial=with_data_here(self._home.trial, depot))
            else:
                self._elsewhere = self._elsewhere or LocalFiles(depot)
                self._ticket = self._elsewhere.ticket(self._home)
        except NotFetchedError:
            time.sleep(PATIENCE_SECONDS)  # meanwhile other machines take the trials that this one cannot
            raise

    def _explained(self, death: TrainingFailedError) -> str:
        """What a process died of; where that was memory, with what its training needs."""
        out_of_memory = death.error_type in memory_estimate.OUT_OF_MEMORY
        if not out_of_memory and memory_estimate.KILLED not in death.message:
            return death.message
        trial = self._ticket.trial
        needed = memory_estimate.said(self._built, batch_size=trial.arm.batch_size, precision=trial.precision)
        known = [needed, death.message] if out_of_memory else [death.message, needed]
        return "; ".join(filter(None, known))  # of several lines, the first is the reason

    def cleanup(self) -> None:
        """Ends the child with the actor."""
        self._child.kill()
        if self._elsewhere is not None:
            self._send_log()
            self._elsewhere.close()

    def _next(self) -> Report:
        """A report of the next epochs, with what writing checkpoints and weights has cost."""
        if not self._began:
            self._begin()
        elif not (self._held or self._child.asked) and self._save_due:
            self._save()
        epochs = self._epochs()
        kept, self._keeping = self._keeping, {}
        return self._report(epochs=epochs, **kept)

    def _begin(self) -> None:
        """Has the trial's training begun.

        Raises:
            NotFetchedError: if something that it needs could not be brought to this machine.
            TrainingFailedError: if the process died, or its network would take too much.
        """
        self._began = True
        self._settle()
        trial, self._last = self._ticket.trial, self._ticket.start
        built = self._child.begin(
            Begin(
                train=self._ticket.train,
                config=replace(trial.arm.config, **self._ticket.located),
                data=trial.data,
                seed=trial.seed,
                epochs=trial.epochs,
                precision=trial.precision,
                log=self._ticket.log,
                start=self._ticket.start,
                parent=self._ticket.parent,
                lite=self._ticket.lite,
            ),
            timeout=self._ticket.timeout,
        )
        self._saved, self._built = time.perf_counter(), built
        seconds_import = self._child.seconds_import
        self._beginning = {
            "built": built,
            "seconds_start": time.perf_counter() - self._taken - seconds_import - built.seconds_build,
            "seconds_import": seconds_import,
            "seconds_close": self._seconds_close,
        }
        self._check(built)

    def _check(self, built: Built) -> None:
        """Refuses a candidate that would take too much.

        Raises:
            TrainingFailedError: if so; its process lives on.
        """
        limits = self._ticket.limits
        error = refusal(built, limits, self._ticket.trial, share_bytes=self._share) if limits is not None else None
        if error is not None:
            raise TrainingFailedError(error_type=error.type, message=error.message)

    def _keep(self, epoch: Epoch) -> None:
        """Keeps the weights as they are after this epoch, if they are asked for; those of earlier epochs go."""
        ticket, home, first_phase = self._ticket, self._home, self._ticket.trial.question == FIRST_PHASE
        if ticket.keep == "none" or epoch.diverged:
            return
        value = getattr(epoch, ticket.metric)
        best = self._best is None or sign(ticket.mode) * (value - self._best) > 0
        self._best = value if best else self._best
        if not (best if ticket.keep == "best" else epoch.epoch >= ticket.trial.epochs):
            return
        began = time.perf_counter()
        path, at_home = (kept_weights.file(t.results, t.trial.trial_id, epoch.epoch) for t in (ticket, home))
        try:
            problem = self._write(path, at_home)
        except TrainingFailedError as death:
            if first_phase:
                raise
            self._held.append(death)  # the epoch itself is over, and is reported first
            return
        if first_phase and problem is not None:
            raise TrainingFailedError(error_type="NotSaved", message=problem)  # nothing could go on from it
        if not first_phase and problem is None:
            delete = kept_weights.delete
            self._delete(delete, ticket.results, home.results, [path, *ticket.named], [at_home, *home.named])
        self._book(time.perf_counter() - began, problem)

    def _write(self, path: Path, at_home: Path) -> str | None:
        """Writes the state after the last epoch, also to the driver's machine; returns why it could not, if so.

        Raises:
            TrainingFailedError: if the process died.
        """
        problem = self._child.save(path)
        if problem is None and self._elsewhere is not None:
            problem = self._elsewhere.send(path, at_home)
        return problem

    def _delete(
        self, delete: Callable[..., None], here: Path, home: Path, but: Sequence[Path], but_home: Sequence[Path]
    ) -> None:
        """Deletes a trial's older files here, and on the driver's machine if this is another."""
        delete(here, self._ticket.trial.trial_id, but=but)
        if self._elsewhere is not None:
            self._elsewhere.tidy(delete, home, self._ticket.trial.trial_id, but=but_home)

    def _book(self, seconds: float, problem: str | None) -> None:
        """Notes what writing has cost, and why it could not be done, for the next report."""
        spent = self._keeping.get("seconds_checkpoint", 0.0) + seconds
        self._keeping = {"seconds_checkpoint": spent, "problem": self._keeping.get("problem") or problem}

    def _epochs(self) -> tuple[Epoch, ...]:
        """The next epoch, and those after it that the driver need not decide on before training goes on.

        What ends the training comes by itself: it is held for the next step if other epochs came before it. An epoch
        that takes longer than those before it is left to the next step. Nothing where the training has ended early.

        Raises:
            TrainingFailedError: if the process died.
        """
        began = time.perf_counter()
        epochs: list[Epoch] = []
        while True:
            word = self._held.pop() if self._held else self._word()
            if epochs and (not isinstance(word, Epoch) or self._ends(word)):
                self._held.append(word)
                return tuple(epochs)
            if isinstance(word, TrainingFailedError):
                raise word
            if word is None:
                return ()
            epochs.append(word)
            self._epoch = word.epoch
            self._first_loss = word.loss if self._first_loss is None else self._first_loss
            self._keep(word)
            spent = time.perf_counter() - began
            long = spent * (len(epochs) + 1) / len(epochs) > TOGETHER_SECONDS
            if self._held or long or self._ends(word) or self._may_be_stopped(word) or self._save_due:
                return tuple(epochs)
            if not self._child.soon(TOGETHER_SECONDS - spent):
                return tuple(epochs)

    def _word(self) -> Epoch | TrainingFailedError | None:
        """The next epoch, None after the last, or why there is none."""
        try:
            return self._child.next()
        except TrainingFailedError as death:
            return death

    def _may_be_stopped(self, epoch: Epoch) -> bool:
        """Whether the driver may stop the trial after this epoch: at a rung, or because it does not learn."""
        learns = self._first_loss is not None and epoch.loss < self._first_loss
        return epoch.epoch in self._ticket.rungs or not learns

    def _ends(self, epoch: Epoch) -> bool:
        """Whether the trial ends with this epoch, whatever the driver decides."""
        ended = epoch.diverged and not self._ticket.keep_hopeless
        return ended or epoch.epoch >= self._ticket.trial.epochs

    @property
    def _save_due(self) -> bool:
        return time.perf_counter() - self._saved >= self._ticket.checkpoint_every

    def _save(self) -> None:
        """Writes a checkpoint of the last epoch, which the driver has seen: it asked for the next one."""
        began = time.perf_counter()
        here, home = self._ticket.checkpoints, self._home.checkpoints
        path = here / checkpoints.name(self._ticket.trial.trial_id, self._epoch)
        problem = self._write(path, home / path.name)
        if problem is None:
            kept = [path] if self._last is None else [path, self._last]  # a kill may leave the new one unrecorded
            self._delete(checkpoints.delete, here, home, kept, [home / file.name for file in kept])
            self._last = path
        self._saved = time.perf_counter()
        self._book(self._saved - began, problem)

    def _result(self, report: Report) -> dict[str, Any]:
        """Three scalars of the last epoch and one bytes value: Tune looks into every number that it is given."""
        if not report.epochs:
            return {"done": True, "record": report.pack()}
        epoch = report.epochs[-1]
        result = {"epoch": epoch.epoch, "record": report.pack(), "done": self._ends(epoch)}
        if not epoch.diverged:  # a NaN passes every rung of ASHA: it must not get there
            result |= {"val_accuracy": epoch.val_accuracy, "val_loss": epoch.val_loss}
        return result

    def _report(self, *, epochs: tuple[Epoch, ...] = (), error: Error | None = None, **more: Any) -> Report:
        """A report of epochs or an error; the first of a trial brings its beginning as well."""
        hello, beginning, self._beginning = self._child.hello, self._beginning, {}
        return Report(
            host=socket.gethostname(),
            device=hello.device if hello else None,
            log=str(self._home.log),
            memory_peak_bytes=self._child.memory_peak_bytes,
            epochs=epochs,
            error=error,
            **beginning,
            **more,
        )


def _slots_here(ticket: Assignment) -> int:
    """How many slots share this machine's memory."""
    if ticket.depot is None:
        return ticket.slots
    here = ray.get_runtime_context().get_node_id()
    cpus = next((int(n["Resources"].get("CPU", 1)) for n in ray.nodes() if n["NodeID"] == here), 1)
    return min(cpus, ticket.slots)
