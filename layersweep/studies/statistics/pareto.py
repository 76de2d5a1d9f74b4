"""The Pareto front of cost and accuracy."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def front(items: Iterable[T], place: Callable[[T], tuple[float, float]]) -> list[T]:
    """The items on the Pareto front, the cheapest first: no other item is at least as good in both and better in one.

    `place` returns the cost and the accuracy of an item. Items at the same place are all on the front, or none is.
    """
    result: list[T] = []
    for item in sorted(items, key=lambda item: (place(item)[0], -place(item)[1])):
        if not result or place(item)[1] > place(result[-1])[1] or place(item) == place(result[-1]):
            result.append(item)
    return result
