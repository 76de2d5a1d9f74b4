"""One sweep's values are computed once, however many ask; what is wrong is said."""

import threading
import warnings

import pytest

from layersweep.records.errors import ResultsError
from layersweep.watch.live_sweep import REFRESH_SECONDS, LiveSweep, empty


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Source:
    """Views that count how often they are made, which takes some time."""

    def __init__(self, clock, seconds=0.0):
        self.clock, self.seconds = clock, seconds
        self.refreshed = self.computed = 0
        self.error = self.warning = None
        self.is_new = True

    def refresh(self):
        self.refreshed += 1
        if self.warning:
            warnings.warn(self.warning, UserWarning, stacklevel=1)
        if self.error:
            raise ResultsError(self.error)
        return self.is_new

    def payload(self):
        self.computed += 1
        self.clock.now += self.seconds
        return {**empty("s"), "answer": f"number {self.computed}"}

    def details(self, trial_id):
        return {"id": trial_id}


@pytest.fixture
def clock():
    return Clock()


def test_values_are_computed_once_in_two_seconds_however_many_ask(clock):
    source = Source(clock)
    sweep = LiveSweep("s", source, clock)
    threads = [threading.Thread(target=sweep.payload) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.computed == 1
    clock.now += REFRESH_SECONDS
    assert sweep.payload()["answer"] == "number 2"


def test_a_browser_that_asks_every_two_seconds_gets_new_values_each_time(clock):
    source = Source(clock, seconds=0.1)
    sweep = LiveSweep("s", source, clock)
    for turn in range(5):
        clock.now = 100.0 + 2 * turn
        assert sweep.payload()["answer"] == f"number {turn + 1}"


def test_dear_values_are_computed_less_often(clock):
    source = Source(clock, seconds=2.0)
    sweep = LiveSweep("s", source, clock)
    for _ in range(100):
        sweep.payload()
        clock.now += 1.0
    assert source.computed * 2.0 <= 0.25 * (clock.now - 100.0)


def test_without_news_nothing_is_computed(clock):
    source = Source(clock)
    sweep = LiveSweep("s", source, clock)
    sweep.payload()
    source.is_new = False
    clock.now += 10
    assert sweep.payload()["answer"] == "number 1"
    assert (source.refreshed, source.computed) == (2, 1)


def test_what_cannot_be_read_is_said_and_the_last_values_stay(clock):
    source = Source(clock)
    sweep = LiveSweep("s", source, clock)
    sweep.payload()
    source.error = "p has schema version 3"
    clock.now += 10
    payload = sweep.payload()
    assert payload["answer"] == "number 1"
    assert payload["notes"] == ["the records cannot be read, so these values are old: p has schema version 3"]
    source.error = None
    clock.now += 10
    assert sweep.payload()["notes"] == []


def test_a_sweep_that_cannot_be_read_at_all_has_an_empty_page_that_says_so(clock):
    source = Source(clock)
    source.error = "no results of sweep 's'"
    payload = LiveSweep("s", source, clock).payload()
    assert payload["trials"]["id"] == []
    assert "no results of sweep 's'" in payload["notes"][0]


def test_damage_is_said_as_long_as_it_is_there(clock):
    source = Source(clock)
    source.warning = "part x is damaged"
    sweep = LiveSweep("s", source, clock)
    for _ in range(2):
        assert sweep.payload()["notes"] == ["part x is damaged"]
        clock.now += 10
    source.warning = None
    assert sweep.payload()["notes"] == []
    assert sweep.details("t") == {"id": "t"}
