"""Trials that were continued, or that two sweeps ask for: each epoch and second counts once."""

import random

import pytest
from compared_sweep import arm, compared
from recorded_sweep import Sweep

from layersweep.records.read import read
from layersweep.studies.recorded_comparison import load


def continued(sweep: Sweep) -> None:
    """Three ways to go on: after a failure, after a stop, after fewer epochs."""
    sweep.trial("nadam", 1, [0.5], "failed", error_type="MemoryError", error_message="out of memory")
    sweep.trial("nadam", 1, [0.7, 0.930], after=1, continuation=1, planned=False)
    sweep.trial("nadam", 2, [0.5, 0.7], "stopped", rung=2, cutoff=0.8)
    sweep.trial("nadam", 2, [0.932], after=2, continuation=1, planned=False)
    sweep.trial("nadam", 3, [0.5], epochs_asked=1)
    sweep.trial("nadam", 3, [0.7], after=1, continuation=1, planned=False, epochs_asked=2)
    sweep.trial("nadam", 3, [0.934], after=2, continuation=2, planned=False)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_last_end_counts_and_the_seconds_of_all(sweep: Sweep, shuffled: bool) -> None:
    continued(sweep)
    if shuffled:
        for table in ("trials", "epochs"):
            random.Random(3).shuffle(sweep.rows[table])
    row = arm(compared(sweep), "nadam")
    assert (row["n"], row["mean"], row["completed"], row["failed"]) == (3, pytest.approx(0.932), 3, 0)
    # 7 ends with 9 s of importing, 9 epochs of 12 s
    assert (row["epochs"], row["seconds"]) == (9, pytest.approx(7 * 9 + 9 * 12))
    assert row["reasons"] == ""


def test_a_later_attempt_counts_whatever_the_continuation(sweep: Sweep) -> None:
    continued(sweep)
    sweep.trial("nadam", 3, [0.4, 0.5, 0.6], attempt=1, planned=False)
    sweep.rows["trials"].reverse()
    row = arm(compared(sweep), "nadam")
    assert (row["mean"], row["epochs"]) == (pytest.approx((0.930 + 0.932 + 0.6) / 3), 9)
    assert row["seconds"] == pytest.approx(2 * 9 + 36 + 2 * 9 + 36 + 9 + 36)


def test_a_failure_of_what_had_completed_and_was_trained_again_for_its_weights_takes_nothing(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7, 0.9])
    sweep.trial("nadam", 1, [], "failed", continuation=1, planned=False, error_type="OutOfMemory", error_message="")
    row = arm(compared(sweep), "nadam")
    assert (row["mean"], row["completed"], row["failed"]) == (0.9, 1, 0)


def test_a_failure_on_the_way_to_more_epochs_counts(sweep: Sweep) -> None:
    more = {"after": 2, "continuation": 1, "planned": False}
    sweep.trial("nadam", 1, [0.5, 0.7], epochs_asked=2)
    sweep.trial("nadam", 1, [], "failed", **more, error_type="OutOfMemory", error_message="")
    sweep.trial("adam", 1, [0.5, 0.7, 0.8])
    assert arm(compared(sweep), "nadam")["failed"] == 1


@pytest.mark.parametrize("end", ["failed", "stopped", "completed"])
def test_an_attempt_that_is_being_continued_is_unfinished(sweep: Sweep, end: str) -> None:
    sweep.trial("nadam", 1, [0.5], end, epochs_asked=1 if end == "completed" else 3)
    sweep.trial("nadam", 1, [0.7], None, after=1, planned=False)
    sweep.trial("adam", 1, [0.5, 0.7, 0.9])
    row = arm(compared(sweep), "nadam")
    assert (row["status"], row["unfinished"]) == ("unfinished", 1)
    assert (row["epochs"], row["seconds"]) == (2, pytest.approx(9 + 12 + 12))  # the second epoch has no end yet


def test_a_failure_after_the_last_epoch_stays_one(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7, 0.9], "failed", error_type="ValueError", error_message="bad")
    assert arm(compared(sweep), "nadam")["status"] == "failed"


def test_more_epochs_than_compared_do_not_change_what_was_reached(sweep: Sweep) -> None:
    for seed in (1, 2, 3):
        sweep.trial("nadam", seed, [0.5, 0.7, 0.9])
        sweep.trial("adam", seed, [0.5, 0.7, 0.8])
    sweep.trial("adam", 1, [0.99], None, after=3, planned=False)
    row = arm(compared(sweep), "adam")
    assert (row["completed"], row["mean"]) == (3, pytest.approx(0.8))


@pytest.mark.parametrize("again", [False, True])
def test_a_trial_shared_by_two_sweeps_counts_once(sweep: Sweep, again: bool) -> None:
    """The first sweep recorded the first epochs, the second one the rest; or both recorded all."""
    sweep.trial("nadam", 1, [0.5], epochs_asked=1, run="r1")
    sweep.run("r1")
    sweep.write()
    later = Sweep(sweep.results, "later")
    if again:
        later.trial("nadam", 1, [0.5], epochs_asked=1, planned=False, run="r1")
    later.trial("nadam", 1, [0.7, 0.9], after=1, continuation=1, run="r2", test=0.88)
    later.run("r2", command="python later.py")
    for name in ("optimizers", "later"):
        comparison, runs = load(later.write(), name)
        row = arm(comparison, "nadam")
        assert (row["n"], row["epochs"], row["seconds"]) == (1, 3, pytest.approx(2 * 9 + 3 * 12))
        assert (row["mean"], row["test_n"], row["test_mean"]) == (0.9, 1, 0.88)
        assert sorted(runs["run"]) == ["r1", "r2"]


def test_epochs_of_a_sweep_without_an_end_are_found(sweep: Sweep) -> None:
    sweep.trial("nadam", 1, [0.5, 0.7], None)
    sweep.write()
    later = Sweep(sweep.results, "later")
    later.plan("nadam", 1, "nadam-1")
    comparison = compared(later)
    assert (arm(comparison, "nadam")["status"], arm(comparison, "nadam")["epochs"]) == ("unfinished", 2)
    assert read(later.results, "epochs", "later").is_empty()
