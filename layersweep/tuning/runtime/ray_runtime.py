"""Where a sweep runs: a Ray of its own on this machine, or a cluster whose nodes come and go.

Which of them a command takes, and why: docs/decisions/clusters.md.
"""

import gc
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.runtime import environment
from layersweep.tuning.runtime.machine import default_slots
from layersweep.tuning.runtime.ray_watch import cluster_alive, knock, local_ray_alive
from layersweep.words import count, first_line

_OBJECT_STORE_BYTES: Final = 100 << 20
"""Trials speak through pipes and small results: a local Ray need not reserve a third of the memory."""

ADDRESS: Final = "RAY_ADDRESS"
_LOCAL: Final = "local"
"""As RAY_ADDRESS: this machine, whatever cluster runs on it."""

_LOOK_SECONDS: Final = 2.0
_PASSED_ON: Final = ("LAYERSWEEP_", "KERAS_HOME", "PYTHONPATH")
"""What of the driver's environment slots on other machines are given."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """The machine or cluster that a sweep runs on.

    Attributes:
        description: for people.
        slots: how many trials run at once, at the start.
        slots_on_a_machine: those that share a machine's memory, at most; each slot looks at its own machine, too.
        hosts: the names of its machines, at the start.
        alive: whether its Ray is still there.
        nodes: the cluster's nodes; None on this machine.
    """

    description: str
    slots: int
    slots_on_a_machine: int
    hosts: tuple[str, ...]
    alive: Callable[[], bool] = lambda: True
    nodes: "Nodes | None" = None

    @property
    def slots_now(self) -> int:
        """How many trials may run at once now."""
        return self.slots if self.nodes is None else self.nodes.slots()

    def slot_seconds(self, wall: float) -> float:
        """The slots' seconds of a run that has taken so many."""
        return wall * self.slots if self.nodes is None else self.nodes.slot_seconds()

    @property
    def hosts_seen(self) -> tuple[str, ...]:
        """The names of all machines that have been there."""
        return self.hosts if self.nodes is None else self.nodes.seen


