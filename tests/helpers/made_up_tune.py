"""A stand-in for Ray Tune's controller and for the machine below it, in one process, with faults on demand.

`run` is one command: the real planner, run, callback, scheduler, searcher and slots; only Tune's loop and the pipe
to a child process are replaced. The loop calls in the order of ray/tune/execution/tune_controller.py.
"""

import contextlib
import functools
import io
import itertools
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import made_up
import pytest
from ray.tune.search import Searcher

import layersweep.records.write
from layersweep.terminal import Console
from layersweep.tuning.command import sweep_command
from layersweep.tuning.driver import record_builder, record_rows, sweep_run, tune_runner
from layersweep.tuning.runtime import fork_server, private_folder, ray_runtime
from layersweep.tuning.runtime.frontend import Frontend, Invocation
from layersweep.tuning.runtime.stop_request import StopRequest
from layersweep.tuning.worker import worker_actor
from layersweep.tuning.worker.training_process import TrainingFailedError
from layersweep.tuning.worker.worker_actor import Slot
from trainables.worker import training_server

FAULTS = ("kill", "crash", "interrupt", "kill child", "lose slot")
"""The driver is killed between two events, or at its next touch of the disk; Ctrl-C; a child or an actor is killed."""


class Killed(BaseException):
    """The driver dies here."""


@dataclass
class Chance:
    """What is left to chance, by a list of numbers; after its end all is 0: the first of what is possible."""

    numbers: Sequence[int] = ()
    _place: int = 0

    def below(self, count):
        number = self.numbers[self._place] if self._place < len(self.numbers) else 0
        self._place += 1
        return number % count


@dataclass
class Machine:
    """A driver's process, disk and clocks.

    Args:
        faults: what happens at which event of the loop; for a crash, how many touches of the disk later.
        people: what a person does before an event of the loop, of all runs of the command together.
        wall: the time of day at `now` 0, for records whose times are those of the driver's clock; None for this one's.
    """

    chance: Chance = field(default_factory=Chance)
    faults: dict[int, tuple[str, int]] = field(default_factory=dict)
    dead: bool = False
    touches_left: int | None = None
    now: float = 0.0
    wall: datetime | None = None
    happened: list[str] = field(default_factory=list)
    people: dict[int, Callable[[], object]] = field(default_factory=dict)
    events: int = 0
    stop: StopRequest = field(default_factory=StopRequest)

    def touch(self):
        """Called at every touch of the disk: a dead process makes none."""
        if self.touches_left is not None:
            self.touches_left -= 1
            self.dead = self.dead or self.touches_left < 0
        if self.dead:
            raise Killed

    def clock(self):
        return self.now

    def date(self, _zone=None):
        return self.wall + timedelta(seconds=self.now)

    def slot_clock(self):
        """Time goes by in a slot between two looks at its clock, or it does not: epochs are short, or they are long."""
        self.now += (0.0, 0.03, 0.3)[self.chance.below(3)]
        return self.now


class TrainingProcess:
    """A `layersweep.tuning.worker.training_process.TrainingProcess` that trains in this process."""

    def __init__(self, *, memory_limit_bytes, warm_up, fork_server=None, chance=None):
        self.seconds_import = 0.0
        self.epoch_requested, self._chance = False, chance or Chance()
        self.hello, self.memory_peak_bytes, self.doomed = None, 1000, None
        self._values, self._value = iter(()), None

    def start(self):
        pass

    def begin(self, request, *, timeout=None):
        self.seconds_import = 0.0 if self.hello else 4.0
        self.hello = self.hello or training_server.Hello(device="made-up")
        self._values = request.values()
        return self._next()

    def next(self):
        self.epoch_requested = False
        self._value = self._next()
        return self._value

    def request_epoch(self, seconds):
        self.epoch_requested = True
        return self._chance.below(4) != 1

    def save(self, path):
        assert not self.epoch_requested, "it is at work"
        return training_server._save(self._value, path)

    def close(self):
        self.epoch_requested = False
        self._values, self._value, self.doomed = iter(()), None, None

    def kill(self):
        self.close()
        self.hello = None

    def _next(self):
        try:
            if self.doomed is not None:
                self.doomed -= 1
            if self.doomed == -1:
                raise TrainingFailedError(
                    error_type="ProcessKilled", message="the training process was killed by SIGKILL"
                )
            return next(self._values, None)
        except Exception as error:
            self.kill()
            if isinstance(error, TrainingFailedError):
                raise
            raise TrainingFailedError(
                error_type=type(error).__name__, message=str(error), traceback=traceback.format_exc()
            ) from error


@dataclass(eq=False)
class TuneTrial:
    """What our callbacks use of Tune's trial."""

    trial_id: str
    config: dict
    error_file: str | None = None
    slot: Slot | None = None
    running: bool = False
    result: dict | None = None


