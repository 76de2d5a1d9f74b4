"""Why trials came to a bad end, and what was noted of others; counted, in one line of each text."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from layersweep.studies.statistics.replicates import BAD_ENDS
from layersweep.words import first_line

_LONGEST: Final = 200


def bad_ends(part: pl.DataFrame, outcomes: Sequence[str] = BAD_ENDS) -> str:
    """Why trials came to a bad end, with counts: `2 failed: MemoryError: …`."""
    said = [_reason(row) for row in part.filter(pl.col("outcome").is_in(outcomes)).to_dicts()]
    groups = Counter(map(alike, said))
    return "; ".join(
        f"{n} {_one_of([text for text in said if alike(text) == kind])}" for kind, n in groups.most_common()
    )


def alike(reason: str) -> str:
    """The same text for reasons that differ in their numbers alone."""
    return re.sub(r"\d[\d.,]*", "#", reason)


def _one_of(said: Sequence[str]) -> str:
    return said[0] if len({*said}) == 1 else f"{said[0]} (the first; the others differ in numbers)"


def noted(part: pl.DataFrame, noun: str = "") -> str:
    """The warnings of trials that may have gone well otherwise: `2 of 3: validation at chance …`."""
    said = Counter(first_line(text.strip())[:_LONGEST] for text in part["warning"].drop_nulls() if text.strip())
    whole = f"{part.height} {noun}".strip()
    return "; ".join(f"{n} of {whole}: {text}" for text, n in said.most_common())


def _reason(row: dict[str, Any]) -> str:
    error = ": ".join(text for text in (row["error_type"], row["error_message"]) if text)
    words = (error or row["reason"] or "").strip()
    return f"{row['outcome']}: {first_line(words)[:_LONGEST]}" if words else f"{row['outcome']}, no reason recorded"
