"""The search of one tuned arm: its budget, its choice, what follows."""

from dataclasses import replace

import made_up
import pytest
from queues import arm_search, end, queue, take

from layersweep.records.questions import COMPARISON, SCREENING, TUNING
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.search.samplers import NOT_YET


class Sampler:
    """Draws 0.1, 0.2, …; remembers what it was told."""

    def __init__(self, configs=9):
        self.left = [made_up.Config(quality=(k + 1) / 10) for k in range(configs)]
        self.told = []

    def draw(self):
        return self.left.pop(0) if self.left else None

    def tell(self, config, value):
        self.told.append((config.quality, value))


@pytest.fixture
def make(tmp_path):
    data = made_up.data(tmp_path)

    def trial(config, number, question=TUNING, seed=0, epochs=4):
        arm = Arm(name="x tuned", config=config)
        return Trial(
            trial_id=f"{config.quality}-{seed}", arm=arm, question=question, seed=seed, epochs=epochs,
            precision="float32", data=data, candidate=number,
        )  # fmt: skip

    return trial


@pytest.fixture
def search(make):
    def made(budget=12, drawer=None, recorded=(), mode="max", make_one=make, **more):
        return arm_search(
            drawer or Sampler(), candidate=make_one, recorded_candidates=recorded,
            comparison=lambda best: [make(best.arm.config, best.candidate, COMPARISON, s) for s in (1, 2)],
            comparison_epochs=8, budget_epochs=budget, epochs=4, mode=mode, **more,
        )  # fmt: skip

    return made


def ending(value, outcome="completed", epoch=4):
    return Ending(outcome=outcome, epoch=epoch, value=value)


def test_candidates_are_drawn_within_the_budget(search):
    made = search(budget=11)
    first, second = made.next(), made.next()
    assert [first.candidate, second.candidate] == [0, 1]
    assert made.next() is None  # 8 epochs of 11 are taken, and a candidate may need 4
    assert not made.over
    made.end(first, ending(0.5, "stopped", epoch=1))
    assert made.next().candidate == 2  # 1 + 4 spent or taken


def test_the_best_candidate_is_compared_once_all_have_ended(search):
    made = search(budget=8)
    first, second = made.next(), made.next()
    assert made.end(second, ending(0.9)) == []
    followed = made.end(first, ending(0.5))
    assert made.over
    assert [(t.arm.config.quality, t.question, t.seed, t.candidate) for t in followed] == [
        (0.2, COMPARISON, 1, 1), (0.2, COMPARISON, 2, 1),
    ]  # fmt: skip


def test_one_that_came_further_is_better_than_one_that_was_stopped(search):
    made = search(budget=8)
    first, second = made.next(), made.next()
    made.end(first, ending(0.9, "stopped", epoch=3))
    assert made.best is first
    made.end(second, ending(0.5))
    assert made.best is second


def test_one_that_a_person_stopped_is_selected_only_if_there_is_no_other(search):
    made = search(budget=8)
    first, second = made.next(), made.next()
    made.end(first, replace(ending(0.9, "stopped", epoch=3), requested=True))
    assert made.best is first
    made.end(second, ending(0.5, "stopped", epoch=1))
    assert made.best is second


def test_a_smaller_loss_is_better(search):
    made = search(budget=8, mode="min")
    first, second = made.next(), made.next()
    made.end(first, ending(0.5))
    made.end(second, ending(0.9))
    assert made.best is first


@pytest.mark.parametrize("outcome", ["failed", "diverged", "hopeless"])
def test_an_arm_without_a_sound_candidate_is_not_compared_and_comes_to_an_end(search, outcome):
    drawer = Sampler()
    made, tried = search(budget=8, drawer=drawer), 0
    while (trial := made.next()) is not None:
        assert made.end(trial, ending(0.1, outcome, epoch=2)) == []
        tried += 1
    assert made.over
    assert tried == {"failed": 2, "diverged": 3, "hopeless": 3}[outcome]  # a failed one counts as if it ran to the end
    assert {value for _, value in drawer.told} == {None}


