"""Searches that time bounds, over kills and more time: through the real planner, run, callback and slots.

Tune's loop and the clocks are made up (`made_up_tune`): each event takes a quarter of a second, and so does an epoch.
"""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import made_up
import made_up_tune
import polars as pl
import pytest
from made_up_tune import Machine

from layersweep import Sweep
from layersweep.records.read import read
from layersweep.records.spans import total_seconds
from layersweep.terminal import Console
from layersweep.tuning.command.plan_summary import print_plan
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.tuned_arms import tuned_arms
from search_spaces.ranges import Range

SWEEP = Sweep(
    name="made_up",
    train=made_up.train,
    spaces=[{"quality": [0.2]}],
    warm_up=made_up.WARM_UP,
    tuned=[{"quality": Range(0.1, 0.9)}],
    timed_searches=True,
    search="random",
    epochs=4,
    seeds=1,
)
BUDGET = 1.6
"""The first candidate takes a second, and the second one's third epoch ends after 1.75 s."""

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def epochs_come_one_by_one_and_say_how_long_they_took(monkeypatch):
    monkeypatch.setattr("layersweep.tuning.worker.worker_actor.TOGETHER_SECONDS", -1.0)
    made, took = made_up.measured, {"train": 0.2, "validate": 0.03125, "measure": 0.01875, "build": 0.0, "test": 0.0}
    seconds = {f"seconds_{name}": spent for name, spent in took.items()}
    monkeypatch.setattr(made_up, "measured", lambda *args, **more: replace(made(*args, **more), **seconds))


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def settings(results, budget=BUDGET, *more):
    flags = ["--scheduler", "none", "--slots", "1", "--checkpoint-every", "0", "--results", str(results)]
    timed = [] if budget is None else ["--time-budget", f"{budget:g}"]
    return resolve(SWEEP, parse([*flags, *timed, *more], program="s.py"))


def request(settings):
    arms = [Arm(name="control", config=made_up.Config(quality=0.2))]
    return Request(sweep=SWEEP, settings=settings, arms=arms, tuned_arms=tuned_arms(SWEEP, {}))


DATA = made_up.data(Path("/nowhere"), train_images=600)


def run(results, hour, budget=BUDGET, *more, **faults):
    """One command at an hour of the day; returns its exit code, None if it was killed."""
    machine = Machine(wall=NOON + timedelta(hours=hour), **faults)
    return made_up_tune.run(request(settings(results, budget, *more)), DATA, machine)


def plan(results, budget=BUDGET, *more):
    return plan_of(request(settings(results, budget, *more)), DATA)


def dry_run(results, budget=BUDGET, *more):
    out = io.StringIO()
    dry = replace(settings(results, budget, *more), dry_run=True)
    print_plan(Console(file=out, width=300), plan_of(request(dry), DATA))
    return out.getvalue()


def candidates(results):
    """The ends of candidates, in the order of their numbers: number, outcome, epochs."""
    plan = (
        read(results, "plan").filter(pl.col("question") == "tuning").unique("trial_id").select("trial_id", "candidate")
    )
    ends = read(results, "trials").join(plan, on="trial_id").sort("candidate", "continuation")
    return ends.select("candidate", "outcome", "epochs").rows()


def compared(results):
    """The qualities that were compared on fresh seeds."""
    rows = read(results, "trials").filter(pl.col("question") == "comparison", pl.col("arm") == "tuned")
    return rows["quality"].to_list()


def best(results):
    """The quality of the best candidate of those that came furthest."""
    rows = read(results, "trials").filter(pl.col("question") == "tuning").sort("epochs", "last_val_accuracy")
    return rows["quality"][-1]


def spent(results):
    history = plan(results).history
    return total_seconds(history.spans(read(results, "plan").filter(pl.col("question") == "tuning")["trial_id"]))


def test_candidates_are_drawn_until_the_time_is_spent_and_the_best_is_compared(results):
    assert run(results, 0) == 0
    assert candidates(results) == [(0, "completed", 4), (1, "stopped", 3)]
    (row,) = read(results, "trials").filter(pl.col("outcome") == "stopped").to_dicts()
    assert (row["reason"], row["rung"], row["cutoff"]) == ("the search's time, 1.6 s, was spent", None, None)
    assert spent(results) == pytest.approx(1.75)
    assert compared(results) == [best(results)]


