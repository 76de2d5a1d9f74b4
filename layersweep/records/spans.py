"""How long somebody was at work: spans of time, in seconds of the clock, and the length of their union."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same times as spans that neither touch nor overlap, in order; what ends before it starts is none.

    A clock may have been set back.
    """
    merged: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] <= span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def length(spans: Iterable[Span]) -> float:
    """The seconds of spans that do not overlap."""
    return sum(end - start for start, end in spans)


def spent(spans: Sequence[Span], until: float) -> float:
    """The seconds of a union of spans that lie before a time."""
    return sum(min(end, until) - start for start, end in spans if start < until)


def worked(ends: Sequence[Span], epochs: Sequence[tuple[float, float]], starts: Sequence[float]) -> tuple[Span, ...]:
    """The spans in which a trial ran.

    A killed command leaves no end of what it trained, only epochs: they make a span from the beginning of the first of
    them to the end of the last one. What the command had begun behind that is not known.

    Args:
        ends: start and end of each of its ends.
        epochs: when each of its epochs was seen, and the seconds that it took; in any order.
        starts: when commands started, sorted: no span of epochs reaches over one.
    """
    left = sorted((at, seconds) for at, seconds in epochs if not any(a <= at <= b for a, b in ends))
    cuts = sorted([*starts, *(start for start, _ in ends)])
    stretches = [list(part) for _, part in groupby(left, lambda epoch: bisect_right(cuts, epoch[0]))]
    killed = [(part[0][0] - part[0][1], part[-1][0]) for part in stretches]
    return union([*ends, *killed])