def test_a_space_that_is_exhausted_ends_the_search(search):
    made = search(budget=100, drawer=Sampler(configs=1))
    trial = made.next()
    assert made.next() is None
    assert [t.seed for t in made.end(trial, ending(0.5))] == [1, 2]
    assert made.over


def test_a_space_that_turns_out_to_be_exhausted_late_is_compared(search):
    """The drawer thinks when the last candidate ends, and says only then that there is no other."""

    class Slow(Sampler):
        thinks = 1

        def draw(self):
            if self.left or not self.thinks:
                return super().draw()
            self.thinks -= 1
            return NOT_YET

    plan = queue(searches=[search(budget=100, drawer=Slow(configs=1))])
    assert end(plan, take(plan), ending(0.5)) == []
    assert not plan.finished
    assert [take(plan).seed, take(plan).seed] == [1, 2]
    assert take(plan) is None


def test_a_space_that_is_exhausted_is_compared_when_one_trial_runs_at_a_time(search, make):
    """It is drawn to the end only after the last of it has ended."""
    plan = queue(searches=[search(budget=100, drawer=Sampler(configs=2))])
    for value in (0.5, 0.4):
        followed = end(plan, take(plan), ending(value))
    assert [(t.question, t.seed) for t in followed] == [(COMPARISON, 1), (COMPARISON, 2)]
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.1, 0.2))]
    again = search(budget=100, drawer=Sampler(configs=0), recorded=recorded)
    plan = queue(searches=[again], recorded=lambda t: ending(0.5) if t.seed == 0 else None)
    assert [t.question for t in plan.waiting] == [COMPARISON, COMPARISON]


def test_what_was_drawn_ahead_is_the_next_candidate(search):
    drawer = Sampler()
    made = search(budget=12, drawer=drawer)
    made.end(made.next(), ending(0.5))
    assert not made.over
    assert (made.next().candidate, made.next().candidate, made.next()) == (1, 2, None)
    assert len(drawer.left) == 6


def test_a_candidate_that_runs_as_another_questions_trial_is_still_chosen_as_a_candidate(search, make):
    drawer = Sampler()
    made = search(budget=4, drawer=drawer)
    own = made.next()
    screened = replace(make(replace(own.arm.config), 0, SCREENING), arm=Arm(name="x", config=own.arm.config))
    (first, _) = made.end(screened, ending(0.5))
    assert made.best is own
    assert first.arm.name == "x tuned"
    assert drawer.told == [(0.1, 0.5)]


def test_of_equal_candidates_the_first_drawn_is_chosen(search):
    made = search(budget=8)
    first, second = made.next(), made.next()
    made.end(second, ending(0.5))
    made.end(first, ending(0.5))
    assert made.best is first


def test_what_is_foreseen_is_the_budget_left_and_the_comparison(search):
    made = search(budget=8)
    assert made.epochs_to_come == 8 + 8
    first = made.next()
    assert made.epochs_to_come == 4 + 8
    second = made.next()
    made.end(first, ending(0.5))
    assert made.epochs_to_come == 0 + 8
    made.end(second, ending(0.4))
    assert made.epochs_to_come == 0


def test_recorded_candidates_count_and_go_on(search, make):
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8))]
    drawer = Sampler()
    made = search(budget=12, drawer=drawer, recorded=recorded)
    known = {"0.7-0": ending(0.6)}
    plan = queue(searches=[made], recorded=lambda t: known.get(t.trial_id))
    assert drawer.told == [(0.7, 0.6)]
    assert take(plan) is recorded[1]
    assert take(plan).candidate == 2
    assert take(plan) is None
    assert not plan.finished


def test_a_search_that_is_recorded_leads_straight_to_its_comparison(search, make):
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8))]
    plan = queue(
        searches=[search(budget=8, recorded=recorded)], recorded=lambda t: ending(0.5) if t.seed == 0 else None
    )
    assert [(t.question, t.seed) for t in plan.waiting] == [(COMPARISON, 1), (COMPARISON, 2)]
    assert plan.epochs_to_come == 0


