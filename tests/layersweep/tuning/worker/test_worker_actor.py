"""The Tune actor, without Ray: a ticket in, packed reports out, a child that it replaces."""

import copy
import dataclasses
import itertools

import made_up
import made_up_tune
import pytest

from layersweep.records.questions import FIRST_PHASE
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.worker_report import unpack
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.candidate_limits import SearchLimits
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.runtime import fork_server
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.worker_actor import Slot

CLAIMED = 0.25  # what a made-up training says that building cost, though it did not: the start is what is left


@pytest.fixture(scope="module")
def server():
    with fork_server.running_server(made_up.WARM_UP) as socket:
        yield socket


@pytest.fixture
def ticket(tmp_path, server):
    data = made_up.data(tmp_path)

    def make(epochs=3, more=None, **config):
        trial = Trial(
            trial_id="ab", arm=Arm(name="a", config=made_up.Config(**config)), question="comparison", seed=1,
            epochs=epochs, precision="float32", data=data,
        )  # fmt: skip
        fixed = {"family": made_up.CODE, "warm_up": made_up.WARM_UP, "log": tmp_path / "t.log", "slots": 1}
        fixed |= {"fork_server": server}
        kept = {"checkpoints": tmp_path / "checkpoints", "checkpoint_every": 60.0}
        return {"assignment": Assignment(trial=trial, **fixed, **kept | (more or {}))}

    return make


@pytest.fixture
def slot(ticket):
    made = Slot(ticket())
    yield made
    made.cleanup()


def test_a_step_is_an_epoch_and_the_first_brings_the_model(slot):
    first, second, third = slot.step(), slot.step(), slot.step()
    assert [r["epoch"] for r in (first, second, third)] == [1, 2, 3]
    assert [r["done"] for r in (first, second, third)] == [False, False, True]
    assert first["val_accuracy"] == 0.25 + 0.001
    report = unpack(first["record"])
    assert report.network.parameters == 12
    assert report.device == "made-up device"
    assert report.seconds_import >= 0
    assert report.seconds_start + CLAIMED > 0
    assert unpack(second["record"]).network is None


def test_the_best_epochs_weights_are_kept_and_those_that_plans_name(ticket, tmp_path):
    trial_id = "0123456789abcdef"
    named = kept_weights.file(tmp_path, trial_id, 1)
    given = ticket(epochs=4, more={"keep_weights": "best", "results": tmp_path, "named_weights": frozenset([named])})
    given["assignment"] = dataclasses.replace(
        given["assignment"], trial=dataclasses.replace(given["assignment"].trial, trial_id=trial_id)
    )
    slot, done = Slot(given), False
    while not done:
        result = slot.step()
        done, last = result["done"], kept_weights.file(tmp_path, trial_id, result["epoch"])
        assert {*kept_weights.folder_of(tmp_path).iterdir()} == {named, last}
    slot.cleanup()
    assert last.name == f"{trial_id}-4.keras"


def test_a_first_phase_whose_weights_cannot_be_kept_has_failed(ticket, tmp_path):
    (tmp_path / "weights").write_text("in the way")
    given = ticket(epochs=1, more={"keep_weights": "last", "results": tmp_path})
    given["assignment"] = dataclasses.replace(
        given["assignment"], trial=dataclasses.replace(given["assignment"].trial, question=FIRST_PHASE)
    )
    slot = Slot(given)
    report = unpack(slot.step()["record"])
    slot.cleanup()
    assert report.epochs == ()
    assert report.error.type == "NotSaved"
    assert "no checkpoint could be written" in report.error.message


def test_a_training_that_is_killed_for_its_memory_says_what_it_needs(ticket):
    slot = Slot(ticket(misdeed="kill", batch_size=64))
    report = unpack(next(r for r in (slot.step() for _ in range(3)) if r["done"])["record"])
    slot.cleanup()
    first, needed = report.error.message.split("; by estimate ")
    assert "was killed by SIGKILL" in first
    assert needed.startswith("a step with batch_size=64 takes 0.0 GiB")


def test_a_candidate_that_is_too_large_is_refused_before_its_first_epoch(slot, ticket):
    slot.step()
    process = slot.process.pid
    slot._memory_share = 100
    slot.reset_config(ticket(more={"limits": SearchLimits()}))
    result = slot.step()
    report = unpack(result["record"])
    assert result["done"] is True
    assert (report.error.type, report.epochs, report.network.parameters) == ("TooLarge", (), 12)
    assert report.seconds_start + CLAIMED > 0
    slot.reset_config(ticket())
    assert slot.step()["epoch"] == 1
    assert slot.process.pid == process


