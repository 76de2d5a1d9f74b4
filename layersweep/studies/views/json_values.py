"""Values as JSON can carry them: NaN and infinity are null, numbers have five significant digits."""

import math
from typing import Any, Final

import polars as pl

_DIGITS: Final = 5


def number(value: Any) -> float | None:
    """A number with five significant digits; None for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def digits(expression: pl.Expr) -> pl.Expr:
    """A column with five significant digits; NaN and infinity are null."""
    return pl.when(expression.is_finite()).then(expression).round_sig_figs(_DIGITS)


def tenths(expression: pl.Expr) -> pl.Expr:
    """A column of seconds, to a tenth of a second; NaN and infinity are null."""
    return pl.when(expression.is_finite()).then(expression.round(1))
