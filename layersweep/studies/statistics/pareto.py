"""The Pareto front: what nothing else beats in cost and accuracy at once."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def front(items: Iterable[T], place: Callable[[T], tuple[float, float]]) -> list[T]:
    """Those that no other beats, the cheapest first: cheaper and no less accurate, or more accurate for as much.

    `place` gives an item's cost and accuracy; equal places are all kept.
    """
    kept: list[T] = []
    for item in sorted(items, key=lambda item: (place(item)[0], -place(item)[1])):
        if not kept or place(item)[1] > place(kept[-1])[1] or place(item) == place(kept[-1]):
            kept.append(item)
    return kept
