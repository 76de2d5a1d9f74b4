"""Notices that Ray itself has died: otherwise Ray hangs for a minute and then ends this process without a message."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Self

import psutil

_CHECK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
"""The driver may take this time to finish its step; then a second signal interrupts it."""

_CONNECT_SECONDS: Final = 10.0
_CLUSTER_SECONDS: Final = 30.0
"""A cluster's head may be unreachable for this time, because a cable may be pulled for a moment."""

_RAY_PROCESSES: Final = ("gcs_server", "raylet")


class RayWatch:
    """While inside, checks every second that Ray runs; after Ray's death, stops the thread that uses it.

    Args:
        alive: whether Ray still runs.
        request_stop: stops that thread (`stop_request.stopper`); it is called a second time if the first does nothing.

    Attributes:
        ray_has_died: whether Ray has died.
    """

    def __init__(self, alive: Callable[[], bool], request_stop: Callable[[], None]) -> None:
        self._alive, self._request_stop = alive, request_stop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.ray_has_died = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(_CHECK_SECONDS)  # unless it waits for an answer, it ends before Ray does

    def _watch(self) -> None:
        while self._alive():
            if self._stop.wait(_CHECK_SECONDS):
                return
        if self._stop.is_set():
            return
        self.ray_has_died = True
        self._request_stop()
        if not self._stop.wait(_PATIENCE_SECONDS):
            self._request_stop()


def ray_processes() -> list[psutil.Process]:
    """The processes of Ray that this process has started."""
    processes = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if process.name() in _RAY_PROCESSES:
                processes.append(process)
    return processes


def local_ray_alive() -> Callable[[], bool]:
    """Whether the Ray that this process has started still runs; call this after the start."""
    processes = ray_processes()

    def alive() -> bool:
        return all(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)

    return alive


def cluster_alive(address: str) -> Callable[[], bool]:
    """Whether the head of the cluster has answered within the last half minute."""
    last_answer = time.monotonic()

    def alive() -> bool:
        nonlocal last_answer
        try:
            check_reachable(address)
        except OSError:
            return time.monotonic() - last_answer < _CLUSTER_SECONDS
        last_answer = time.monotonic()
        return True

    return alive


def check_reachable(address: str) -> None:
    """Checks that a cluster's head answers, by a connection that is closed at once.

    Raises:
        OSError: if it does not.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdecimal():  # else it is `auto` or `local`, which only Ray can resolve
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
