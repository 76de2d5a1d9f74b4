"""A range has a lower and an upper bound, and a logarithm if it needs one."""

import math

import pytest

from search_spaces.ranges import Range


def test_a_range_is_plain_data():
    rates = Range(1e-4, 1e-1, log=True)
    assert (rates.low, rates.high, rates.log) == (1e-4, 1e-1, True)
    assert rates == Range(1e-4, 1e-1, log=True) != Range(1e-4, 1e-1)
    assert not Range(0, 1).log


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (1, 1, False),
        (2, 1, False),
        (math.nan, 1, False),
        (0, math.nan, False),
        (0, 1, True),
        (-1, 1, True),
    ],
)
def test_a_range_without_numbers_or_without_their_logarithm_is_refused(low, high, log):
    with pytest.raises(ValueError, match=rf"Range\({low}, {high}, log={log}\) is not valid; valid: low < high"):
        Range(low, high, log)


def test_a_range_of_negative_numbers_is_fine_without_a_logarithm():
    assert Range(-1, 0).low == -1


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (Range(16, 256, log=True, step=2), [16, 32, 64, 128, 256]),
        (Range(16, 255, log=True, step=2), [16, 32, 64, 128]),
        (Range(1, 1_000_000, log=True, step=10), [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]),
        (Range(0, 10, step=4), [0, 4, 8]),
        (Range(0.1, 0.3, step=0.1), [0.1, 0.2, 0.3]),
        (Range(0, 1), []),
    ],
)
def test_a_step_lists_the_numbers_of_a_range_to_its_upper_bound(numbers, expected):
    assert numbers.numbers == pytest.approx(expected)
    assert all(numbers.low <= number <= numbers.high for number in numbers.numbers)


@pytest.mark.parametrize(("log", "step"), [(False, 0), (False, -1), (True, 1), (True, 0.5), (False, math.nan)])
def test_a_step_that_leads_nowhere_is_refused(log, step):
    with pytest.raises(ValueError, match=r"the step .* of a Range is not valid"):
        Range(1, 8, log, step)
