"""The time of a search, by a clock that the test moves."""

import pytest

from layersweep.formatting import exact_duration
from layersweep.records.spans import merge_spans, total_seconds
from layersweep.tuning.experiment.search_clock import SearchClock, wall


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_time_goes_by_while_any_candidate_runs(clock):
    made = SearchClock(60, now=clock)
    clock.now += 5  # nothing runs yet
    made.start("a")
    clock.now += 10
    made.start("b")
    clock.now += 10
    made.stop("a")
    clock.now += 10
    assert made.spent == 30
    made.stop("b")
    clock.now += 1000
    assert (made.spent, made.left, made.over) == (30, 30, False)


def test_an_end_that_nobody_began_is_none(clock):
    made = SearchClock(60, now=clock)
    made.stop("a")
    made.start("a")
    made.start("a")
    clock.now += 2
    made.stop("a")
    made.stop("a")
    assert made.spent == 2


def test_the_budget_is_spent_in_the_middle_of_a_candidate(clock):
    made = SearchClock(60, now=clock)
    made.start("a")
    clock.now += 59.5
    assert not made.over
    clock.now += 0.5
    assert (made.over, made.left) == (True, 0)
    clock.now += 7  # its epoch is trained to the end
    assert (made.spent, made.left) == (67, 0)


def test_what_earlier_commands_took_counts(clock):
    made = SearchClock(60, before=45, now=clock)
    assert (made.spent, made.left, made.over_before) == (45, 15, False)
    made.start("a")
    clock.now += 15
    assert (made.over, made.over_before) == (True, False)
    assert SearchClock(60, before=60, now=clock).over_before


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([(1, 3)], 2),
        ([(5, 6), (1, 3)], 3),
        ([(1, 3), (2, 5)], 4),
        ([(1, 9), (2, 5), (8, 10)], 9),
        ([(1, 3), (1, 3), (3, 4)], 3),
        ([(4, 2)], 0),  # a clock that was set back
    ],
)
def test_what_spans_cover_together_counts_once(spans, seconds):
    assert total_seconds(merge_spans(spans)) == seconds


@pytest.mark.parametrize(
    ("left", "slots", "seconds"),
    [([], 2, 0), ([60.0], 4, 60), ([60.0, 60.0], 2, 60), ([60.0] * 4, 2, 120), ([90.0, 10.0], 2, 90)],
)
def test_searches_run_side_by_side_as_far_as_there_are_slots(left, slots, seconds):
    assert wall(left, slots) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1200, "20 min"), (5400, "1 h 30 min"), (7.5, "7.5 s"), (90, "1 min 30 s"), (36000, "10 h"), (0, "0 s")],
)
def test_a_time_is_said_without_what_is_zero(seconds, words):
    assert exact_duration(seconds) == words


def test_the_reason_says_how_long_was_asked_for(clock):
    assert SearchClock(1200, now=clock).reason == "the search's time, 20 min, was spent"
