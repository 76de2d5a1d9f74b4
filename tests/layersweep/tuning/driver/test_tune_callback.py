"""The Tune callback without Tune: what ends a sweep, and which checkpoints stay."""

import io
from dataclasses import replace
from types import SimpleNamespace

import made_up
import pytest
from queues import queue

from layersweep.records.errors import ResultsError
from layersweep.records.questions import COMPARISON, FIRST_PHASE
from layersweep.records.read import read
from layersweep.records.write import Writer
from layersweep.terminal import Console
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError
from layersweep.tuning.common.worker_report import Error, Report
from layersweep.tuning.driver.dispatcher import TrialDispatcher
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.driver.fail_fast import FailFast
from layersweep.tuning.driver.progress import Display
from layersweep.tuning.driver.record_builder import RecordBuilder, RecordContext
from layersweep.tuning.driver.trial_events import TrialEvents
from layersweep.tuning.driver.tune_callback import Surroundings, TuneCallback
from layersweep.tuning.driver.tune_scheduler import TuneScheduler
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import AshaSettings
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.runtime.stop_request import StopRequest
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.storage.recorded_attempt import RecordedAttempt, metrics
from layersweep.tuning.worker.assignment import Assignment
from trainables import config as domains

COMMON = {"host": "here", "device": None, "log": "/logs/t.log", "memory_peak_bytes": 1000}


class Line:
    """A callback with all that it hands things to, and a clock that stands."""

    def __init__(self, folder, trials=4, retries=1, phase=False, recorded=None, fail_fast=0, slots_lost=0, **looks_at):
        self.folder, self.now, self.first, self.out = folder, 0.0, None, io.StringIO()
        self.writer = Writer(folder / "results", "s", config_types=domains.types(made_up.Config))
        context = RecordContext(run="r", family="made_up", metric="val_accuracy")
        if recorded is not None:
            context = replace(context, recorded_attempt=recorded)
        self.builder = RecordBuilder(self.writer, context)
        if phase:
            self.first = self.trial(9, question=FIRST_PHASE)
        self.trials = [self.trial(n, parent=self.first) for n in range(trials)]
        self.plan = queue(self.trials, retries=retries)
        asha = Asha(AshaSettings(metric="val_accuracy", mode="max", epochs=3, grace=1, reduction=2))
        dispatcher = TrialDispatcher(
            request=None, asha=asha, records=self.builder, queue=self.plan, slots=1, fork_server=None,
            display=Display(Console(file=self.out), metric="val_accuracy", mode="max"),
        )  # fmt: skip
        self.events = TrialEvents(dispatcher, self.writer, fail_fast=FailFast(fail_fast), slots_lost=slots_lost)
        self.scheduler = TuneScheduler(asha, self.events)
        self.stop = StopRequest()
        self.callback = TuneCallback(
            self.events, self.scheduler, Surroundings(clock=lambda: self.now, stop=self.stop, **looks_at)
        )

    def trial(self, number, question=COMPARISON, parent=None):
        return Trial(
            trial_id=f"a{number}", arm=Arm(name="a", config=made_up.Config()), question=question, seed=number,
            epochs=3, precision="float32", data=made_up.data(self.folder), parent=parent,
        )  # fmt: skip

    @property
    def checkpoints(self):
        return checkpoints.folder_of(self.folder / "results")

    def checkpoint(self, trial, epoch):
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        path = self.checkpoints / checkpoints.name(trial.trial_id, epoch)
        made_up.save(epoch, path)
        return path

    def start(self, trial, start=None):
        assert self.plan.next()[0] is trial
        assignment = Assignment(
            trial=trial, family=made_up.CODE, warm_up=made_up.WARM_UP, log=self.folder / "log", slots=1,
            checkpoints=self.checkpoints, checkpoint_every=60.0, start=start,
            start_epoch=0 if start is None else int(start.stem.partition("-")[2]),
        )  # fmt: skip
        tune = SimpleNamespace(config={"assignment": assignment}, error_file=None)
        self.callback.on_trial_start(0, [], tune)
        return tune

    def report(self, tune, **what):
        self.callback.on_trial_result(0, [], tune, {"record": Report(**COMMON, **what).pack()})

    def fail(self, trial, kind, message, *, traceback="", start=None):
        self.report(self.start(trial, start), error=Error(type=kind, message=message, traceback=traceback))

    def complete(self, trial):
        tune = self.start(trial)
        yielded = made_up.train(trial.arm.config, trial.data, seed=trial.seed, epochs=trial.epochs)
        self.report(tune, network=next(yielded), epochs=(next(yielded),))
        for epoch in yielded:
            self.report(tune, epochs=(epoch,))

    def step(self, later=0.0):
        self.now += later
        self.callback.on_step_end(0, [])


class Shown(list):
    """What was handed on to Prometheus."""

    def show(self, **standing):
        self.append(SimpleNamespace(**standing))

    @property
    def trials(self):
        """The trials by state of the last time, those of which there are any."""
        return {state: n for state, n in self[-1].trials.items() if n}


