"""Notices that Ray itself has died: left alone, it hangs for a minute and then ends this process without a word."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Self

import psutil

_LOOK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
"""So long may the driver take to come to the end of a step before it is interrupted within."""

_KNOCK_SECONDS: Final = 10.0
_CLUSTER_SECONDS: Final = 30.0
"""A cluster's head may be away for so long: a cable may be pulled."""

_OURS: Final = ("gcs_server", "raylet")


class RayWatch:
    """While inside, looks after Ray every second; stops this process with SIGTERM, twice if need be, when it is gone.

    Args:
        alive: whether Ray is still there.

    Attributes:
        gone: whether it has died.
    """

    def __init__(self, alive: Callable[[], bool]) -> None:
        self._alive = alive
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.gone = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_LOOK_SECONDS)  # where it does not wait for an answer, it has ended before Ray does

    def _watch(self) -> None:
        while self._alive():
            if self._over.wait(_LOOK_SECONDS):
                return
        if self._over.is_set():
            return
        self.gone = True
        os.kill(os.getpid(), signal.SIGTERM)
        if not self._over.wait(_PATIENCE_SECONDS):
            os.kill(os.getpid(), signal.SIGTERM)


def local_ray_alive() -> Callable[[], bool]:
    """Whether the Ray that this process has started is still there; to be called after the start."""
    processes = [p for p in psutil.Process().children() if p.name() in _OURS]

    def alive() -> bool:
        return all(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)

    return alive


def cluster_alive(address: str) -> Callable[[], bool]:
    """Whether the head of the cluster has answered within the last half minute."""
    answered = time.monotonic()

    def alive() -> bool:
        nonlocal answered
        try:
            check_reachable(address)
        except OSError:
            return time.monotonic() - answered < _CLUSTER_SECONDS
        answered = time.monotonic()
        return True

    return alive


def check_reachable(address: str) -> None:
    """Opens a connection to a cluster's head, and closes it.

    Raises:
        OSError: if nobody answers.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdecimal():  # else `auto` or `local`: Ray knows
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
