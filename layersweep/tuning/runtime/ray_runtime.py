"""Where a sweep runs: on a Ray that it starts on this machine, or on a cluster whose nodes come and go.

Which of them a command takes, and why: docs/decisions/clusters.md.
"""

import contextlib
import gc
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from layersweep.formatting import first_line
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.runtime import access_token, environment, private_folder
from layersweep.tuning.runtime.cluster_nodes import Nodes, slots_by_node
from layersweep.tuning.runtime.machine import default_slots
from layersweep.tuning.runtime.port_owner import is_another_users
from layersweep.tuning.runtime.ray_watch import check_reachable, cluster_alive, local_ray_alive, ray_processes

_OBJECT_STORE_BYTES: Final = 100 << 20
"""Trials send small results only, so a local Ray does not need a third of the memory, its default."""

ADDRESS: Final = "RAY_ADDRESS"
_LOCAL: Final = "local"
"""The value of RAY_ADDRESS for this machine alone, even if a cluster runs on it."""

_FORWARDED_PREFIXES: Final = ("LAYERSWEEP_", "KERAS_HOME", "PYTHONPATH")
"""Variables of the driver's environment that begin so are passed on to slots on other machines."""


@dataclass(frozen=True, kw_only=True)
class RayRuntime:
    """The machine or cluster that a sweep runs on.

    Attributes:
        description: the place, for people.
        slots: how many trials run at once, at the start.
        slots_on_a_machine: how many slots at most share a machine's memory; each slot also checks its own machine.
        hosts: the names of its machines, at the start.
        alive: whether its Ray still runs.
        nodes: the cluster's nodes; None on this machine.
    """

    description: str
    slots: int
    slots_on_a_machine: int
    hosts: tuple[str, ...]
    alive: Callable[[], bool] = lambda: True
    nodes: Nodes | None = None

    @property
    def slots_now(self) -> int:
        """How many trials can run at once now."""
        return self.slots if self.nodes is None else self.nodes.slots()

    def slot_seconds(self, wall: float) -> float:
        """The seconds of all slots together, in a run that took `wall` seconds."""
        return wall * self.slots if self.nodes is None else self.nodes.slot_seconds()

    @property
    def all_hosts(self) -> tuple[str, ...]:
        """The names of all machines that the run has had."""
        return self.hosts if self.nodes is None else self.nodes.all_names


@contextmanager
def started_ray(slots: int | None, folder: Path) -> Iterator[RayRuntime]:
    """While inside, Ray: the cluster that RAY_ADDRESS names or that runs on this machine, else a local Ray.

    A cluster is left at the end, a local Ray is stopped.

    Args:
        slots: how many trials run at once; None for all slots of the cluster, or one a core.
        folder: a private folder for the files of this command (`private_folder.command_folder`).

    Raises:
        UsageError: if the cluster that RAY_ADDRESS names cannot be reached, or has no slot, or if the token cannot be
            made.
        BrokenOffError: if Ray did not start, or could not be joined, in time.
    """
    environment.set_defaults()
    import ray

    if ray.is_initialized():  # by the user's code; it would be shut down at the end
        raise UsageError("Ray runs in this process already, for other code; valid: end it first, by ray.shutdown()")
    ray._raylet.Config.initialize("")  # an earlier cell may have imported Ray, which then read another environment
    address = cluster_address()
    if os.environ["RAY_AUTH_MODE"] == "token":
        access_token.make_token()
    local_options: dict[str, Any] = {
        "address": _LOCAL,
        "num_cpus": slots or default_slots(),
        "include_dashboard": False,
        "object_store_memory": _OBJECT_STORE_BYTES,
    }
    forwarded = {name: value for name, value in os.environ.items() if name.startswith(_FORWARDED_PREFIXES)}
    cluster_options: dict[str, Any] = {"address": address, "runtime_env": {"env_vars": forwarded}}
    with _temporary_files_in(folder), _shut_down_at_the_end(ray):
        _init(ray, cluster_options if address else local_options)
        if address is None:
            yield _local_ray(ray, slots)
        else:
            where = joined_cluster(ray, slots)
            with requested_slots(slots, available=where.slots):
                yield where


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """While inside, this process and its children put Ray's temporary files into a folder."""
    before = os.environ.get(private_folder.ENVIRONMENT)
    os.environ[private_folder.ENVIRONMENT] = str(folder)
    try:
        yield
    finally:
        del os.environ[private_folder.ENVIRONMENT]
        if before is not None:
            os.environ[private_folder.ENVIRONMENT] = before


@contextmanager
def _shut_down_at_the_end(ray: Any) -> Iterator[None]:
    try:
        yield
    finally:
        gc.collect()  # if another thread frees a reference while Ray shuts down, this process ends with code 1
        ray.shutdown()


