"""What Tune is told, without Tune."""

from types import SimpleNamespace

from ray.tune.search import Searcher

from layersweep.tuning.driver.tune_searcher import TuneSearcher


class Plan:
    def __init__(self, trials):
        self.trials, self.finished = list(trials), False

    def next(self):
        return self.trials.pop(0) if self.trials else None


def test_no_more_trials_are_started_than_there_are_slots_as_nodes_come_and_go():
    there = SimpleNamespace(slots=2)
    plan = Plan("abcdef")
    searcher = TuneSearcher(plan, str.upper, slots=lambda: there.slots, metric="m", mode="max")
    assert [searcher.suggest(k) for k in "123"] == [{"ticket": "A"}, {"ticket": "B"}, None]
    there.slots = 3  # a node has joined
    assert [searcher.suggest(k) for k in "34"] == [{"ticket": "C"}, None]
    there.slots = 1  # two have left, with their trials
    searcher.on_trial_complete("1", error=True)
    assert searcher.suggest("4") is None
    searcher.on_trial_complete("2", error=True)
    searcher.on_trial_complete("3", {})
    assert searcher.suggest("4") == {"ticket": "D"}


def test_it_has_finished_when_the_plan_has():
    plan = Plan("a")
    searcher = TuneSearcher(plan, str.upper, slots=lambda: 2, metric="m", mode="max")
    searcher.suggest("1")
    assert searcher.suggest("2") is None
    plan.finished = True
    assert searcher.suggest("2") == Searcher.FINISHED