@pytest.fixture
def line(tmp_path):
    return lambda **options: Line(tmp_path, **options)


def test_tune_keeps_only_what_it_needs_of_a_result(line):
    made = line()
    tune = made.start(made.trials[0])
    yielded = made_up.train(made_up.Config(), made.trials[0].data, seed=0, epochs=3)
    record = Report(**COMMON, network=next(yielded), epochs=(next(yielded),)).pack()
    needed = {"done": False, "trial_id": "x", "training_iteration": 1, "node_ip": "::1", "pid": 7}
    result = needed | {"record": record, "val_accuracy": 0.5, "config": {}, "time_total_s": 1.5, "hostname": "here"}
    made.callback.on_trial_result(0, [], tune, result)
    assert result == needed


def test_errors_that_differ_in_numbers_alone_end_the_sweep(line):
    made = line(fail_fast=2)
    made.fail(made.trials[0], "OutOfMemory", "the training used 10.6 GiB")
    made.step()
    made.fail(made.trials[1], "OutOfMemory", "the training used 11 GiB")
    with pytest.raises(BrokenOffError, match=r"the first 2 trials all failed: OutOfMemory: the training used 11 GiB"):
        made.step()


def test_different_errors_do_not_end_the_sweep(line):
    made = line(fail_fast=2)
    for trial, kind in zip(made.trials[:2], ("OutOfMemory", "ValueError"), strict=True):
        made.fail(trial, kind, "no")
    made.step()


def test_candidates_that_are_refused_do_not_end_the_sweep(line):
    made = line(fail_fast=2)
    for trial in made.trials[:3]:
        made.fail(trial, "TooLarge", "by estimate a step takes 9.0 GiB")
        made.step()
    assert made.plan.outcomes["failed"] == 3


def test_once_a_trial_has_ended_well_no_error_ends_the_sweep(line):
    made = line(fail_fast=2)
    made.complete(made.trials[0])
    for trial in made.trials[1:]:
        made.fail(trial, "ValueError", "no")
    made.step()


def test_children_of_a_first_phase_that_failed_are_rows_that_say_so(line):
    made = line(trials=2, retries=0, phase=True)
    made.fail(made.first, "ValueError", "no")
    made.step(later=2.0)
    assert made.plan.finished
    rows = {row["trial_id"]: row for row in read(made.folder / "results", "trials").to_dicts()}
    assert rows.keys() == {"a9", "a0", "a1"}
    for trial in made.trials:
        row = rows[trial.trial_id]
        assert (row["outcome"], row["error_type"], row["epochs"], row["parent"]) == ("failed", "NoFirstPhase", 0, "a9")
        assert row["reason"] == "NoFirstPhase: its first phase, trial a9, failed"


def test_the_checkpoint_of_a_trial_that_has_ended_goes_when_its_end_is_written(line):
    made = line()
    path = made.checkpoint(made.trials[0], 2)
    made.complete(made.trials[0])
    made.step()
    assert path.exists()
    made.step(later=1.0)
    assert not path.exists()
    assert read(made.folder / "results", "trials")["outcome"].to_list() == ["completed"]


def test_the_checkpoint_of_a_trial_that_is_stopped_for_time_stays(line, monkeypatch):
    """With more time it goes on from there."""
    made = line()
    path = made.checkpoint(made.trials[0], 2)
    monkeypatch.setattr(made.plan, "out_of_time", lambda trial: "the search's time, 20 min, was spent")
    tune = made.start(made.trials[0])
    yielded = made_up.train(made_up.Config(), made.trials[0].data, seed=0, epochs=3)
    record = Report(**COMMON, network=next(yielded), epochs=(next(yielded),)).pack()
    assert made.scheduler.on_trial_result(None, tune, {"record": record}) == "STOP"
    made.callback.on_trial_result(0, [], tune, {"record": record})
    made.step(later=2.0)
    assert path.exists()
    (row,) = read(made.folder / "results", "trials").to_dicts()
    assert (row["outcome"], row["reason"]) == ("stopped", "the search's time, 20 min, was spent")
    assert "stopped a, seed 0: the search's time" in made.out.getvalue()


def test_a_trial_that_loses_its_process_at_once_tries_its_checkpoint_once_more(line):
    made = line(trials=1, recorded=lambda _trial_id: past(trial))
    (trial,) = made.trials
    path = made.checkpoint(trial, 2)
    made.fail(trial, "ProcessKilled", "gone", start=path)
    assert path.exists()
    made.fail(trial, "ProcessKilled", "gone", start=path)
    assert not path.exists()
    assert trial.trial_id in made.plan.endings


def past(trial):
    """Two recorded epochs of a trial."""
    yielded = list(made_up.train(trial.arm.config, trial.data, seed=trial.seed, epochs=2))[1:]
    return RecordedAttempt(epochs={epoch.epoch: metrics(epoch) for epoch in yielded})


