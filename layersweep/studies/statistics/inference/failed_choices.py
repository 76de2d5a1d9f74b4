"""Whether failures depend on a choice: an outcome of its own, because the mean of those that learned hides it.

The test is exact: given the number of trainings of each choice and the number of failures, every assignment of the
failures is equally likely. The p-value adds the probabilities of all tables that are no more likely than the observed
one (Fisher 1935, The Design of Experiments, chapter 2; Freeman and Halton 1951, Biometrika 38, 141).
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_MAX_TABLES: Final = 20_000
"""Where there are more tables, Pearson's chi-squared test is used: then the numbers are large."""
_ROUNDING: Final = 1 + 1e-7


@dataclass(frozen=True, kw_only=True)
class FailedChoices:
    """The failures of one key: for each value (failed, trainings), and the p-value that they depend on it."""

    key: str
    counts: Mapping[str, tuple[int, int]]
    p: float

    def fails_more(self, value: str) -> bool:
        """Whether a larger share of this value's trainings failed than of another value's."""
        shares = {name: failed / n for name, (failed, n) in self.counts.items()}
        return shares[value] > min(shares.values())


def failed_choices(key: str, learned: Sequence[str], failed: Sequence[str]) -> FailedChoices:
    """Counts and tests the failures of one key.

    Args:
        key: its name.
        learned: its value in each training that learned.
        failed: its value in each training that failed.
    """
    losses, n = Counter(failed), Counter([*learned, *failed])
    counts = {value: (losses[value], n[value]) for value in n}
    return FailedChoices(key=key, counts=counts, p=exact_p([f for f, _ in counts.values()], list(n.values())))


def exact_p(failures: Sequence[int], n: Sequence[int]) -> float:
    """The p-value of the exact conditional test that all choices fail equally often.

    Args:
        failures: the failures of each choice.
        n: the trainings of each choice.
    """
    total = sum(failures)
    if len(n) < 2 or total in (0, sum(n)):  # noqa: PLR2004
        return 1.0
    if math.comb(total + len(n) - 1, len(n) - 1) > _MAX_TABLES:
        return _pearson_p(failures, n)
    observed = math.prod(map(math.comb, n, failures))
    ways = (math.prod(map(math.comb, n, table)) for table in _tables(total, n))
    return min(1.0, sum(number for number in ways if number <= observed * _ROUNDING) / math.comb(sum(n), total))


def _tables(total: int, n: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All ways to spread the failures over the choices."""
    first, *others = n
    if not others:
        if total <= first:
            yield (total,)
        return
    for failed in range(max(0, total - sum(others)), min(first, total) + 1):
        for rest in _tables(total - failed, others):
            yield (failed, *rest)


def _pearson_p(failures: Sequence[int], n: Sequence[int]) -> float:
    from scipy.special import chdtrc

    share = sum(failures) / sum(n)
    squares = sum((failed - share * m) ** 2 / (share * (1 - share) * m) for failed, m in zip(failures, n, strict=True))
    return float(chdtrc(len(n) - 1, squares))