class Nodes:
    """The nodes of a cluster, looked at every two seconds at most.

    Args:
        look: gives the slots of each node that is alive, by name; of nodes of one name, "name#2" and so on.
        asked: how many trials may run at once; None for one a slot.
        clock: seconds.

    Attributes:
        news: what has changed since it was last taken, in words.
    """

    def __init__(
        self, look: Callable[[], Mapping[str, int]], *, asked: int | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._asked, self._clock = look, asked, clock
        self._there = dict(look())
        self._looked = clock()
        self._seconds = 0.0
        self._seen = dict.fromkeys(self._there)
        self._news: list[str] = []

    def slots(self) -> int:
        """How many trials may run at once: a node that has joined counts, one that has left does not."""
        if self._clock() - self._looked >= _LOOK_SECONDS:
            self._refresh()
        return self._allowed()

    def slot_seconds(self) -> float:
        """The slots' seconds since the start."""
        return self._seconds + self._allowed() * (self._clock() - self._looked)

    @property
    def seen(self) -> tuple[str, ...]:
        """The names of all nodes that have been there."""
        return tuple(sorted(self._seen))

    def described(self) -> str:
        """The nodes with the slots of each, and all slots."""
        each = ", ".join(f"{name} {slots}" for name, slots in sorted(self._there.items()))
        return f"{count(len(self._there), 'node')} ({each}), {count(self._allowed(), 'slot')}"

    def take_news(self) -> list[str]:
        """What has changed since this was last asked, in words."""
        news, self._news = self._news, []
        return news

    def _allowed(self) -> int:
        there = sum(self._there.values())
        return there if self._asked is None else min(self._asked, there)

    def _refresh(self) -> None:
        try:
            there = dict(self._look())
        except OSError:  # the head does not answer: the watch over Ray says when that is too long
            return
        self._seconds = self.slot_seconds()
        self._looked = self._clock()
        before, self._there = self._there, there
        self._seen |= dict.fromkeys(self._there)
        joined, left = sorted(self._there.keys() - before.keys()), sorted(before.keys() - self._there.keys())
        changes = [f"{name} has joined" for name in joined] + [f"{name} has left" for name in left]
        if changes:
            self._news.append(f"{', '.join(changes)}: {self.described()}")


@contextmanager
def ray_started(slots: int | None) -> Iterator[Where]:
    """A cluster that runs on this machine or that RAY_ADDRESS names, or a local Ray of that many slots; left, or ended.

    Raises:
        UsageError: if the cluster that is named cannot be reached, or has no slot.
        BrokenOffError: if Ray did not start, or was not joined, in its time.
    """
    environment.settle()
    import ray

    address = cluster_address()
    local: dict[str, Any] = {
        "address": _LOCAL,
        "num_cpus": slots or default_slots(),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    passed_on = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    joined: dict[str, Any] = {"address": address, "runtime_env": {"env_vars": passed_on}}
    try:
        _init(ray, joined if address else local)
        if address is None:
            yield _here(ray, slots)
        else:
            where = _cluster(ray, slots)
            with _wanted(slots, where.slots):
                yield where
    finally:
        gc.collect()  # a reference that another thread frees while Ray shuts down ends this process, with code 1
        ray.shutdown()


def cluster_address() -> str | None:
    """The address of the cluster to join: what RAY_ADDRESS says, else the one that `ray start` began on this machine.

    None for a Ray of the sweep's own: no cluster answers, it is another user's, or RAY_ADDRESS=local.

    Raises:
        UsageError: if the cluster that RAY_ADDRESS names does not answer.
    """
    said = os.environ.get(ADDRESS)
    if said == _LOCAL:
        return None
    if said and said != "auto":
        _reach(said)
        return said
    file = address_file()
    try:
        if file.stat().st_uid != os.getuid():
            return None
        found = file.read_text().strip()
        knock(found)
    except OSError:  # there is none, or a crash has left the file
        return None
    return found or None


def address_file() -> Path:
    """Where `ray start` leaves the address of the cluster that it has started or joined on this machine."""
    from ray._common.utils import get_ray_address_file

    return Path(get_ray_address_file(None))


def _init(ray: Any, options: Mapping[str, Any]) -> None:
    """Starts or joins Ray, which on a busy machine may give up waiting for its own processes.

    Raises:
        BrokenOffError: whatever Ray raised; it has no type for this.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's advice about defaults of later versions
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            said = first_line(str(error).strip()) or type(error).__name__
            raise BrokenOffError(
                f"Ray did not start ({said}); is the machine too busy, or its memory or /tmp full? Nothing is lost: "
                "the same command tries again"
            ) from error


def _reach(address: str) -> None:
    """Knocks at a cluster's door first: where nobody answers, Ray ends this process without a word to catch."""
    try:
        knock(address)
    except OSError as error:
        raise UsageError(
            f"{ADDRESS}={address} does not answer ({error}): unset it, or set it to {_LOCAL}, to run on this machine"
        ) from error


def _here(ray: Any, asked: int | None) -> Where:
    ((host, there),) = _slots_by_node(ray).items()
    slots = min(asked or there, there)
    alive = local_ray_alive()
    return Where(description="this machine", slots=slots, slots_on_a_machine=slots, hosts=(host,), alive=alive)


def _cluster(ray: Any, asked: int | None) -> Where:
    address = ray.get_runtime_context().gcs_address

    def look() -> dict[str, int]:
        knock(address)  # where nobody answers, Ray would hang, and then end this process
        return _slots_by_node(ray)

    nodes = Nodes(look, asked=asked)
    if not nodes.slots():
        raise UsageError(
            f"the cluster at {address} has no slot: {nodes.described()}. Did its workers join? `python -m "
            f"layersweep.tuning.doctor.doctor_command cluster.yaml` says; {ADDRESS}={_LOCAL} runs on this machine"
        )
    return Where(
        description=f"the cluster at {address}: {nodes.described()}",
        slots=nodes.slots(),
        slots_on_a_machine=asked or sys.maxsize,  # each slot looks at its own machine
        hosts=nodes.seen,
        alive=cluster_alive(address),
        nodes=nodes,
    )


@contextmanager
def _wanted(asked: int | None, there: int) -> Iterator[None]:
    """While inside, a cluster that can grow is asked for as many slots as were; others do not mind."""
    if asked is None or asked <= there:
        yield
        return
    from ray.autoscaler.sdk import request_resources

    request_resources(num_cpus=asked)
    try:
        yield
    except BrokenOffError:  # Ray may not answer any more
        raise
    except BaseException:
        request_resources(num_cpus=0)
        raise
    request_resources(num_cpus=0)


def _slots_by_node(ray: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in sorted((n for n in ray.nodes() if n["Alive"]), key=lambda n: n["NodeID"]):
        name = node["NodeManagerHostname"]
        number = 1 + sum(other.partition("#")[0] == name for other in found)
        found[name if number == 1 else f"{name}#{number}"] = int(node["Resources"].get("CPU", 0))
    return found
