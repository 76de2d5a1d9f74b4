"""Words that every room says alike: numbers with their noun, times, sizes, and the part of a text that is shown."""

from collections.abc import Sequence
from typing import Final

GIB: Final = 1 << 30
"""Bytes."""

_NAMED: Final = 3
"""So many names are shown; of more, their number is said."""


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural where due."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time as a person says it: `1 h 05 min`, `2 min 30 s`, `4 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def exact_duration(seconds: float) -> str:
    """A time that was asked for, nothing rounded: `20 min`, `1 h 30 min`, `7.5 s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{number:g} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if number]
    return " ".join(parts) or "0 s"


def gib(number: int) -> str:
    """A number of bytes as `1.5 GiB`."""
    return f"{number / GIB:.1f} GiB"


def few(names: Sequence[str]) -> str:
    """The first few, and how many more: `a, b, c and 4 more`."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def first_line(text: str) -> str:
    """The first line of a text; empty for an empty one."""
    return next(iter(text.splitlines()), "")


def last_line(text: str) -> str:
    """The last line that says something, without the space around it; empty where none does."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
