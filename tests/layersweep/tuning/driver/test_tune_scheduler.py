"""ASHA's decisions, told with rung and cutoff, on results made up by hand; and rebuilt from them."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import killable
import pytest

from layersweep.records.questions import COMPARISON, SCREENING, TUNING
from layersweep.records.values import Epoch
from layersweep.tuning.common.worker_report import Report
from layersweep.tuning.driver.early_stopping import Asha
from layersweep.tuning.driver.tune_scheduler import TuneScheduler
from layersweep.tuning.experiment.asha_settings import GO_ON, AshaSettings, Decision
from layersweep.tuning.storage.history import RecordedEpoch
from trainables.nas import configuration

HALVING = AshaSettings(metric="val_accuracy", mode="max", epochs=8, grace=1, reduction=2)


class Judge:
    """Ends no trial, unless a test replaces one of its answers."""

    def __init__(self):
        self.hopeless = lambda _trial, _epoch: None
        self.stop_reason = lambda _trial: None


class Scheduler(TuneScheduler):
    """A scheduler whose ASHA and judge a test can reach."""

    def __init__(self, halving):
        self.asha, self.judge = Asha(halving), Judge()
        super().__init__(self.asha, self.judge)


@pytest.fixture
def scheduler():
    return Scheduler(HALVING)


def ours(name, question=SCREENING, arm="x"):
    return SimpleNamespace(trial_id=name, question=question, arm=SimpleNamespace(name=arm, config=None))


def tune(trial):
    return SimpleNamespace(trial_id=f"tune-{trial.trial_id}", config={"assignment": SimpleNamespace(trial=trial)})


def report(epoch, value, loss=1.0, metric="val_accuracy"):
    measured = {"loss": loss, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, metric: value}
    spent = dict.fromkeys([f"seconds_{n}" for n in ("build", "train", "validate", "test", "measure")], 0.0)
    made = Epoch(epoch=epoch, learning_rate=0.1, **measured, **spent)
    return Report(host="h", device=None, log="l", memory_peak_bytes=1, epochs=(made,))


def tell(scheduler, trial, epoch, value, **more):
    result = {"epoch": epoch, "record": report(epoch, value, **more).pack()}
    action = scheduler.on_trial_result(None, tune(trial), result)
    (decision,) = scheduler.decisions(trial)
    return action, (decision.action, decision.rung, decision.cutoff)


def finish(scheduler, trial, epoch, value):
    scheduler.on_trial_complete(None, tune(trial), {"epoch": epoch, "record": report(epoch, value).pack()})


def test_only_a_trial_that_has_just_come_is_given_to_a_free_actor(scheduler):
    """Tune would end the actor that is being started for another."""
    first, second, ended = (SimpleNamespace(status=status) for status in ("PENDING", "PENDING", "TERMINATED"))
    for trial in (ended, first, second):
        scheduler.on_trial_add(None, trial)
    assert scheduler.choose_trial_to_run(None) is first
    assert scheduler.choose_trial_to_run(None) is None
    scheduler.on_trial_add(None, second)  # again: it was lost with its actor
    assert scheduler.choose_trial_to_run(None) is second


@pytest.mark.slow
def test_trials_that_are_shorter_than_starts_keep_no_slot_from_starting(tmp_path):
    """Under Tune's own choice the first actor trains all 60 trials, and ends one start after another."""
    done = subprocess.run(
        [sys.executable, str(killable.SCRIPT.with_name("slow_starts.py")), str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["starts"] == 2
    assert len(set(found["actors"])) == 2
    assert len(found["actors"]) == 60


def test_the_first_at_a_rung_goes_on_whatever_it_has(scheduler):
    assert tell(scheduler, ours("a"), 1, 0.0) == ("CONTINUE", ("continue", 1, None))


def test_the_better_half_goes_on(scheduler):
    tell(scheduler, ours("a"), 1, 0.5)
    assert tell(scheduler, ours("b"), 1, 0.6) == ("CONTINUE", ("continue", 1, 0.5))
    # the median of .5 and .6 is .55
    assert tell(scheduler, ours("c"), 1, 0.54) == ("STOP", ("stop", 1, 0.55))


def test_between_rungs_nothing_is_decided(scheduler):
    a = ours("a")
    tell(scheduler, a, 1, 0.5)
    tell(scheduler, a, 2, 0.5)
    assert tell(scheduler, a, 3, 0.1) == ("CONTINUE", ("continue", None, None))


def test_a_loss_is_judged_the_other_way_round():
    scheduler = Scheduler(AshaSettings(metric="val_loss", mode="min", epochs=8, grace=1, reduction=2))
    told = {n: tell(scheduler, ours(n), 1, loss, metric="val_loss") for n, loss in zip("abc", (0.5, 0.7, 0.4))}  # noqa: B905
    assert [action for action, _ in told.values()] == ["CONTINUE", "STOP", "CONTINUE"]
    assert told["b"][1] == ("stop", 1, 0.5)
    assert told["c"][1][2] == pytest.approx(0.6)


def test_a_fractional_rung_is_recorded_as_the_epoch_that_reaches_it():
    scheduler = Scheduler(AshaSettings(metric="val_accuracy", mode="max", epochs=8, grace=1, reduction=2.5))
    a = ours("a")
    for epoch in (1, 2):
        tell(scheduler, a, epoch, 0.5)
    assert tell(scheduler, a, 3, 0.5) == ("CONTINUE", ("continue", 3, None))


@pytest.mark.parametrize("question", [COMPARISON, TUNING])
def test_trials_of_questions_that_are_not_halved_are_never_stopped_and_never_seen(question):
    scheduler = Scheduler(AshaSettings(**{**vars(HALVING), "questions": frozenset({SCREENING})}))
    tell(scheduler, ours("a"), 1, 0.9)
    other = ours("b", question)
    assert tell(scheduler, other, 1, 0.1) == ("CONTINUE", ("continue", None, None))
    finish(scheduler, other, 8, 0.1)
    # if ASHA had seen .1, the cutoff would be .5
    assert tell(scheduler, ours("c"), 1, 0.8) == ("STOP", ("stop", 1, 0.9))


def test_the_candidates_of_each_arm_are_halved_among_themselves(scheduler):
    tell(scheduler, ours("a", TUNING, "adam"), 1, 0.9)
    assert tell(scheduler, ours("b", TUNING, "sgd"), 1, 0.1) == ("CONTINUE", ("continue", 1, None))
    assert tell(scheduler, ours("c", TUNING, "adam"), 1, 0.8) == ("STOP", ("stop", 1, 0.9))


def test_a_diverged_epoch_is_not_judged(scheduler):
    a = ours("a")
    assert tell(scheduler, a, 1, 0.9, loss=float("nan")) == ("CONTINUE", ("continue", None, None))
    assert tell(scheduler, ours("b"), 1, 0.0) == ("CONTINUE", ("continue", 1, None))


def test_a_step_without_an_epoch_decides_nothing(scheduler):
    failed = Report(host="h", device=None, log="l", memory_peak_bytes=1).pack()
    assert scheduler.on_trial_result(None, tune(ours("a")), {"record": failed}) == "CONTINUE"
    scheduler.on_trial_complete(None, tune(ours("a")), {"record": failed})
    scheduler.on_trial_complete(None, tune(ours("a")), {})
    assert tell(scheduler, ours("b"), 1, 0.0) == ("CONTINUE", ("continue", 1, None))


def test_a_last_epoch_measures_those_that_come_later():
    scheduler = Scheduler(AshaSettings(metric="val_accuracy", mode="max", epochs=2, grace=1, reduction=2))
    a, b = ours("a"), ours("b")
    tell(scheduler, a, 1, 0.5)
    finish(scheduler, a, 2, 0.9)
    tell(scheduler, b, 1, 0.6)
    longer = Scheduler(AshaSettings(metric="val_accuracy", mode="max", epochs=4, grace=1, reduction=2))
    events = [("a", 1, 0.5), ("a", 2, 0.9), ("b", 1, 0.6), ("b", 2, 0.7)]
    decided = longer.asha.replay(
        [a, b], [RecordedEpoch(trial_id=i, epoch=e, value=v, decision=GO_ON) for i, e, v in events]
    )
    assert decided["b"][2] == Decision(action="stop", rung=2, cutoff=0.9)


def test_a_hopeless_trial_is_stopped_with_its_reason(scheduler):
    scheduler.judge.hopeless = lambda trial, epoch: "at chance" if epoch.epoch == 2 else None
    a = ours("a", COMPARISON)
    assert tell(scheduler, a, 1, 0.1)[0] == "CONTINUE"
    scheduler.on_trial_result(None, tune(a), {"record": report(2, 0.1).pack()})
    assert scheduler.decisions(a) == [Decision(action="hopeless", reason="at chance")]


def together(*epochs):
    """One report of several epochs, as (number, value)."""
    first, *more = [report(epoch, value) for epoch, value in epochs]
    return {"record": replace(first, epochs=(*first.epochs, *(r.epochs[0] for r in more))).pack()}


def test_epochs_that_come_together_are_decided_one_by_one_to_the_first_that_stops(scheduler):
    tell(scheduler, ours("a"), 1, 0.5)
    tell(scheduler, ours("a"), 2, 0.9)
    asked = []
    scheduler.judge.hopeless = lambda trial, epoch: asked.append(epoch.epoch)
    b = ours("b")
    assert scheduler.on_trial_result(None, tune(b), together((1, 0.6), (2, 0.7), (3, 0.95))) == "STOP"
    first, second = scheduler.decisions(b)
    assert first == Decision(action="continue", rung=1, cutoff=0.5)
    assert second == Decision(action="stop", rung=2, cutoff=0.9)
    assert asked == [1, 2], "the third is as if it had never been trained"


def test_decisions_are_taken_once_and_what_ends_by_itself_goes_on(scheduler):
    a = ours("a")
    scheduler.on_trial_result(None, tune(a), together((1, 0.6), (2, 0.7)))
    assert [d.action for d in scheduler.decisions(a)] == ["continue", "continue"]
    assert scheduler.decisions(a) == (GO_ON,)


def test_a_slot_is_told_the_rungs_of_what_is_halved(scheduler):
    assert scheduler.asha.rungs(ours("a")) == scheduler.asha.rungs(ours("a", TUNING)) == {1, 2, 4}
    assert scheduler.asha.rungs(ours("a", COMPARISON)) == frozenset()


@pytest.mark.parametrize(
    ("epochs", "grace", "reduction", "rungs"),
    [(8, 1, 2, {1, 2, 4}), (9, 1, 2, {1, 2, 4, 8}), (10, 1, 2.5, {1, 3, 7}), (3, 3, 2, set()), (50, 5, 3, {5, 15, 45})],
)
def test_the_rungs_are_those_at_which_asha_judges(epochs, grace, reduction, rungs):
    halving = AshaSettings(metric="val_accuracy", mode="max", epochs=epochs, grace=grace, reduction=reduction)
    assert halving.rungs == rungs
    judged = {e: tell(Scheduler(halving), ours("a"), e, 0.5)[1][1] for e in range(1, epochs)}
    scheduler, a = Scheduler(halving), ours("a")
    entered = {e: tell(scheduler, a, e, 0.5)[1][1] for e in range(1, epochs)}
    assert {e for e, rung in entered.items() if rung is not None} == rungs
    assert set(judged.values()) - {None} == rungs


EVENTS = [("a", 1, 0.5), ("b", 1, 0.6), ("c", 1, 0.54), ("a", 2, 0.6), ("d", 1, 0.9), ("b", 2, 0.5), ("d", 2, 0.7)]


def lived(scheduler, events):
    trials = {name: ours(name) for name in "abcdef"}
    return {(n, e): tell(scheduler, trials[n], e, v)[1] for n, e, v in events}


@pytest.mark.parametrize("cut", range(len(EVENTS) + 1))
def test_what_is_recorded_rebuilds_the_scheduler(cut):
    """Replayed in its order it gives every recorded decision, and what comes later is decided as if nothing was."""
    undisturbed = lived(Scheduler(HALVING), EVENTS)
    rebuilt, trials = Scheduler(HALVING), [ours(name) for name in "abcdef"]
    decided = rebuilt.asha.replay(
        trials, [RecordedEpoch(trial_id=n, epoch=e, value=v, decision=GO_ON) for n, e, v in EVENTS[:cut]]
    )
    said = {(n, e): (d.action, d.rung, d.cutoff) for n, epochs in decided.items() for e, d in epochs.items()}
    assert said | lived(rebuilt, EVENTS[cut:]) == undisturbed


def test_epochs_that_are_trained_again_get_the_decision_that_is_recorded(scheduler):
    a, b = ours("a"), ours("b")
    seen = [RecordedEpoch(trial_id=n, epoch=1, value=v, decision=GO_ON) for n, v in (("a", 0.5), ("b", 0.4))]
    scheduler.asha.replay([a, b], seen)
    assert tell(scheduler, a, 1, 0.5) == ("CONTINUE", ("continue", 1, None))
    assert tell(scheduler, b, 1, 0.4) == ("STOP", ("stop", 1, 0.5))
    # neither entered the rung twice: the median of .5 and .4
    assert tell(scheduler, ours("c"), 1, 0.44) == ("STOP", ("stop", 1, 0.45))


def test_a_training_that_two_questions_ask_for_is_replayed_as_it_ran():
    scheduler = Scheduler(HALVING)
    screened, candidate = ours("a"), ours("a", TUNING, "adam")
    scheduler.asha.replay([screened, candidate], [RecordedEpoch(trial_id="a", epoch=1, value=0.9, decision=GO_ON)])
    assert tell(scheduler, ours("b"), 1, 0.1) == ("STOP", ("stop", 1, 0.9))
    assert tell(scheduler, ours("c", TUNING, "adam"), 1, 0.1) == ("CONTINUE", ("continue", 1, None))


def test_a_trial_that_goes_on_behind_the_epoch_that_stops_it_now_is_stopped(scheduler):
    a, b = ours("a"), ours("b")
    events = [("a", 1, 0.5), ("b", 1, 0.4), ("b", 2, 0.8), ("b", 3, 0.8)]
    scheduler.asha.replay([a, b], [RecordedEpoch(trial_id=n, epoch=e, value=v, decision=GO_ON) for n, e, v in events])
    assert tell(scheduler, b, 4, 0.9) == ("STOP", ("stop", 1, 0.5))


def test_it_may_be_pickled_by_tune_without_its_state(scheduler):
    assert scheduler.__getstate__() == {}


# The time of a search


def candidate(name, epochs=8):
    return SimpleNamespace(**vars(ours(name, TUNING)), epochs=epochs)


def test_a_candidate_is_stopped_for_time_after_the_last_epoch_that_came(scheduler):
    tell(scheduler, candidate("a"), 1, 0.5)
    b = candidate("b")
    scheduler.judge.stop_reason = lambda trial: "the time was spent"
    assert scheduler.on_trial_result(None, tune(b), together((1, 0.6), (2, 0.7), (3, 0.8))) == "STOP"
    assert scheduler.decisions(b) == [
        Decision(action="continue", rung=1, cutoff=0.5),
        Decision(action="continue", rung=2),
        Decision(action="stop", reason="the time was spent"),
    ]


def test_asha_goes_before_the_time_and_a_last_epoch_completes(scheduler):
    tell(scheduler, candidate("a"), 1, 0.5)
    scheduler.judge.stop_reason = lambda trial: "the time was spent"
    assert tell(scheduler, candidate("b"), 1, 0.4) == ("STOP", ("stop", 1, 0.5))
    assert tell(scheduler, candidate("c", epochs=1), 1, 0.9)[0] == "CONTINUE"


def test_a_candidate_that_was_stopped_for_time_is_replayed_as_one_that_goes_on():
    """ASHA has seen its epoch, and decides of the others as if nothing had been stopped."""
    events = [("a", 1, 0.5), ("b", 1, 0.6), ("c", 1, 0.52)]
    undisturbed, stopped, rebuilt = (Scheduler(HALVING) for _ in range(3))
    trials = {name: candidate(name) for name in "abcd"}
    for name, epoch, value in events:
        tell(undisturbed, trials[name], epoch, value)
    for name, epoch, value in events:
        reason = "the time was spent" if name == "b" else None
        stopped.judge.stop_reason = lambda _trial, reason=reason: reason
        told = tell(stopped, trials[name], epoch, value)
        if name == "b":
            assert told == ("STOP", ("stop", None, None))
    seen = [
        RecordedEpoch(trial_id=n, epoch=e, value=v, decision=Decision(action="stop") if n == "b" else GO_ON)
        for n, e, v in events
    ]
    replayed = rebuilt.asha.replay([*trials.values()], seen)
    assert replayed["b"][1] == Decision(action="continue", rung=1, cutoff=0.5)
    expected = tell(undisturbed, trials["d"], 1, 0.53)
    assert tell(stopped, trials["d"], 1, 0.53) == tell(rebuilt, trials["d"], 1, 0.53) == expected
    assert tell(rebuilt, trials["b"], 1, 0.6) == ("CONTINUE", ("continue", 1, 0.5))


def test_what_hyperband_trains_for_so_many_epochs_is_not_judged_by_asha_as_well(scheduler):
    config = configuration.Config(choices='{"tuner/epochs": 2}')
    theirs = [ours(name, TUNING) for name in "ab"]
    for trial in theirs:
        trial.arm.config = config
    assert scheduler.asha.rungs(theirs[0]) == frozenset()
    tell(scheduler, theirs[0], 1, 0.9)
    assert tell(scheduler, theirs[1], 1, 0.1) == ("CONTINUE", ("continue", None, None))
