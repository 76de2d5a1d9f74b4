"""Texts that all packages format alike: numbers with their noun, durations, sizes, and parts of longer texts."""

import textwrap
from collections.abc import Sequence
from typing import Final

GIB: Final = 1 << 30
"""Bytes."""

_SHOWN_NAMES: Final = 3
"""How many names `first_names` writes out; it only counts the others."""


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural if needed: `1 epoch`, `2,000 epochs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def capitalized(text: str) -> str:
    """The text with a capital first letter; the others stay: `Validation macro F1`."""
    return text[:1].upper() + text[1:]


def duration(seconds: float) -> str:
    """A rounded duration: `1 h 05 min`, `2 min 30 s`, `4 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def exact_duration(seconds: float) -> str:
    """A duration that a user set, not rounded: `20 min`, `1 h 30 min`, `7.5 s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [f"{number:g} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (rest, "s")) if number]
    return " ".join(parts) or "0 s"


def gib(number: int) -> str:
    """A number of bytes as `1.5 GiB`."""
    return f"{number / GIB:.1f} GiB"


def first_names(names: Sequence[str]) -> str:
    """The first names and the number of the others: `a, b, c and 4 more`."""
    rest = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + rest


def wrapped_parts(parts: Sequence[str], width: int, separator: str = " · ") -> str:
    """Parts in as few lines as a width needs; a line ends between two parts, or in a longer part between its words."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(separator) + len(part) <= width:
            lines[-1] += separator + part
        else:
            lines += textwrap.wrap(part, max(1, width), break_on_hyphens=False) or [""]
    return "\n".join(lines)


def shortened(text: str, longest: int) -> str:
    """The text, or as many of its characters as fit, with an ellipsis in place of the others."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def first_line(text: str) -> str:
    """The first line of a text; empty for an empty text."""
    return next(iter(text.splitlines()), "")


def last_line(text: str) -> str:
    """The last line that is not blank, without spaces around it; empty if there is none."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
