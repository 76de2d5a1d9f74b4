"""Runs a program as a whole process of its own, with a clock and an eye on its memory."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parent.parent
"""The repository."""

_TAIL: Final = 2_000


class ProgramFailed(Exception):
    """A program that was to be measured ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that ended well.

    Attributes:
        began: when it was started, seconds since 1970.
        seconds: how long it ran.
        memory: its resident memory, children excluded, as (seconds since 1970, bytes).
        cpu: the processor's seconds that it has taken, children excluded, as (seconds since 1970, seconds).
        machine: the memory in use on the whole machine, as (seconds since 1970, bytes).
    """

    began: float
    seconds: float
    memory: tuple[tuple[float, int], ...]
    cpu: tuple[tuple[float, float], ...] = ()
    machine: tuple[tuple[float, int], ...] = ()


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    watch_seconds: float = 0.2,
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
) -> Finished:
    """Runs a command to its end, with these variables besides its own environment; what it prints goes to `log`.

    After `limit` seconds it is told to end (SIGTERM), and its exit code is no error then.

    Raises:
        ProgramFailed: if its exit code is not 0; the message holds the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    )  # Ray and its children change folder
    with log.open("wb") as file:
        wall, began = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": path},
        )
        with _told_to_end(process, limit) as told:
            seen = _watched(process, watch_seconds)
        seconds = time.perf_counter() - began
    if process.returncode and not told.is_set():
        raise ProgramFailed(f"{command} ended with code {process.returncode}:\n{log.read_text()[-_TAIL:]}")
    return Finished(
        began=wall,
        seconds=seconds,
        memory=tuple((at, held) for at, held, _, _ in seen),
        cpu=tuple((at, taken) for at, _, taken, _ in seen),
        machine=tuple((at, used) for at, _, _, used in seen),
    )


@contextmanager
def _told_to_end(process: subprocess.Popen[bytes], limit: float | None) -> Iterator[threading.Event]:
    """While inside, a process is told to end after so many seconds; the event says that it was."""
    told = threading.Event()

    def tell() -> None:
        told.set()
        process.terminate()

    if limit is None:
        yield told
        return
    timer = threading.Timer(limit, tell)
    timer.start()
    try:
        yield told
    finally:
        timer.cancel()


def _watched(process: subprocess.Popen[bytes], every: float) -> list[tuple[float, int, float, int]]:
    """Its memory, its processor time and the machine's memory in use, read again and again until it ends."""
    seen: list[tuple[float, int, float, int]] = []
    watched = psutil.Process(process.pid)
    while True:
        try:
            process.wait(timeout=every)
        except subprocess.TimeoutExpired:
            if held := watched.memory_info().rss:  # a process that is about to go holds nothing
                times = watched.cpu_times()
                seen.append((time.time(), held, times.user + times.system, psutil.virtual_memory().used))
        else:
            return seen
