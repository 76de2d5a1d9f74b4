"""Which trials run when, and who survives a screening."""

from dataclasses import replace

import made_up
import pytest
from queues import end, queue, take

from layersweep.records.questions import COMPARISON, SCREENING
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.search.trial_queue import survivors


@pytest.fixture
def trial(tmp_path):
    data = made_up.data(tmp_path)

    def make(name, question=COMPARISON, seed=1):
        arm = Arm(name=name, config=made_up.Config())
        return Trial(
            trial_id=f"{name}{seed}", arm=arm, question=question, seed=seed, epochs=4, precision="float32", data=data
        )

    return make


def completed(value, epoch=4):
    return Ending(outcome="completed", epoch=epoch, value=value)


def stopped(value, epoch=1):
    return Ending(outcome="stopped", epoch=epoch, value=value)


def test_trials_wait_in_order_and_the_plan_ends_with_the_last(trial):
    plan = queue([trial("a"), trial("b")])
    assert [take(plan).arm.name, take(plan).arm.name] == ["a", "b"]
    assert take(plan) is None
    assert not plan.finished  # one of them may have to be tried again
    for name in "ab":
        end(plan, trial(name), completed(0.5))
    assert plan.finished


def test_seeds_of_an_arm_may_be_kept_together_on_the_slot_that_has_just_trained_it(trial):
    trials = [trial(name, seed=seed) for seed in (1, 2) for name in "abc"]
    plan = queue(trials, by_arm=True)
    first, second = take(plan), take(plan)
    assert (first.trial_id, second.trial_id) == ("a1", "b1")
    end(plan, second, completed(0.5))
    assert take(plan).trial_id == "b2"
    end(plan, first, completed(0.5))
    assert take(plan).trial_id == "a2"


def test_recorded_trials_are_not_run_again(trial):
    known = {"a1": completed(0.5)}
    plan = queue([trial("a"), trial("b")], recorded=lambda t: known.get(t.trial_id))
    assert [t.arm.name for t in plan.waiting] == ["b"]
    assert plan.endings == known
    assert len(plan.trials) == 2


def test_the_comparison_waits_for_the_whole_screening(trial):
    screened = [trial("a", SCREENING, 0), trial("b", SCREENING, 0)]
    plan = queue(
        screened, followers=lambda endings: [trial(n[:-1]) for n, e in endings.items() if e.outcome == "completed"]
    )
    first, second = take(plan), take(plan)
    assert end(plan, first, completed(0.9)) == []
    assert take(plan) is None
    assert not plan.finished
    more = end(plan, second, stopped(0.1))
    assert [t.arm.name for t in more] == ["a"]
    assert not plan.finished
    assert take(plan) is more[0]
    assert end(plan, more[0], completed(0.9)) == []
    assert plan.finished


def test_a_screening_that_is_recorded_leads_straight_to_its_comparison(trial):
    known = {"a0": completed(0.9), "a1": None}
    plan = queue(
        [trial("a", SCREENING, 0)], followers=lambda endings: [trial("a")], recorded=lambda t: known.get(t.trial_id)
    )
    assert [t.question for t in plan.waiting] == [COMPARISON]


def test_a_failed_screening_still_ends(trial):
    plan = queue([trial("a", SCREENING, 0)], followers=lambda endings: [])
    assert end(plan, take(plan), Ending(outcome="failed", epoch=0, value=None)) == []
    assert plan.finished


def test_survivors_are_those_that_were_not_stopped(trial):
    screened = [trial(n, SCREENING, 0) for n in "abcd"]
    endings = {"a0": completed(0.7), "b0": stopped(0.2), "c0": completed(0.9), "d0": stopped(0.1)}
    assert survivors(screened, endings, control=None, mode="max") == ["c", "a"]


def test_the_control_is_always_compared(trial):
    screened = [trial(n, SCREENING, 0) for n in "abc"]
    endings = {"a0": completed(0.7), "b0": stopped(0.2), "c0": completed(0.9)}
    assert survivors(screened, endings, control="b", mode="max") == ["c", "a", "b"]


def test_at_least_two_are_compared_those_that_came_furthest_first(trial):
    screened = [trial(n, SCREENING, 0) for n in "abc"]
    endings = {"a0": completed(0.7), "b0": stopped(0.6, epoch=1), "c0": stopped(0.4, epoch=2)}
    assert survivors(screened, endings, control=None, mode="max") == ["a", "c"]


def test_one_that_a_person_stopped_is_compared_only_as_the_control(trial):
    screened = [trial(n, SCREENING, 0) for n in "abc"]
    requested = replace(stopped(0.9, epoch=3), requested=True)
    endings = {"a0": completed(0.7), "b0": requested, "c0": stopped(0.4, epoch=1)}
    assert survivors(screened, endings, control=None, mode="max") == ["a", "c"]
    assert survivors(screened, endings, control="b", mode="max") == ["a", "b"]


def test_a_queue_that_is_closed_starts_and_retries_nothing(trial):
    plan = queue([trial("a"), trial("b")], retries=3)
    running = take(plan)
    plan.closed = True
    assert not plan.retry(running)
    end(plan, running, Ending(outcome="failed", epoch=0, value=None))
    assert take(plan) is None
    assert not plan.finished


def test_a_smaller_loss_is_better(trial):
    screened = [trial(n, SCREENING, 0) for n in "abc"]
    endings = {"a0": stopped(0.7), "b0": stopped(0.2), "c0": stopped(0.4)}
    assert survivors(screened, endings, control=None, mode="min") == ["b", "c"]


def test_diverged_and_failed_arms_do_not_survive(trial):
    screened = [trial(n, SCREENING, 0) for n in "abc"]
    endings = {
        "a0": Ending(outcome="diverged", epoch=2, value=0.9),
        "b0": Ending(outcome="failed", epoch=0, value=None),
        "c0": stopped(0.1),
    }
    assert survivors(screened, endings, control="b", mode="max") == ["c"]


def test_a_trial_that_lost_its_process_is_tried_again_before_others_but_not_for_ever(trial):
    plan = queue([trial("a"), trial("b")], retries=2)
    first = take(plan)
    for _ in range(2):
        assert plan.retry(first)
        assert take(plan) is first
    assert not plan.retry(first)
    assert take(plan).arm.name == "b"


def test_the_last_trial_may_be_tried_again(trial):
    plan = queue([trial("a")], retries=1)
    last = take(plan)
    assert take(plan) is None
    assert not plan.finished
    assert plan.retry(last)
    assert take(plan) is last
    end(plan, last, completed(0.5))
    assert plan.finished


def test_arms_of_one_configuration_are_trained_once(trial):
    plan = queue([trial("a"), trial("a")])
    assert len(plan.trials) == 2
    assert [t.arm.name for t in plan.waiting] == ["a"]


def test_the_ends_are_counted_by_outcome_a_trial_once(trial):
    known = {"a1": stopped(0.25)}
    plan = queue([trial("a"), trial("b"), trial("c"), trial("a")], recorded=lambda t: known.get(t.trial_id))
    assert (plan.size, +plan.outcomes) == (3, {"stopped": 1})
    end(plan, take(plan), completed(0.5))
    end(plan, trial("a"), completed(0.5))
    assert (plan.size, +plan.outcomes) == (3, {"completed": 2})