def cluster_address() -> str | None:
    """The address of the cluster to join: RAY_ADDRESS, else the cluster that `ray start` started on this machine.

    None if the sweep must start a local Ray: no cluster of this user answers, or RAY_ADDRESS=local.

    Raises:
        UsageError: if the cluster that RAY_ADDRESS names does not answer, or if other users can replace the file that
            names the address of this user's cluster.
    """
    setting = os.environ.get(ADDRESS)
    if setting == _LOCAL:
        return None
    if setting and setting != "auto":
        _check_setting(setting)
        return setting
    address = private_folder.cluster_address()
    if not address:
        check_open_folder()
    elif _answers(address):
        return address
    if setting:
        raise UsageError(f"{ADDRESS}={setting}: no cluster of yours answers on this machine; unset it to run without")
    return None  # there is no cluster, or a crash has left the file


def _answers(address: str) -> bool:
    try:
        check_reachable(address)
    except OSError:
        return False
    return not is_another_users(address)  # Ray would send the token there


def check_open_folder() -> None:
    """Refuses a cluster of this user whose address another user could have replaced: it would be sent the token.

    Raises:
        UsageError: if there is one.
    """
    from ray._common.utils import get_ray_address_file

    file = Path(get_ray_address_file(None))
    address = private_folder.read_own(file)
    if address and _answers(address):
        raise UsageError(
            f"other users can write the folder {file.parent} in which your cluster's address stands; valid: start "
            f"it with {private_folder.ENVIRONMENT}={private_folder.user_folder()}, as cluster.yaml does; "
            f"{ADDRESS}={first_line(address)} joins it as it is, and {ADDRESS}={_LOCAL} runs without it"
        )


def _init(ray: Any, options: Mapping[str, Any]) -> None:
    """Starts or joins Ray; on a busy machine Ray may give up waiting for its own processes.

    Raises:
        BrokenOffError: for any error of Ray, which has no type of its own for this.
    """
    before = ray_processes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray warns about the defaults of later versions
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:
            for process in {*ray_processes()} - {*before}:  # Ray forgets them, and a notebook's process goes on
                with contextlib.suppress(psutil.Error):
                    process.kill()
                    process.wait()
            message = first_line(str(error).strip()) or type(error).__name__
            raise BrokenOffError(
                f"Ray did not start ({message}). Perhaps the machine is too busy, or its memory or /tmp is full. "
                "Nothing is lost: run the same command again"
            ) from error


def _check_setting(address: str) -> None:
    """Checks that RAY_ADDRESS answers: if it does not, Ray would end this process without an exception."""
    try:
        check_reachable(address)
    except OSError as error:
        raise UsageError(
            f"{ADDRESS}={address} does not answer ({error}): unset it, or set it to {_LOCAL}, to run on this machine"
        ) from error


def _local_ray(ray: Any, max_slots: int | None) -> RayRuntime:
    ((host, cpus),) = slots_by_node(ray.nodes()).items()
    slots = min(max_slots or cpus, cpus)
    alive = local_ray_alive()
    return RayRuntime(description="this machine", slots=slots, slots_on_a_machine=slots, hosts=(host,), alive=alive)


def joined_cluster(ray: Any, max_slots: int | None) -> RayRuntime:
    """The cluster that this process has joined; `ray` is the module.

    Raises:
        UsageError: if it has no slot.
    """
    address = ray.get_runtime_context().gcs_address

    def list_slots() -> dict[str, int]:
        check_reachable(address)  # if nobody answers, Ray would hang, and then end this process
        return slots_by_node(ray.nodes())

    nodes = Nodes(list_slots, max_slots=max_slots)
    if not nodes.slots():
        raise UsageError(
            f"the cluster at {address} has no slot: {nodes.summary()}. `layersweep doctor cluster.yaml` says whether "
            f"its workers have joined; {ADDRESS}={_LOCAL} runs the sweep on this machine"
        )
    return RayRuntime(
        description=f"the cluster at {address}: {nodes.summary()}",
        slots=nodes.slots(),
        slots_on_a_machine=max_slots or sys.maxsize,  # each slot checks its own machine
        hosts=nodes.all_names,
        alive=cluster_alive(address),
        nodes=nodes,
    )


@contextmanager
def requested_slots(slots: int | None, *, available: int) -> Iterator[None]:
    """While inside, Ray's autoscaler is asked for more slots than are available; a fixed cluster ignores that."""
    if slots is None or slots <= available:
        yield
        return
    from ray.autoscaler.sdk import request_resources

    request_resources(num_cpus=slots)
    try:
        yield
    except BrokenOffError:  # Ray may not answer any more
        raise
    except BaseException:
        request_resources(num_cpus=0)
        raise
    request_resources(num_cpus=0)
