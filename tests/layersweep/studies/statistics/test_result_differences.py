"""The differences of arms between two results, with Welch's intervals."""

import numpy as np
import pytest
from scipy import stats

from layersweep.studies.statistics.result_differences import result_differences


def row(arm, values):
    values = np.asarray(values, dtype=float)
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"arm": arm, "n": len(values), "mean": float(values.mean()) if len(values) else None, "sd": sd}


def test_the_interval_has_the_freedom_of_the_smaller_sample():
    first, second = [0.90, 0.91, 0.905], [0.95, 0.96, 0.961, 0.97]
    (found,) = result_differences([row("adam", first)], [row("adam", second)])
    error = np.sqrt(np.var(first, ddof=1) / 3 + np.var(second, ddof=1) / 4)
    half_width = stats.t.ppf(0.975, 2) * error
    assert (found.low, found.high) == pytest.approx((found.difference - half_width, found.difference + half_width))
    assert (found.verdict, found.difference) == ("higher", pytest.approx(np.mean(second) - np.mean(first)))
    (back,) = result_differences([row("adam", second)], [row("adam", first)])
    assert back.verdict == "lower"


def test_with_two_arms_each_interval_is_wider():
    one = [row("adam", [0.90, 0.91, 0.93])]
    two = [*one, row("sgd", [0.80, 0.81, 0.83])]
    alone, together = (result_differences(rows, rows)[0] for rows in (one, two))
    assert together.high > alone.high > 0 > alone.low


@pytest.mark.parametrize("values", [[0.9], [0.9, 0.9], [0.1, 0.9]])
def test_no_interval_where_the_trainings_support_none(values):
    (found,) = result_differences([row("adam", values)], [row("adam", values)])
    assert (found.low, found.high, found.verdict) == (None, None, "undecided")


def test_arms_that_one_of_them_lacks_are_left_out():
    assert result_differences([row("adam", []), row("sgd", [0.5])], [row("adam", [0.9]), row("lion", [0.9])]) == []


def test_false_differences_among_eight_equal_arms_are_at_most_six_percent():
    """Three seeds each, one of the results scatters five times as much; within two standard errors of the estimate."""
    numbers, runs = np.random.default_rng(1), 600
    values = numbers.normal(0.5, 0.01, (runs, 8, 2, 3)) * 1.0
    values[..., 1, :] = 0.5 + (values[..., 1, :] - 0.5) * 5
    errors = 0
    for run in values:
        sides = ([row(str(arm), run[arm, side]) for arm in range(8)] for side in (0, 1))
        errors += any(found.verdict != "undecided" for found in result_differences(*sides))
    rate = errors / runs
    assert rate - 2 * (rate * (1 - rate) / runs) ** 0.5 <= 0.06
