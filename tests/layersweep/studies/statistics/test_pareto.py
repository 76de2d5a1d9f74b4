"""The Pareto front of items that are shown to gain, and of those about which nothing is shown."""

import random

from layersweep.studies.statistics.pareto import pareto_front

ACCURACY = {"a": 0.90, "b": 0.93, "c": 0.94, "d": 0.80}


def front_of(costs, shown):
    """The names on the front and the undecided ones; `shown` are the pairs of a better item and a worse one."""
    result = pareto_front(costs, costs.__getitem__, lambda first, second: (first, second) in shown)
    return list(result.front), list(result.undecided)


def test_three_that_no_test_tells_apart_leave_the_cheapest():
    assert front_of({"c": 30, "a": 10, "b": 20}, set()) == (["a"], ["b", "c"])


def test_a_dearer_one_must_be_shown_to_gain_over_all_cheaper_ones_on_the_front():
    costs = {"a": 1, "b": 2, "c": 3}
    assert front_of(costs, {("b", "a"), ("c", "a"), ("c", "b")}) == (["a", "b", "c"], [])
    assert front_of(costs, {("b", "a"), ("c", "b")}) == (["a", "b"], ["c"])  # c against a is not shown
    assert front_of(costs, {("c", "a")}) == (["a", "c"], ["b"])  # b is not on the front, so c need not beat it


def test_one_that_is_shown_to_be_worse_than_a_cheaper_one_is_not_undecided():
    assert front_of({"a": 1, "d": 2}, {("a", "d")}) == (["a"], [])
    # worse than b, which costs less and is not on the front itself
    assert front_of({"a": 1, "b": 2, "d": 3}, {("b", "d")}) == (["a"], ["b"])


def test_the_cheapest_stays_even_if_all_others_are_better():
    assert front_of({"d": 1, "a": 2}, {("a", "d")}) == (["d", "a"], [])


def test_of_equal_costs_one_leaves_only_if_another_is_shown_to_be_better():
    assert front_of({"a": 1, "b": 1}, set()) == (["a", "b"], [])
    assert front_of({"a": 1, "b": 1}, {("b", "a")}) == (["b"], [])
    assert front_of({"a": 1, "b": 2, "c": 2}, {("b", "a")}) == (["a", "b"], ["c"])


def test_nothing_has_an_empty_front():
    assert front_of({}, set()) == ([], [])


def test_with_exact_values_it_is_the_usual_front():
    """Against the definition: nothing is at least as good in both and better in one."""
    draw = random.Random(1)
    for _ in range(200):
        places = {n: (draw.randrange(6), draw.randrange(6)) for n in range(8)}
        result = pareto_front(places, lambda n: places[n][0], lambda a, b: places[a][1] > places[b][1])  # noqa: B023
        usual = {
            n
            for n, (cost, value) in places.items()
            if not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in places.values())
        }
        assert set(result.front) == usual
