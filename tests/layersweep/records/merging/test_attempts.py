"""Which attempts are the same training, and their numbers after a merge."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layersweep.records.merging.attempts import Attempt, End, numbers

AT = datetime(2026, 11, 3, tzinfo=UTC)


def attempt(*digests, ends=()):
    return Attempt(epochs=dict(enumerate(digests, 1)), ends=tuple(ends))


def end(outcome, reached, hours=0):
    return End(outcome=outcome, reached=reached, at=AT + timedelta(hours=hours))


def merged(target, sources):
    """The attempts of a target after a merge, by number."""
    content = dict(target)
    for source, numbers_of in zip(sources, numbers(target, sources), strict=True):
        for number, one in source.items():
            there = content.get(numbers_of[number], one)
            content[numbers_of[number]] = there.joined(one)
    return content


digests = st.lists(st.integers(1, 2), max_size=3)  # few numbers, so that many attempts begin alike
ends_of_attempts = st.lists(st.sampled_from(["failed", "completed"]), max_size=2)
attempts = st.builds(
    lambda epochs, ends: attempt(*epochs, ends=[end(e, len(epochs)) for e in ends]), digests, ends_of_attempts
)
attempts_of_a_source = st.lists(attempts.filter(lambda one: one.epochs or one.ends), max_size=3).map(
    lambda some: dict(enumerate(some))
)

COMPLETED = attempt(1, 2, 3, ends=[end("completed", 3)])


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (COMPLETED, attempt(1, 2, 3, ends=[end("completed", 3, hours=5)]), True),  # another machine, another time
        (COMPLETED, attempt(1, 2), True),
        (COMPLETED, attempt(1, 9, 3, ends=[end("completed", 3)]), False),
        (COMPLETED, attempt(1, 9), False),
        (COMPLETED, attempt(1, ends=[end("failed", 1)]), False),
        (attempt(1, 2, 3), attempt(1, ends=[end("failed", 1)]), False),
        (attempt(ends=[end("failed", 0)]), attempt(ends=[end("failed", 0)]), True),
        (COMPLETED, attempt(), False),
    ],
)
def test_the_same_training_may_have_got_further_elsewhere(one, other, is_same):
    assert one.is_same(other) == other.is_same(one) == is_same


def test_the_target_keeps_its_numbers_and_others_go_before_or_behind():
    failed, longer = attempt(7, ends=[end("failed", 1)]), attempt(5, 6, 7, 8, ends=[end("completed", 4)])
    assert numbers({0: COMPLETED}, [{0: failed}, {0: longer}, {3: COMPLETED}]) == [{0: -1}, {0: 1}, {3: 0}]


def test_without_a_target_the_last_one_is_the_one_that_counts():
    failed = attempt(7, ends=[end("failed", 1)])
    assert numbers({}, [{0: COMPLETED}, {0: failed}]) == [{0: 1}, {0: 0}]
    assert numbers({}, [{0: failed}, {0: COMPLETED}]) == [{0: 0}, {0: 1}]


def test_of_two_that_got_as_far_the_first_to_end_counts():
    later = attempt(5, 6, 7, ends=[end("completed", 3, hours=1)])
    assert numbers({}, [{0: COMPLETED}, {0: later}]) == [{0: 1}, {0: 0}]
    assert numbers({0: later}, [{0: COMPLETED}]) == [{0: 1}]
    assert numbers({0: COMPLETED}, [{0: later}]) == [{0: -1}]


@pytest.mark.parametrize("order", [0, 1])
def test_what_one_machine_replaced_is_replaced_even_if_another_one_has_its_first_epochs(order):
    unfinished, stopped = attempt(1, 2, 3), attempt(1, 2, 3, ends=[end("stopped", 3)])
    sources = [{0: unfinished}, {0: stopped, 1: attempt(1, ends=[end("failed", 1)])}]
    merged = numbers({}, sources if order else sources[::-1])
    assert (merged if order else merged[::-1]) == [{0: 0}, {0: 0, 1: 1}]


def test_numbers_of_rows_without_an_epoch_are_not_used_again():
    other = attempt(5, 6, 7, 8, ends=[end("completed", 4)])
    assert numbers({0: COMPLETED}, [{0: other}], highest_number=4) == [{0: 5}]


def test_an_interrupted_merge_goes_on_with_its_numbers():
    other = attempt(5, 6, 7, 8, ends=[end("completed", 4)])
    assert numbers({0: COMPLETED, 6: attempt(5, 6)}, [{0: other}], reserved=[{0: 6}]) == [{0: 6}]
    assert numbers({0: COMPLETED}, [{0: other}], reserved=[{0: 6}]) == [{0: 6}]
    assert numbers({0: COMPLETED, 6: attempt(9)}, [{0: other}], reserved=[{0: 6}]) == [{0: 7}]


def test_attempts_of_one_source_stay_apart():
    short = attempt(1)
    assert numbers({0: COMPLETED}, [{0: short, 1: COMPLETED}]) == [{0: -1, 1: 0}]


def test_a_short_attempt_does_not_take_the_place_of_a_longer_one():
    failed, killed = attempt(1, 2, ends=[end("failed", 2)]), attempt(1)
    completed = attempt(1, ends=[end("failed", 1), end("completed", 1)])
    sources = [{0: failed, 1: killed}, {0: completed}]
    assert numbers({}, sources) == [{0: 0, 1: 1}, {0: 1}]
    assert numbers({0: failed, 1: completed}, sources) == [{0: 0, 1: 1}, {0: 1}]


@settings(deadline=None)  # the first example imports scipy
@given(sources=st.lists(attempts_of_a_source, min_size=1, max_size=3))
def test_what_was_merged_is_recognized_whole(sources):
    """Also where the first epochs and ends of one attempt are those of several."""
    once = merged({}, sources)
    assert merged(once, sources) == once
    for source in sources:
        assert merged(once, [source]) == once