def test_a_search_that_is_over_stays_over(results):
    run(results, 0)
    before = {name: read(results, name).height for name in ("epochs", "trials")}
    assert plan(results).finished
    assert run(results, 1) == 0
    assert {name: read(results, name).height for name in before} == before


@pytest.mark.parametrize("event", range(2, 19))
def test_what_was_spent_before_a_kill_counts(results, event):
    """Whenever it is killed: no finished candidate twice, and no more time than the budget and an epoch."""
    assert run(results, 0, faults={event: ("kill", 0)}) is None
    completed = read(results, "trials").filter(pl.col("outcome") == "completed")["trial_id"].to_list()
    assert run(results, 1) == 0
    assert plan(results).finished
    epochs = read(results, "epochs")
    assert not epochs.select("trial_id", "epoch").is_duplicated().any()
    ends = read(results, "trials")
    assert not ends.filter(pl.col("trial_id").is_in(completed))["trial_id"].is_duplicated().any()
    found = candidates(results)
    assert [outcome for _, outcome, _ in found][:-1] == ["completed"] * (len(found) - 1)
    assert BUDGET <= spent(results) < BUDGET + 0.25 + 1e-6
    assert compared(results) == [best(results)]


def test_with_more_time_what_was_stopped_goes_on_from_its_checkpoint(results):
    run(results, 0)
    said = dry_run(results, 2.1)
    assert "from its checkpoint after epoch 2 (1 recorded epoch again)" in said
    assert run(results, 1, 2.1) == 0
    assert candidates(results)[:3] == [(0, "completed", 4), (1, "stopped", 3), (1, "completed", 4)]
    ends = read(results, "trials").filter(pl.col("outcome") == "stopped")
    assert ends["reason"].to_list()[0] == "the search's time, 1.6 s, was spent"
    assert not read(results, "epochs").select("trial_id", "attempt", "epoch").is_duplicated().any()


def test_one_that_was_killed_when_the_time_was_up_is_stopped_and_not_run(results):
    """The records say that the time is spent, and have no end of it."""
    run(results, 0, faults={8: ("kill", 0)})
    assert run(results, 1, 0.1) == 0
    assert candidates(results) == [(0, "stopped", 2)]
    assert read(results, "epochs").filter(pl.col("at") > NOON + timedelta(hours=1)).height == 4  # the comparison's
    assert compared(results) == [best(results)]
    assert "stopped now" not in dry_run(results, 0.1)


def test_the_plan_says_what_bounds_a_search(results):
    said = dry_run(results, 1200)
    assert "tuning: 1 arm by random search, at most 20 min each; then the best candidate of each on fresh seeds" in said
    assert "and the candidates that the searches draw in their time" in said
    assert "and trials that follow when these end: up to 4 epochs" in said
    assert "random search, at most 20 min and 12 epochs each" in dry_run(results, 1200, "--trials", "3")
    said = dry_run(results, None)
    assert "tuning: 1 arm by random search, at most 32 epochs each" in said
    assert "in their time" not in said


def test_the_estimate_counts_the_time_that_is_left(results):
    run(results, 0)
    estimate = plan(results, 3600).estimate
    assert estimate.search_seconds == [pytest.approx(3600 - 1.75)]
    assert estimate.unknown_trials == 0
    assert estimate.text(1).startswith(("at most about 1 h 00 min", "at most about 59 min"))
    assert "time that the searches have taken so far: tuned 2 s" in dry_run(results, 3600)
    over = plan(results).estimate
    assert (over.search_seconds, over.text(1)) == ([0.0], "")


def test_ashas_stops_and_those_for_time_are_told_apart_when_they_are_replayed(results):
    halving = ("--scheduler", "asha", "--grace", "1", "--reduction", "2")
    flags = (results, 3.4, *halving)
    machine = Machine(wall=NOON)
    assert made_up_tune.run(request(settings(*flags)), DATA, machine) == 0
    ends = read(results, "trials").filter(pl.col("question") == "tuning", pl.col("outcome") == "stopped")
    late = ends.filter(pl.col("rung").is_null())
    assert len(late) == 1
    assert len(ends) > 1
    assert plan(*flags).finished
    longer = [each.trial for each in plan(results, 8.0, *halving).to_run]
    assert [t.trial_id for t in longer if t.question == "tuning"] == late["trial_id"].to_list()


