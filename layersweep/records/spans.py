"""Spans of time in Unix seconds: their union, its length, and the spans in which a trial ran."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Merges spans that touch or overlap; the result is sorted. Spans that end before they start are left out.

    They occur if a clock was set back.
    """
    result: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] <= span[1]):
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return tuple(result)


def total_seconds(spans: Iterable[Span]) -> float:
    """The total seconds of spans that do not overlap."""
    return sum(end - start for start, end in spans)


def length_before(spans: Sequence[Span], until: float) -> float:
    """The total seconds of spans that do not overlap, as far as they lie before a time."""
    return sum(min(end, until) - start for start, end in spans if start < until)


def training_spans(
    ends: Sequence[Span], epochs: Sequence[tuple[float, float]], starts: Sequence[float]
) -> tuple[Span, ...]:
    """The spans in which a trial ran.

    A killed command records no end of its trials, only epochs. They make a span from the start of the first of them to
    the end of the last one. An epoch that was not finished then is unknown.

    Args:
        ends: for each recorded end, when the training started and when it ended.
        epochs: when each epoch ended and how many seconds it took, in any order.
        starts: when commands started, sorted. No span of epochs contains such a time.
    """
    uncovered = sorted((at, seconds) for at, seconds in epochs if not any(a <= at <= b for a, b in ends))
    cuts = sorted([*starts, *(start for start, _ in ends)])
    groups = [list(group) for _, group in groupby(uncovered, lambda epoch: bisect_right(cuts, epoch[0]))]
    killed_spans = [(group[0][0] - group[0][1], group[-1][0]) for group in groups]
    return merge_spans([*ends, *killed_spans])
