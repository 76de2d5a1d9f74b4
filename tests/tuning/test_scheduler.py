"""ASHA's decisions, told with rung and cutoff, on results made up by hand."""

from types import SimpleNamespace

import pytest

from records.tables import COMPARISON, SCREENING
from tuning.scheduler import Screening


@pytest.fixture
def scheduler():
    return Screening(metric="val_accuracy", mode="max", epochs=8, grace=1, reduction=2)


def add(scheduler, name, question=SCREENING):
    ticket = SimpleNamespace(trial=SimpleNamespace(question=question))
    trial = SimpleNamespace(trial_id=name, config={"ticket": ticket})
    scheduler.on_trial_add(None, trial)
    return trial


def tell(scheduler, trial, epoch, value):
    action = scheduler.on_trial_result(None, trial, {"epoch": epoch, "val_accuracy": value})
    decision = scheduler.decisions.get(trial.trial_id)
    return action, decision and (decision.action, decision.rung, decision.cutoff)


def test_the_first_at_a_rung_goes_on_whatever_it_has(scheduler):
    assert tell(scheduler, add(scheduler, "a"), 1, 0.0) == ("CONTINUE", ("continue", 1, None))


def test_the_better_half_goes_on(scheduler):
    tell(scheduler, add(scheduler, "a"), 1, 0.5)
    assert tell(scheduler, add(scheduler, "b"), 1, 0.6) == ("CONTINUE", ("continue", 1, 0.5))
    # the median of .5 and .6 is .55
    assert tell(scheduler, add(scheduler, "c"), 1, 0.54) == ("STOP", ("stop", 1, 0.55))


def test_between_rungs_nothing_is_decided(scheduler):
    a = add(scheduler, "a")
    tell(scheduler, a, 1, 0.5)
    tell(scheduler, a, 2, 0.5)
    assert tell(scheduler, a, 3, 0.1) == ("CONTINUE", ("continue", None, None))


def test_a_loss_is_judged_the_other_way_round():
    scheduler = Screening(metric="val_loss", mode="min", epochs=8, grace=1, reduction=2)
    for name, loss, expected in [("a", 0.5, "CONTINUE"), ("b", 0.7, "STOP"), ("c", 0.4, "CONTINUE")]:
        action = scheduler.on_trial_result(None, add(scheduler, name), {"epoch": 1, "val_loss": loss})
        assert action == expected
    assert scheduler.decisions["b"].cutoff == 0.5
    assert scheduler.decisions["c"].cutoff == pytest.approx(0.6)


def test_a_fractional_rung_is_recorded_as_the_epoch_that_reaches_it():
    scheduler = Screening(metric="val_accuracy", mode="max", epochs=8, grace=1, reduction=2.5)
    a = add(scheduler, "a")
    for epoch in (1, 2):
        tell(scheduler, a, epoch, 0.5)
    assert tell(scheduler, a, 3, 0.5) == ("CONTINUE", ("continue", 3, None))


def test_comparison_trials_are_never_stopped_and_never_seen(scheduler):
    tell(scheduler, add(scheduler, "a"), 1, 0.9)
    other = add(scheduler, "b", COMPARISON)
    assert tell(scheduler, other, 1, 0.1) == ("CONTINUE", None)
    scheduler.on_trial_complete(None, other, {"epoch": 8, "val_accuracy": 0.1})
    # if ASHA had seen .1, the cutoff would be .5
    assert tell(scheduler, add(scheduler, "c"), 1, 0.8) == ("STOP", ("stop", 1, 0.9))


def test_a_result_without_the_metric_decides_nothing(scheduler):
    a = add(scheduler, "a")
    assert scheduler.on_trial_result(None, a, {"done": True}) == "CONTINUE"
    assert scheduler.decisions["a"].rung is None
    scheduler.on_trial_complete(None, a, {"done": True})
    assert tell(scheduler, add(scheduler, "b"), 1, 0.0) == ("CONTINUE", ("continue", 1, None))