def test_a_candidate_that_is_too_slow_is_refused(slot, ticket):
    """Of 21 operations an image, with 4 images: 252 in an epoch."""
    slot.reset_config(ticket(more={"limits": SearchLimits(seconds_left=2.5, flops_per_second=100.0)}))
    assert unpack(slot.step()["record"]).error.type == "TooSlow"
    slot.reset_config(ticket(more={"limits": SearchLimits(seconds_left=2.6, flops_per_second=100.0)}))
    assert slot.step()["epoch"] == 1


def test_what_is_no_candidate_is_not_refused(slot, ticket):
    slot._memory_share = 100
    slot.reset_config(ticket())
    assert slot.step()["epoch"] == 1


def test_a_result_is_three_scalars_and_one_bytes_value(slot):
    result = slot.step()
    assert sorted(result) == ["done", "epoch", "record", "val_accuracy"]
    assert isinstance(result["record"], bytes)


def test_the_next_trial_reuses_the_process(slot, ticket):
    slot.step()
    process = slot.process.pid
    assert slot.reset_config(ticket()) is True
    report = unpack(slot.step()["record"])
    assert slot.process.pid == process
    assert report.epochs[0].epoch == 1
    assert report.seconds_import == 0
    assert report.seconds_close > 0


def test_a_nan_ends_the_trial_and_stays_away_from_the_scheduler(slot, ticket):
    slot.reset_config(ticket(misdeed="nan"))
    slot.step()
    result = slot.step()
    assert sorted(result) == ["done", "epoch", "record"]
    assert result["done"] is True
    assert unpack(result["record"]).epochs[0].diverged


@pytest.mark.parametrize(("misdeed", "kind"), [("raise", "ValueError"), ("kill", "ProcessKilled")])
def test_a_failure_is_a_result_and_the_slot_lives_on(slot, ticket, misdeed, kind):
    slot.reset_config(ticket(misdeed=misdeed))
    slot.step()
    result = slot.step()
    assert result["done"] is True
    assert "val_accuracy" not in result
    assert unpack(result["record"]).error.type == kind
    slot.reset_config(ticket())
    assert unpack(slot.step()["record"]).epochs[0].epoch == 1


def test_an_error_before_the_first_epoch_still_brings_the_model(slot, ticket):
    slot.reset_config(ticket(misdeed="at once"))
    report = unpack(slot.step()["record"])
    assert report.error.type == "RuntimeError"
    assert report.network.parameters == 12
    assert report.seconds_start + CLAIMED > 0


def test_a_training_that_ends_early_is_told(slot, ticket):
    slot.reset_config(ticket(misdeed="early"))
    slot.step()
    result = slot.step()
    assert result["done"] is True
    report = unpack(result["record"])
    assert (report.epochs, report.error) == ((), None)


def test_a_checkpoint_is_written_before_the_next_epoch_and_the_last_two_are_kept(slot, ticket, tmp_path):
    """The driver may be killed before it has written what the last one follows."""
    slot.reset_config(ticket(epochs=5, more={"checkpoint_every": 0.0}))
    reports = [unpack(slot.step()["record"]) for _ in range(4)]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["ab-2.keras", "ab-3.keras"]
    assert reports[0].seconds_checkpoint == 0
    assert reports[2].seconds_checkpoint > 0
    assert reports[2].problem is None


def test_no_checkpoint_is_written_before_its_time(slot, tmp_path):
    for _ in range(3):
        slot.step()
    assert not (tmp_path / "checkpoints").exists()


def test_a_training_goes_on_from_its_checkpoint(slot, ticket, tmp_path):
    path = tmp_path / "checkpoints" / "ab-2.keras"
    path.parent.mkdir()
    made_up.save(2, path)
    slot.reset_config(ticket(epochs=4, more={"start": path, "start_epoch": 2, "checkpoint_every": 0.0}))
    assert [slot.step()["epoch"], slot.step()["epoch"]] == [3, 4]
    assert sorted(p.name for p in path.parent.iterdir()) == ["ab-2.keras", "ab-3.keras"]