def test_a_drawn_candidate_that_is_recorded_elsewhere_is_not_trained(search):
    plan = queue(searches=[search(budget=8)], recorded=lambda t: ending(0.5) if t.trial_id == "0.1-0" else None)
    trial, changes = plan.next()
    assert trial.trial_id == "0.2-0"
    assert [t.trial_id for t in changes.added] == ["0.1-0", "0.2-0"]


# At once


def test_a_candidate_waits_for_the_one_before_where_one_runs_at_a_time(search):
    made = search(parallel=1)
    first = made.next()
    assert made.next() is None
    assert not made.over
    made.end(first, ending(0.5))
    assert made.next().candidate == 1


def test_searches_of_one_candidate_at_a_time_run_side_by_side(search, make):
    other = search(
        parallel=1, drawer=Sampler(configs=9), make_one=lambda c, n: make(replace(c, quality=c.quality / 2), n)
    )
    plan = queue(searches=[search(parallel=1), other])
    running = [take(plan), take(plan)]
    assert sorted(t.trial_id for t in running) == ["0.05-0", "0.1-0"]
    assert take(plan) is None
    end(plan, running[0], ending(0.5))
    assert take(plan).candidate == 1
    assert take(plan) is None


def test_recorded_candidates_go_on_one_at_a_time_and_let_others_by(search, make):
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8))]
    plan = queue(searches=[search(parallel=1, recorded=recorded)])
    assert take(plan) is recorded[0]
    assert take(plan) is None
    assert plan.retry(recorded[0], at_least=1)  # it has lost its process
    assert take(plan) is recorded[0]
    end(plan, recorded[0], ending(0.5))
    assert take(plan) is recorded[1]


def test_a_drawer_that_waits_for_an_end_is_asked_again(search):
    class Waits(Sampler):
        def draw(self):
            return None if len(self.told) == 0 and len(self.left) == 8 else super().draw()

    made = search(drawer=Waits())
    first = made.next()
    assert made.next() is None
    assert made.end(first, ending(0.5)) == []
    assert made.next().candidate == 1


# Epochs


def test_candidates_of_fewer_epochs_take_less_of_the_budget(search, make):
    made = search(budget=8, make_one=lambda c, n: make(c, n, epochs=2))
    drawn = [made.next() for _ in range(4)]
    assert [t and t.candidate for t in drawn] == [0, 1, 2, None]  # a fourth may take 4, and 6 of 8 are taken
    made.end(drawn[0], ending(None, "failed", epoch=0))
    assert made.next() is None
    made.end(drawn[1], ending(0.5, "stopped", epoch=1))
    made.end(drawn[2], ending(0.5, "stopped", epoch=1))
    assert made.next().candidate == 3  # 2 + 1 + 1 of 8


def test_without_a_budget_of_epochs_candidates_are_drawn_as_long_as_there_are_any(search):
    made = search(budget=None)
    assert made.epochs_to_come == 8
    drawn = []
    while (trial := made.next()) is not None:
        drawn.append(trial)
    assert len(drawn) == 9
    assert not made.over
    followed = [made.end(trial, ending(0.5)) for trial in drawn]
    assert [len(trials) for trials in followed] == [0] * 8 + [2]


# Time


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def timed(search, clock):
    return lambda before=0.0, **more: search(
        **{"budget": None, "parallel": 1, "budget_seconds": 60, "seconds_before": before, "clock": clock} | more
    )


def test_once_its_time_is_spent_no_candidate_is_drawn_and_the_best_is_compared(timed, clock):
    drawer = Sampler()
    plan = queue(searches=[timed(drawer=drawer)])
    for seconds, value in ((40, 0.5), (25, 0.7)):
        trial = take(plan)
        plan.start(trial)
        assert plan.out_of_time(trial) is None
        clock.now += seconds
        followed = end(plan, trial, ending(value))
    assert len(drawer.left) == 7
    assert [(t.question, t.seed, t.candidate) for t in followed] == [(COMPARISON, 1, 1), (COMPARISON, 2, 1)]
    assert plan.search_seconds_left == [0.0]


