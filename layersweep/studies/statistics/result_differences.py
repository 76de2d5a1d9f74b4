"""How each arm differs between two results folders that answer the same question.

Each difference has a t interval for two samples with unequal variances, and all of them hold at once (Bonferroni):
other data, another machine or another version may scatter differently, and seeds need not be the same ones. The degrees
of freedom are those of the smaller sample (Mickey and Brown 1966, Annals of Mathematical Statistics 37, 639): with
Welch's, 10 % of eight equal arms on three seeds would have a false difference where one of the results scatters five
times as much.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]

_ERROR: Final = 0.05
_PAIR: Final = 2


@dataclass(frozen=True, kw_only=True)
class ResultDifference:
    """One arm in both results: its means, their difference (second minus first), and its interval.

    Attributes:
        arm: its name.
        first: its mean in the first results.
        second: its mean in the second results.
        low: the end of the interval; None if one of the results has too few trainings of it, or no spread.
        high: the other end.
    """

    arm: str
    first: float
    second: float
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        """The second mean minus the first."""
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """`higher`, `lower` or `undecided`."""
        if self.low is None or self.high is None or self.low <= 0 <= self.high:
            return "undecided"
        return "higher" if self.low > 0 else "lower"


def result_differences(first: Iterable[Row], second: Iterable[Row]) -> list[ResultDifference]:
    """The arms that have a mean in both results, in the order of the first.

    Args:
        first: rows of `Comparison.arms` of the first results.
        second: those of the second results.
    """
    others = {row["arm"]: row for row in second if row["mean"] is not None}
    pairs = [(row, others[row["arm"]]) for row in first if row["mean"] is not None and row["arm"] in others]
    return [_difference(one, other, error=_ERROR / len(pairs)) for one, other in pairs]


def _difference(one: Row, other: Row, *, error: float) -> ResultDifference:
    difference = other["mean"] - one["mean"]
    width = _half_width(one, other, error)
    if width is not None and width + abs(difference) > 1:
        width = None  # it holds differences that an accuracy cannot have: the trainings say nothing
    return ResultDifference(
        arm=one["arm"],
        first=one["mean"],
        second=other["mean"],
        low=None if width is None else difference - width,
        high=None if width is None else difference + width,
    )


def _half_width(one: Row, other: Row, error: float) -> float | None:
    from scipy.special import stdtrit

    if min(one["n"], other["n"]) < _PAIR:
        return None
    parts = [row["sd"] ** 2 / row["n"] for row in (one, other)]
    variance = sum(parts)
    if variance == 0:
        return None
    degrees = min(one["n"], other["n"]) - 1
    return float(stdtrit(degrees, 1 - error / 2) * variance**0.5)