def test_a_checkpoint_that_cannot_be_written_is_a_problem_and_no_failure(slot, ticket, tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    slot.reset_config(ticket(more={"checkpoint_every": 0.0}))
    slot.step()
    report = unpack(slot.step()["record"])
    assert report.epochs[0].epoch == 2
    assert report.problem.startswith(f"no checkpoint could be written to {tmp_path / 'checkpoints'}")


def test_a_training_that_takes_too_long_is_killed(slot, ticket):
    slot.reset_config(ticket(misdeed="hang", more={"timeout": 0.5}))
    slot.step()
    error = unpack(slot.step()["record"]).error
    assert (error.type, error.message) == ("TimedOut", "the training took longer than --trial-timeout, 0.5 s")
    slot.reset_config(ticket())
    assert slot.step()["epoch"] == 1


def test_a_nan_may_be_kept(slot, ticket):
    slot.reset_config(ticket(misdeed="nan", more={"keep_hopeless": True}))
    slot.step()
    assert slot.step()["done"] is False
    assert slot.step()["done"] is True


# Short epochs


@pytest.fixture
def quick(monkeypatch, ticket):
    """A slot whose child trains in this process, and for which no epoch is too long to be reported with others."""
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TrainingProcess", made_up_tune.TrainingProcess)
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", float("inf"))
    return Slot(ticket(epochs=7))


def steps(slot):
    """The numbers of the epochs of each step to the end; the last step has `done`."""
    found = []
    done = False
    while not done:
        result = slot.step()
        found.append([epoch.epoch for epoch in unpack(result["record"]).epochs])
        done = result["done"]
    return found


def test_short_epochs_come_together_but_for_the_first_and_the_last(quick):
    assert steps(quick) == [[1], [2, 3, 4, 5, 6], [7]]


def test_a_result_of_several_epochs_has_the_scalars_of_the_last(quick):
    quick.step()
    result = quick.step()
    last = unpack(result["record"]).epochs[-1]
    assert (result["epoch"], result["val_accuracy"], result["done"]) == (6, last.val_accuracy, False)


def test_long_epochs_come_alone(quick, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", 0.0)
    assert steps(quick) == [[n] for n in range(1, 8)]


def test_a_step_ends_before_the_epoch_that_would_take_too_long(quick, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(
        "layersweep.tuning.worker.worker_actor.time.perf_counter", lambda: 0.1 * next(clock)
    )  # an epoch looks at it twice
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", 0.6)
    assert steps(quick) == [[1], [2, 3, 4], [5, 6], [7]]


def test_a_step_ends_at_each_rung(quick, ticket):
    quick.reset_config(ticket(epochs=7, more={"rungs": frozenset({2, 4})}))
    assert steps(quick) == [[1], [2], [3, 4], [5, 6], [7]]


def test_a_training_that_does_not_learn_may_be_ended_after_each_epoch(quick, ticket):
    quick.reset_config(ticket(epochs=4, misdeed="chance"))
    assert steps(quick) == [[1], [2], [3], [4]]


def test_a_step_ends_where_a_checkpoint_is_due_which_the_driver_has_seen(quick, ticket, tmp_path):
    quick.reset_config(ticket(epochs=4, more={"checkpoint_every": 0.0}))
    assert steps(quick) == [[1], [2], [3], [4]]
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["ab-2.keras", "ab-3.keras"]


def test_a_death_comes_after_the_epochs_before_it(quick, ticket):
    quick.step()
    quick.process.doomed = 2
    assert steps(quick) == [[2, 3], []]
    quick.reset_config(ticket(epochs=3))
    assert steps(quick) == [[1], [2], [3]]


def test_an_early_end_comes_after_the_epochs_before_it(quick):
    quick.step()
    quick.process._values = itertools.islice(quick.process._values, 2)
    assert steps(quick) == [[2, 3], []]


def test_epochs_do_not_wait_for_one_that_takes_longer(quick, ticket, monkeypatch):
    quick.step()
    answers = iter([True, True, False])
    monkeypatch.setattr(quick.process, "request_epoch", lambda _seconds: next(answers, True))
    assert steps(quick) == [[2, 3, 4], [5, 6], [7]]


def test_no_checkpoint_is_asked_for_while_the_process_is_at_work(quick, ticket, tmp_path):
    quick.reset_config(ticket(epochs=4, more={"checkpoint_every": 0.0}))
    quick.step()
    quick.process.request_epoch(0)
    quick.step()
    assert not (tmp_path / "checkpoints").exists()
    quick.step()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["ab-2.keras"]


def test_what_is_held_of_a_stopped_trial_is_forgotten(quick, ticket):
    quick.step()
    quick.step()  # the driver stops it here, and epoch 7 is held
    quick.reset_config(ticket(epochs=3))
    assert steps(quick) == [[1], [2], [3]]


# What Tune keeps


def test_a_result_does_not_bring_the_ticket_back(quick, ticket):
    assert quick.train()["config"] == {}
    quick.reset(ticket(epochs=2))
    assert quick.train()["config"] == {}


def test_a_copy_of_a_ticket_is_the_ticket(ticket):
    config = ticket()
    assert copy.deepcopy(config)["assignment"] is config["assignment"]
