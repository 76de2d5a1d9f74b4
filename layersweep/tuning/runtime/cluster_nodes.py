"""The nodes of a cluster, which come and go while a sweep runs, and their slots."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from layersweep.formatting import count

_REFRESH_SECONDS: Final = 2.0


class Nodes:
    """The nodes of a cluster; their list is refreshed every two seconds at most.

    Args:
        list_slots: returns the slots of each node that is alive, by the node's name.
        max_slots: how many trials may run at once; None for one a slot.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        list_slots: Callable[[], Mapping[str, int]],
        *,
        max_slots: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_slots, self._max_slots, self._clock = list_slots, max_slots, clock
        self._slots = dict(list_slots())
        self._refresh_time = clock()
        self._slot_seconds = 0.0
        self._all_names = set(self._slots)
        self._news: list[str] = []

    def slots(self) -> int:
        """How many trials can run at once now; a node that has joined counts, one that has left does not."""
        if self._clock() - self._refresh_time >= _REFRESH_SECONDS:
            self._refresh()
        return self._usable_slots()

    def slot_seconds(self) -> float:
        """The seconds of all slots together since the start."""
        return self._slot_seconds + self._usable_slots() * (self._clock() - self._refresh_time)

    @property
    def all_names(self) -> tuple[str, ...]:
        """The names of all nodes that the cluster has had since the start."""
        return tuple(sorted(self._all_names))

    def summary(self) -> str:
        """The nodes with the slots of each, and all slots: `2 nodes (h1 4, h2 4), 8 slots`."""
        each = ", ".join(f"{name} {slots}" for name, slots in sorted(self._slots.items()))
        return f"{count(len(self._slots), 'node')} ({each}), {count(self._usable_slots(), 'slot')}"

    def take_news(self) -> list[str]:
        """A sentence for each change since the last call."""
        news, self._news = self._news, []
        return news

    def _usable_slots(self) -> int:
        slots = sum(self._slots.values())
        return slots if self._max_slots is None else min(self._max_slots, slots)

    def _refresh(self) -> None:
        try:
            slots = dict(self._list_slots())
        except OSError:  # the head does not answer: the watch over Ray says when that takes too long
            return
        self._slot_seconds = self.slot_seconds()
        self._refresh_time = self._clock()
        before, self._slots = self._slots, slots
        self._all_names |= set(slots)
        changes = [f"{name} has joined" for name in sorted(slots.keys() - before.keys())]
        changes += [f"{name} has left" for name in sorted(before.keys() - slots.keys())]
        if changes:
            self._news.append(f"{', '.join(changes)}: {self.summary()}")


def slots_by_node(ray_nodes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The slots of each node that is alive, by its name: `h1`, and for further nodes of one name `h1#2`, `h1#3`.

    Args:
        ray_nodes: the nodes as `ray.nodes()` returns them.
    """
    slots: dict[str, int] = {}
    for node in sorted((n for n in ray_nodes if n["Alive"]), key=lambda n: n["NodeID"]):
        name = node["NodeManagerHostname"]
        number = 1 + sum(other.partition("#")[0] == name for other in slots)
        slots[name if number == 1 else f"{name}#{number}"] = int(node["Resources"].get("CPU", 0))
    return slots
