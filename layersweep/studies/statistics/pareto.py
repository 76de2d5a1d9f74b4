"""The Pareto front of cost and accuracy, where a dearer item must be shown to be more accurate."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ParetoFront(Generic[T]):
    """The items on the front, and those about which nothing was shown; both the cheapest first.

    Attributes:
        front: the cheapest items, and the dearer ones that are shown to be more accurate than all cheaper ones here.
        undecided: items that cost more and are not shown to gain, but are not shown to be worse than a cheaper one.
    """

    front: Sequence[T]
    undecided: Sequence[T]


def pareto_front(items: Iterable[T], cost: Callable[[T], float], is_better: Callable[[T, T], bool]) -> ParetoFront[T]:
    """Walks from the cheapest item to the dearest, and keeps what is shown to gain.

    Of items at equal cost, one leaves only if another one is shown to be better. The cheapest item stays even if all
    others are better: nothing else can be had at its cost.

    Args:
        items: in any order.
        cost: what an item costs, in any unit.
        is_better: whether the first item is shown to be more accurate than the second one.
    """
    front: list[T] = []
    undecided: list[T] = []
    cheaper: list[T] = []
    for _, group in groupby(sorted(items, key=cost), key=cost):
        equal = list(group)
        unbeaten = [item for item in equal if not any(is_better(other, item) for other in equal)]
        gains = [item for item in unbeaten if all(is_better(item, other) for other in front)]
        undecided += [
            item for item in unbeaten if item not in gains and not any(is_better(other, item) for other in cheaper)
        ]
        front += gains
        cheaper += equal
    return ParetoFront(front=front, undecided=undecided)
