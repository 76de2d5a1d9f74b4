"""Numbers as JSON can carry them."""

import math

import polars as pl
import pytest

from layersweep.studies.views.json_values import digits, number, tenths


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (math.nan, None), (math.inf, None), (-math.inf, None), (0, 0.0), (0.123456789, 0.12346),
        (1.23456789e-9, 1.2346e-9), (123456.7, 123460.0), (-0.000123456, -0.00012346),
    ],
)  # fmt: skip
def test_five_significant_digits(value, expected):
    assert number(value) == expected
    column = pl.DataFrame({"x": [value]}, schema={"x": pl.Float64})
    assert column.select(digits(pl.col("x")))["x"].to_list() == [expected]


def test_tenths_of_a_second():
    column = pl.DataFrame({"x": [0.04, 12.26, math.nan, None]})
    assert column.select(tenths(pl.col("x")))["x"].to_list() == [0.0, 12.3, None, None]