class Tune:
    """Tune's loop: asks for trials, starts them, and handles one event a step, any of those that may be next."""

    def __init__(self, machine, searcher, scheduler, callback, slots):
        self._machine, self._scheduler, self._callback, self._slots = machine, scheduler, callback, slots
        self._searcher = searcher
        self._searcher.set_search_properties("val_accuracy", "max", {})
        self._live = []
        self._idle = []
        self._finished = False
        self._ids = map(str, itertools.count())

    def fit(self):
        for event in itertools.count():
            self._ask()
            if not self._live:
                assert self._finished, "no trial runs, and none comes: Tune would wait for minutes"
                return
            self._machine.people.get(self._machine.events, int)()
            self._machine.events += 1
            self._fault(*self._machine.faults.get(event, ("", 0)))
            if self._live:
                self._step(self._live[self._machine.chance.below(len(self._live))])
            self._machine.now += (0.25, 0.0, 0.5, 1.5)[self._machine.chance.below(4)]
            self._callback.on_step_end(0, [])

    def _ask(self):
        """As TuneController._maybe_update_trial_queue: a searcher that has finished is not asked again."""
        while not self._finished and sum(not t.running for t in self._live) < self._slots:
            trial_id = next(self._ids)
            suggested = self._searcher.suggest(trial_id)
            if suggested == Searcher.FINISHED:
                self._finished = True
            elif suggested is None:
                break
            else:
                self._live.append(TuneTrial(trial_id=trial_id, config=suggested))

    def _step(self, trial):
        """An actor has started, or has a result: it may have had it for a while, unseen by the driver."""
        if not trial.running:
            self._place(trial)
            self._callback.on_trial_start(0, [], trial)
            trial.running = True
            return
        if trial.result is None:
            trial.result = trial.slot.step()
            if self._machine.chance.below(3) == 1:
                return
        result, trial.result = trial.result, None
        self._process(trial, result)

    def _place(self, trial):
        if trial.slot is not None:
            return
        if self._idle:
            trial.slot = self._idle.pop()
            assert trial.slot.reset_config(trial.config)
        else:
            trial.slot = Slot(trial.config)

    def _process(self, trial, result):
        """As TuneController._process_trial_result and stop_trial."""
        flat = dict(result)
        done = result["done"] or self._scheduler.on_trial_result(None, trial, flat) == "STOP"
        result["done"] = done
        self._callback.on_trial_result(0, [], trial, result)
        if done:
            self._scheduler.on_trial_complete(None, trial, dict(result))
            self._searcher.on_trial_complete(trial.trial_id, result=dict(result))
            self._callback.on_trial_complete(0, [], trial)
            self._idle.append(trial.slot)
            self._live.remove(trial)

    def _fault(self, kind, number):
        if not kind:
            return
        self._machine.happened.append(kind)
        trial = self._live[number % len(self._live)]
        if kind == "kill":
            self._machine.dead = True
            raise Killed
        if kind == "crash":
            self._machine.touches_left = number
        elif kind == "interrupt":
            self._machine.stop.requested = True
        elif kind == "kill child" and trial.running:
            trial.slot.process.doomed = number % 4
        elif kind == "lose slot":  # as TuneController._process_trial_failure
            self._scheduler.on_trial_error(None, trial)
            self._searcher.on_trial_complete(trial.trial_id, error=True)
            self._live.remove(trial)
            self._callback.on_trial_error(0, [], trial)


def run(request, data, machine=None, *, out=None, arguments=()):
    """One command; returns its exit code, or None if it was killed or interrupted. `out` gets what it prints."""
    machine = machine or Machine()
    with _on(machine, request.settings.slots):
        try:
            console = Console(file=out or io.StringIO(), quiet=out is None, width=300)
            invocation = Invocation.of_command_line(request.sweep.name, arguments)
            frontend = Frontend(console=console, invocation=invocation, stop=machine.stop)
            return sweep_command.train(sweep_command.plan_of(request, data), frontend)
        except (Killed, KeyboardInterrupt):
            return None


@contextlib.contextmanager
def _on(machine, slots) -> Iterator[None]:
    def touching(touch):
        def wrapped(*args, **options):
            machine.touch()
            return touch(*args, **options)

        return wrapped

    def fit(parts, tune_run):
        Tune(machine, parts.searcher, parts.scheduler, parts.callback, tune_run.where.slots).fit()

    @contextlib.contextmanager
    def no_ray(_slots, _folder):
        yield ray_runtime.RayRuntime(description="made up", slots=slots, slots_on_a_machine=slots, hosts=("here",))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "unlink", "mkdir"):
            patch.setattr(Path, name, touching(getattr(Path, name)))
        patch.setattr(layersweep.records.write.pq, "write_table", touching(layersweep.records.write.pq.write_table))
        patch.setattr(layersweep.records.write, "sync", touching(layersweep.records.write.sync))
        patch.setattr(os, "link", touching(os.link))
        patch.setattr(os, "fsync", lambda _handle: None)
        patch.setattr(tune_runner, "fit", fit)
        patch.setattr(ray_runtime, "started_ray", no_ray)
        patch.setattr(private_folder, "command_folder", lambda: contextlib.nullcontext(Path("unused")))
        patch.setattr(fork_server, "running_server", lambda _warm_up, _folder: contextlib.nullcontext())
        patch.setattr(tune_runner, "time", SimpleNamespace(monotonic=machine.clock))
        patch.setattr(sweep_run, "time", SimpleNamespace(monotonic=machine.clock))
        if machine.wall is not None:
            for module in (record_builder, record_rows):
                patch.setattr(module, "utc_now", machine.date)
            patch.setattr(sweep_run, "datetime", SimpleNamespace(now=machine.date))
        patch.setattr(worker_actor, "time", SimpleNamespace(perf_counter=machine.slot_clock))
        patch.setattr(worker_actor, "TrainingProcess", functools.partial(TrainingProcess, chance=machine.chance))
        patch.setattr(sweep_run, "git_commit", lambda: None)
        patch.setattr(sweep_run, "versions", dict)
        yield


def tear(folder, number=0):
    """Cuts a checkpoint in half; a disk that lost what was not synced."""
    found = sorted(folder.glob("*.keras"))
    if found:
        path = found[number % len(found)]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@contextlib.contextmanager
def hardware(number):
    """Trainings on another machine, whose results differ."""
    made_up.hardware = number
    try:
        yield
    finally:
        made_up.hardware = 0
