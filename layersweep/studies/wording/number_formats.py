"""Formats of numbers and lists in texts of studies; a mean always has its n and its spread."""

from collections.abc import Sequence
from typing import Final

NONE: Final = "\N{EN DASH}"
"""Shown instead of a missing number."""


def share(value: float | None, decimals: int = 4) -> str:
    """An accuracy, or another metric, without the leading zero: `.9123`, `1.0000`; a dash for None."""
    return NONE if value is None else f"{value:.{decimals}f}".removeprefix("0")


def signed(value: float, decimals: int = 4) -> str:
    """A difference of accuracies, or of another metric: `+.0123`, `-.0040`."""
    return f"{'-' if value < 0 else '+'}{share(abs(value), decimals)}"


def with_spread(mean: float | None, sd: float | None, n: int) -> str:
    """Mean ± standard deviation over the replicates (their number): `.9123 ± .0021 (3)`; for one, without ±."""
    return NONE if mean is None else f"{plus_minus(mean, sd)} ({n})"


def plus_minus(mean: float, sd: float | None) -> str:
    """Mean ± standard deviation, without their number; only the mean if there is no deviation."""
    return share(mean) if sd is None else f"{share(mean)} ± {share(sd)}"


def join_words(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def setting(value: object) -> str:
    """A configuration's value as text: `.0032`, `relu`; empty for None."""
    if isinstance(value, float):
        text = f"{value:.3g}"
        return text.removeprefix("0") if text.startswith("0.") else text
    return "" if value is None else str(value)


def degrees_of_freedom(df: int) -> str:
    """A number of degrees of freedom: `1 degree of freedom`."""
    return f"{df} degree{'' if df == 1 else 's'} of freedom"