def test_a_candidate_that_runs_when_the_time_is_spent_is_told_why(timed, clock):
    plan = queue(searches=[timed()])
    trial = take(plan)
    clock.now += 1000  # it has not begun
    assert plan.search_seconds_left == [60]
    plan.start(trial)
    clock.now += 60
    assert plan.out_of_time(trial) == "the search's time, 1 min, was spent"
    assert plan.out_of_time(replace(trial, question=SCREENING)) is None
    followed = end(plan, trial, ending(0.5, "stopped", epoch=1))
    assert [t.question for t in followed] == [COMPARISON, COMPARISON]


def test_candidates_that_wait_when_the_time_is_spent_are_not_run(timed, clock, make):
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8, 0.9))]
    plan = queue(searches=[timed(recorded=recorded)])
    trial = take(plan)
    plan.start(trial)
    clock.now += 60
    changes = plan.end(trial, ending(0.5, "stopped", epoch=1))
    assert changes.added == []
    reason = "the search's time, 1 min, was spent"
    assert changes.late_candidates == [(recorded[1], reason), (recorded[2], reason)]
    assert plan.waiting == []
    assert end(plan, recorded[1], ending(None, "stopped", epoch=0)) == []
    assert not plan.finished
    followed = end(plan, recorded[2], ending(0.95, "stopped", epoch=2))
    assert [(t.question, t.candidate) for t in followed] == [(COMPARISON, 2), (COMPARISON, 2)]
    assert [t.question for t in plan.waiting] == [COMPARISON, COMPARISON]


def test_one_that_lost_its_process_is_not_tried_again_once_the_time_is_spent(timed, clock):
    plan = queue(searches=[timed()], retries=5)
    trial = take(plan)
    plan.start(trial)
    clock.now += 30
    assert plan.retry(trial)
    clock.now += 1000  # it waits: nothing runs
    assert take(plan) is trial
    plan.start(trial)
    clock.now += 30
    assert not plan.retry(trial)


def test_a_search_whose_time_was_spent_before_leads_to_its_comparison(timed, make):
    recorded = [make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8))]
    known = {"0.7-0": ending(0.6), "0.8-0": ending(0.9, "stopped", epoch=2)}
    drawer = Sampler()
    plan = queue(
        searches=[timed(before=61.0, recorded=recorded, drawer=drawer)], recorded=lambda t: known.get(t.trial_id)
    )
    assert [(t.question, t.candidate) for t in plan.waiting] == [(COMPARISON, 0), (COMPARISON, 0)]
    assert len(drawer.left) == 9


def test_time_bounds_what_a_search_may_take_and_trials_bound_it_as_well(timed, clock):
    made = timed(budget=4)
    assert (made.epochs_to_come, made.seconds_left) == (8, 60)
    trial = made.next()
    assert made.next() is None
    made.end(trial, ending(0.5))
    assert (made.over, made.epochs_to_come, made.seconds_left) == (True, 0, 0)


def test_a_search_without_a_time_has_no_seconds(search):
    plan = queue(searches=[search()])
    assert plan.search_seconds_left is None


def test_a_candidate_of_a_search_whose_time_was_spent_before_is_not_left_waiting(timed, make):
    """Two searches share it: one that has time left would run it, but it belongs to the other one as well."""
    shared, done = (make(made_up.Config(quality=q), k) for k, q in enumerate((0.7, 0.8)))
    searches = [
        timed(recorded=[shared], drawer=Sampler(configs=0)),
        timed(before=61.0, recorded=[shared, done], drawer=Sampler(configs=0)),
    ]
    plan = queue(searches=searches, recorded=lambda t: ending(0.5) if t is done else None)
    assert [t.question for t in plan.waiting] == [COMPARISON, COMPARISON]  # of the one that is done
    assert plan.endings[shared.trial_id] == Ending(outcome="stopped", epoch=0, value=None)
    while take(plan) is not None:
        pass
    assert all(search.over for search in searches)