# Refusal by an estimate


@pytest.fixture
def share(monkeypatch):
    """Sets a slot's share of memory."""

    def to(bytes_):
        for room in ("worker.worker_actor", "driver.recorded_ends"):
            monkeypatch.setattr(f"layersweep.tuning.{room}.memory_share", lambda _slots: bytes_)

    return to


def test_candidates_that_are_too_large_are_rows_and_the_search_goes_on(results, share):
    share(100)
    assert run(results, 0) == 0
    found = read(results, "trials").filter(pl.col("question") == "tuning")
    assert set(found["error_type"]) == {"TooLarge"}
    assert found.height > 3  # more than --fail-fast allows
    assert set(found["epochs"]) == {0}
    assert found["reason"][0].startswith("TooLarge: by estimate a step with batch_size=")
    assert found["parameters"].to_list() == [12] * found.height
    assert plan(results).finished
    assert run(results, 1) == 0
    assert read(results, "trials").height == found.height + 1  # and the control's


def test_with_more_memory_they_are_trained(results, share):
    share(100)
    run(results, 0)
    refused = read(results, "trials").filter(pl.col("error_type") == "TooLarge").height
    share(1 << 30)
    assert run(results, 1, 60, "--trials", str(refused)) == 0
    assert [outcome for _, outcome, _ in candidates(results)].count("completed") == refused


@pytest.mark.parametrize(("budget", "ends"), [(1.1, ("failed", 0)), (1.25, ("stopped", 1))])
def test_a_candidate_whose_epoch_would_take_longer_than_the_time_left_is_refused(results, budget, ends):
    """The first takes a second; an epoch's training, by the fastest that was seen, 0.2 s."""
    assert run(results, 0, budget) == 0
    assert candidates(results) == [(0, "completed", 4), (1, *ends)]
    (row,) = read(results, "trials").filter(pl.col("outcome") == ends[0]).to_dicts()
    if ends[0] == "failed":
        assert row["reason"] == (
            "TooSlow: by estimate an epoch takes at least 0.2 s, and the search has 0.1 s left: use a larger "
            "--time-budget or fewer --images"
        )
    assert compared(results) == [best(results)]
    assert plan(results, budget).finished
    assert [t.candidate for t in [each.trial for each in plan(results, 2.0).to_run]] == [1]


# The seed of a search


def drawn(results):
    rows = read(results, "trials").filter(pl.col("question") == "tuning").sort("started_at")
    return rows["quality"].to_list(), set(rows["seed"])


def test_another_search_seed_draws_others_and_trains_them_on_another_seed(results, tmp_path):
    run(results, 0, None, "--trials", "2")
    run(tmp_path / "other", 0, None, "--trials", "2", "--search-seed", "7")
    run(tmp_path / "again", 0, None, "--trials", "2", "--search-seed", "7")
    (first, seed), (other, other_seed) = drawn(results), drawn(tmp_path / "other")
    assert (seed, other_seed) == ({0}, {1_000_007})
    assert not set(first) & set(other)
    assert drawn(tmp_path / "again") == (other, other_seed)
    compared_on = read(tmp_path / "other", "trials").filter(pl.col("question") == "comparison")
    assert set(compared_on["seed"]) == {1}


@pytest.mark.parametrize(("recorded", "asked_for"), [("0", "7"), ("7", "0"), ("7", "8")])
def test_results_hold_searches_of_one_seed(results, recorded, asked_for):
    run(results, 0, None, "--trials", "1", "--search-seed", recorded)
    said = f"--search-seed {asked_for}: {results} holds candidates of 'tuned' by --search-seed {recorded}; valid: "
    with pytest.raises(UsageError, match=said + "that seed, or another --results"):
        plan(results, None, "--search-seed", asked_for)
    assert plan(results, None, "--trials", "1", "--search-seed", recorded).finished
