"""What is handed on for Prometheus, without Ray: its classes are replaced."""

import importlib.util
from collections import Counter

import pytest

from layersweep.records.tables import OUTCOMES
from layersweep.tuning.runtime import metrics
from layersweep.tuning.runtime.metrics import STATES, Metrics, count_by_state


class Registry:
    """Ray's gauges and counters, as Prometheus would see them: a value for each name and labels."""

    def __init__(self):
        self.values, self.calls = {}, 0

    def gauge(self, name, description, *, tag_keys):
        assert description
        return Series(self, name, tag_keys, adds=False)

    def counter(self, name, description, *, tag_keys):
        assert description
        return Series(self, name, tag_keys, adds=True)

    def metrics(self, slots=2):
        return Metrics(sweep="s", metric="val_accuracy", slots=lambda: slots, gauge=self.gauge, counter=self.counter)

    def __getitem__(self, key):
        name, tags = key
        return self.values[name, frozenset({**tags, "sweep": "s"}.items())]


class Series:
    def __init__(self, registry, name, tag_keys, adds):
        self.registry, self.name, self.tag_keys, self.adds = registry, name, tag_keys, adds

    def set(self, value, tags):
        assert not self.adds
        self._record(value, tags)

    def inc(self, value, tags):
        assert self.adds
        assert value > 0  # Ray refuses others
        self._record(self.registry.values.get((self.name, frozenset(tags.items())), 0) + value, tags)

    def _record(self, value, tags):
        assert set(tags) == set(self.tag_keys)
        self.registry.values[self.name, frozenset(tags.items())] = value
        self.registry.calls += 1


@pytest.fixture
def registry():
    return Registry()


def state(*, epochs=0, best=None, running=0):
    return {"trials": count_by_state(Counter(), trials=5, running_trials=running), "epochs": epochs, "best": best}


def test_a_trial_waits_until_it_runs_and_runs_until_it_ends():
    counts = count_by_state(Counter(completed=2, failed=1), trials=10, running_trials=2)
    assert counts == {
        "waiting": 5, "running": 2, "completed": 2, "stopped": 0, "diverged": 0, "hopeless": 0, "failed": 1,
    }  # fmt: skip


def test_each_state_is_shown_each_time_or_ray_would_forget_it(registry):
    sweep_metrics = registry.metrics()
    sweep_metrics.show(**state())
    before = registry.calls
    sweep_metrics.show(**state())
    assert registry.calls == 2 * before
    assert {dict(tags)["state"] for name, tags in registry.values if name == "layersweep_trials"} == set(STATES)
    assert set(OUTCOMES) < set(STATES)


def test_epochs_are_added_once(registry):
    sweep_metrics = registry.metrics()
    for epochs in (0, 3, 3, 10):
        sweep_metrics.show(**state(epochs=epochs))
    assert registry["layersweep_epochs", {}] == 10


def test_busy_and_idle_slots_are_all_slots(registry):
    registry.metrics(slots=5).show(**state(running=3))
    assert registry["layersweep_slots", {"state": "busy"}] == 3
    assert registry["layersweep_slots", {"state": "idle"}] == 2


def test_there_is_no_best_before_the_first_epoch(registry):
    sweep_metrics = registry.metrics()
    sweep_metrics.show(**state())
    assert "layersweep_best" not in {name for name, _ in registry.values}
    sweep_metrics.show(**state(best=0.75))
    assert registry["layersweep_best", {"metric": "val_accuracy"}] == 0.75


@pytest.mark.parametrize("missing", ["opencensus", "prometheus_client"])
def test_without_what_serves_metrics_there_are_none(monkeypatch, missing):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None if name == missing else importlib.util.find_spec("ray"))
    assert metrics.open_metrics(sweep="s", metric="val_accuracy", slots=lambda: 2) is None


def test_with_it_they_are_rays(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda _name: importlib.util.find_spec("ray"))
    served = metrics.open_metrics(sweep="s", metric="val_accuracy", slots=lambda: 2)
    served.show(**state(epochs=3, best=0.5, running=1))  # without Ray's agent they go nowhere
