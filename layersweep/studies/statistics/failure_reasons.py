"""The reasons of failed, diverged and hopeless trials, and the warnings of trials: one line each, with counts."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from layersweep.formatting import count, first_line
from layersweep.studies.statistics.replicates import EXCLUDED_OUTCOMES

_MAX_LENGTH: Final = 200


def failure_reasons(part: pl.DataFrame, outcomes: Sequence[str] = EXCLUDED_OUTCOMES) -> str:
    """The reasons of trials with these outcomes, with counts: `2 failed: MemoryError: …`."""
    reasons = [_reason(row) for row in part.filter(pl.col("outcome").is_in(outcomes)).to_dicts()]
    counts = Counter(map(without_numbers, reasons))
    return "; ".join(
        f"{n} {_example([reason for reason in reasons if without_numbers(reason) == pattern])}"
        for pattern, n in counts.most_common()
    )


def without_numbers(reason: str) -> str:
    """The text with `#` instead of each number, to group reasons that differ only in numbers."""
    return re.sub(r"\d[\d.,]*", "#", reason)


def _example(reasons: Sequence[str]) -> str:
    return reasons[0] if len({*reasons}) == 1 else f"{reasons[0]} (the first one; the others differ only in numbers)"


def warning_counts(part: pl.DataFrame, noun: str = "trial") -> str:
    """The warnings of trials, with counts: `2 of 3 trials: validation at chance …`."""
    counts = Counter(first_line(text.strip())[:_MAX_LENGTH] for text in part["warning"].drop_nulls() if text.strip())
    return "; ".join(f"{n} of {count(part.height, noun)}: {text}" for text, n in counts.most_common())


def _reason(row: dict[str, Any]) -> str:
    error = ": ".join(text for text in (row["error_type"], row["error_message"]) if text)
    words = (error or row["reason"] or "").strip()
    return f"{row['outcome']}: {first_line(words)[:_MAX_LENGTH]}" if words else f"{row['outcome']}, no reason recorded"
