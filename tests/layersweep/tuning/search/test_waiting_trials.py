"""Which of the trials that wait comes next."""

import made_up
import pytest

from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.search.waiting_trials import WaitingTrials


@pytest.fixture
def trial(tmp_path):
    data = made_up.data(tmp_path)

    def make(name):
        return Trial(
            trial_id=name, arm=Arm(name=name[0], config=made_up.Config()), question="comparison", seed=int(name[1]),
            epochs=4, precision="float32", data=data,
        )  # fmt: skip

    return make


@pytest.fixture
def waiting(trial):
    def make(*names, by_arm=True):
        made = WaitingTrials(by_arm=by_arm)
        for name in names:
            made.append(trial(name))
        return made

    return make


def taken(waiting, *afters, running=()):
    return [waiting.pop(last_arm=after, running_arms=running).trial_id for after in afters]


def test_in_order_unless_they_are_kept_by_arm(waiting):
    assert taken(waiting("a1", "b1", "a2", "b2", by_arm=False), None, "b", "b", "b") == ["a1", "b1", "a2", "b2"]


def test_a_slot_goes_on_with_its_arm(waiting):
    made = waiting("a1", "b1", "c1", "a2", "b2", "c2")
    assert taken(made, None, running="") == ["a1"]
    assert taken(made, None, running="a") == ["b1"]
    assert taken(made, "b", running="a") == ["b2"]
    assert taken(made, "b", running="a") == ["c1"]
    assert taken(made, "a", running="c") == ["a2"]
    assert taken(made, "a", running="c") == ["c2"], "nothing else is left"
    assert not made
    assert made.pop(last_arm=None, running_arms="") is None


@pytest.mark.parametrize("by_arm", [True, False])
def test_one_that_is_tried_again_comes_first(waiting, trial, by_arm):
    made = waiting("a1", "b1", by_arm=by_arm)
    made.append_first(trial("b2"))
    assert next(iter(made)).trial_id == "b2"
    assert taken(made, None) == ["b2"]
    assert sorted(t.trial_id for t in made) == ["a1", "b1"]


@pytest.mark.parametrize("by_arm", [True, False])
def test_what_is_not_ready_waits_on_and_lets_others_by(waiting, by_arm):
    made = waiting("a1", "a2", "b1", by_arm=by_arm)
    taken = made.pop(last_arm="a", running_arms="", is_ready=lambda t: t.arm.name != "a")
    assert taken.trial_id == "b1"
    assert made.pop(last_arm=None, running_arms="", is_ready=lambda t: t.arm.name != "a") is None
    assert [t.trial_id for t in made] == ["a1", "a2"]


def test_what_is_taken_out_waits_no_more(waiting, trial):
    made = waiting("a1", "a2", by_arm=False)
    made.remove(trial("a1"))
    assert [t.trial_id for t in made] == ["a2"]
    made.remove(trial("a2"))
    assert not made
