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
