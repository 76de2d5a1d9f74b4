"""The reasons of failed, diverged and hopeless trials, and the warnings of trials: one line each, with counts."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import polars as pl

from layersweep.formatting import count, first_line, shortened
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES

_MAX_LENGTH: Final = 500
"""A warning with its cause and what to do takes 300 characters; messages of errors have no limit of their own."""


def failure_reasons(part: pl.DataFrame, outcomes: Sequence[str] = EXCLUDED_OUTCOMES) -> str:
    """The reasons of trials with these outcomes, with counts: `2 failed: MemoryError: …`."""
    reasons = [_reason(row) for row in part.filter(pl.col("outcome").is_in(outcomes)).to_dicts()]
    return "; ".join(f"{n} {text}" for text, n in _examples(reasons))


def without_numbers(reason: str) -> str:
    """The text with `#` instead of each number, to group reasons that differ only in numbers."""
    return re.sub(r"\.?\d[\d.,]*", "#", reason)


def _examples(texts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """An example of each kind of text and how many there are, the most frequent first."""
    for pattern, n in Counter(map(without_numbers, texts)).most_common():
        yield _example([text for text in texts if without_numbers(text) == pattern]), n


def _example(reasons: Sequence[str]) -> str:
    return reasons[0] if len({*reasons}) == 1 else f"{reasons[0]} (the first one; the others differ only in numbers)"


def warning_counts(part: pl.DataFrame, noun: str = "trial") -> str:
    """The warnings of trials, with counts: `2 of 3 trials: validation at chance …`."""
    lines = [shortened(first_line(text.strip()), _MAX_LENGTH) for text in part["warning"].drop_nulls() if text.strip()]
    return "; ".join(f"{n} of {count(part.height, noun)}: {text}" for text, n in _examples(lines))


def _reason(row: dict[str, Any]) -> str:
    error = ": ".join(text for text in (row["error_type"], row["error_message"]) if text)
    words = (error or row["reason"] or "").strip()
    text = shortened(first_line(words), _MAX_LENGTH)
    return f"{row['outcome']}: {text}" if words else f"{row['outcome']}, no reason recorded"
