"""What Tune is told, without Tune."""

from types import SimpleNamespace

from ray.tune.search import Searcher

from layersweep.tuning.driver.tune_searcher import TuneSearcher


class Source:
    """Gives out what it has."""

    def __init__(self, assignments):
        self.assignments, self.finished = list(assignments), False

    def next(self):
        return self.assignments.pop(0) if self.assignments else None


def test_no_more_trials_are_started_than_there_are_slots_as_nodes_come_and_go():
    there = SimpleNamespace(slots=2)
    searcher = TuneSearcher(Source("ABCDEF"), slots=lambda: there.slots, metric="m", mode="max")
    assert [searcher.suggest(k) for k in "123"] == [{"assignment": "A"}, {"assignment": "B"}, None]
    there.slots = 3  # a node has joined
    assert [searcher.suggest(k) for k in "34"] == [{"assignment": "C"}, None]
    there.slots = 1  # two have left, with their trials
    searcher.on_trial_complete("1", error=True)
    assert searcher.suggest("4") is None
    searcher.on_trial_complete("2", error=True)
    searcher.on_trial_complete("3", {})
    assert searcher.suggest("4") == {"assignment": "D"}


def test_it_has_finished_when_its_source_has():
    source = Source("A")
    searcher = TuneSearcher(source, slots=lambda: 2, metric="m", mode="max")
    searcher.suggest("1")
    assert searcher.suggest("2") is None
    source.finished = True
    assert searcher.suggest("2") == Searcher.FINISHED