def test_an_error_of_the_training_takes_its_checkpoint_with_it(line):
    made = line(trials=1)
    path = made.checkpoint(made.trials[0], 2)
    made.fail(made.trials[0], "ValueError", "no", traceback="Traceback …")
    assert not path.exists()


def test_rows_that_cannot_be_written_end_the_sweep_after_the_step(line, monkeypatch):
    made = line()

    def full(*_args, **_options):
        raise ResultsError("No space left on device")

    monkeypatch.setattr(made.builder, "report", full)
    made.fail(made.trials[0], "ValueError", "no")
    with pytest.raises(ResultsError, match="No space left"):
        made.step()


def test_a_spent_budget_and_a_wish_to_stop_are_heard_between_two_steps(line):
    made = line(deadline=5.0)
    made.step(later=5.0)
    with pytest.raises(BudgetSpentError):
        made.step(later=0.5)
    made.stop.requested = True
    with pytest.raises(KeyboardInterrupt):
        made.step()


def test_a_trial_that_loses_its_node_is_tried_again_where_nodes_come_and_go(line):
    made = line(trials=1, retries=0, slots_lost=2)
    for _ in range(2):
        made.callback.on_trial_error(0, [], made.start(made.trials[0]))
        assert not made.plan.finished
    made.callback.on_trial_error(0, [], made.start(made.trials[0]))
    assert made.plan.finished
    made.step(later=2.0)
    rows = read(made.folder / "results", "trials")
    assert rows["outcome"].to_list() == ["failed"] * 3
    assert rows["continuation"].to_list() == [0, 1, 2]


def test_a_training_that_is_killed_is_tried_again_as_often_as_was_said_wherever_it_runs(line):
    made = line(trials=1, retries=0, slots_lost=2)
    made.fail(made.trials[0], "ProcessKilled", "by SIGKILL")
    assert made.plan.finished


def test_lost_nodes_do_not_use_up_the_retries(line):
    made = line(trials=1, retries=1, slots_lost=2)
    for _ in range(2):
        made.callback.on_trial_error(0, [], made.start(made.trials[0]))
    made.fail(made.trials[0], "ProcessKilled", "by SIGKILL")
    assert not made.plan.finished
    made.fail(made.trials[0], "ProcessKilled", "by SIGKILL")
    assert made.plan.finished


def test_slots_at_work_are_counted_by_host(line):
    made = line(trials=4)
    running = [made.start(trial) for trial in made.trials]
    for tune, host in zip(running[:3], ("here", "here", "there"), strict=True):
        yielded = made_up.train(made_up.Config(), made.trials[0].data, seed=0, epochs=3)
        record = Report(**COMMON | {"host": host}, network=next(yielded), epochs=(next(yielded),)).pack()
        made.callback.on_trial_result(0, [], tune, {"record": record})
    assert made.events.other_busy_slots("here") == 2  # one of them has not said yet where it is
    assert made.events.other_busy_slots("there") == 1


def test_what_changes_at_the_nodes_is_said(line):
    made = line(node_news=lambda: ["h2 has left: 1 node (h1 1), 1 slot"])
    made.step(later=2.0)
    assert "h2 has left: 1 node (h1 1), 1 slot" in made.out.getvalue()


def test_where_the_sweep_stands_is_handed_on_once_a_second(line):
    shown = Shown()
    made = line(metrics=shown)
    made.complete(made.trials[0])
    made.start(made.trials[1])
    made.fail(made.trials[2], "ValueError", "no")
    made.step(later=0.75)
    assert shown == []
    made.step(later=0.25)
    assert shown.trials == {"waiting": 1, "running": 1, "completed": 1, "failed": 1}
    assert shown[-1].epochs == 3
    assert shown[-1].best == 0.5 * 3 / 4
    made.step(later=0.75)
    assert len(shown) == 1


def test_a_trial_that_is_tried_again_waits(line):
    shown = Shown()
    made = line(metrics=shown)
    made.fail(made.trials[0], "ProcessKilled", "gone")
    made.step(later=1.0)
    assert shown.trials == {"waiting": 4}


def test_a_trial_that_an_earlier_command_has_trained_has_ended(line):
    shown = Shown()
    made = line(metrics=shown)
    made.plan.end(made.trials[3], Ending(outcome="stopped", epoch=1, value=0.5))
    made.step(later=1.0)
    assert shown.trials == {"waiting": 3, "stopped": 1}
    assert (shown[-1].epochs, shown[-1].best) == (0, None)


def test_once_a_sweep_is_over_nothing_runs(line):
    shown = Shown()
    made = line(metrics=shown)
    tune = made.start(made.trials[0])
    made.step(later=1.0)
    assert shown.trials == {"waiting": 3, "running": 1}
    yielded = made_up.train(made_up.Config(), made.trials[0].data, seed=0, epochs=1)
    made.report(tune, network=next(yielded), epochs=(next(yielded),))
    made.callback.measure(over=True)
    assert shown.trials == {"waiting": 4}
    assert shown[-1].epochs == 1
