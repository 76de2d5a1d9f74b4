"""Runs a program as a whole process of its own, with a clock and an eye on its memory."""

import math
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
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
    command: Sequence[object],
    *,
    log: Path,
    watch_seconds: float = 0.2,
    environment: Mapping[str, str] | None = None,
    limit: float = math.inf,
) -> Finished:
    """Runs a command to its end, with these variables besides its own environment; what it prints goes to `log`.

    After `limit` seconds it is told to end (SIGTERM), and its exit code is no error then.

    Raises:
        ProgramFailed: if its exit code is not 0; the message holds the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = list(map(str, command))
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # Ray and its children change folder
    with log.open("wb") as file:
        wall, began = time.time(), time.perf_counter()
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(path)},
        )
        seen, told = _watched(process, watch_seconds, limit)
        seconds = time.perf_counter() - began
    if process.returncode and not told:
        raise ProgramFailed(f"{words} ended with code {process.returncode}:\n{log.read_text()[-_TAIL:]}")
    return Finished(
        began=wall,
        seconds=seconds,
        memory=tuple((at, held) for at, held, _, _ in seen),
        cpu=tuple((at, taken) for at, _, taken, _ in seen),
        machine=tuple((at, used) for at, _, _, used in seen),
    )


def _watched(
    process: subprocess.Popen[bytes], every: float, limit: float
) -> tuple[list[tuple[float, int, float, int]], bool]:
    """Its memory, its processor time and the machine's memory in use, again and again; whether it was told to end."""
    seen: list[tuple[float, int, float, int]] = []
    watched, deadline, told = psutil.Process(process.pid), time.monotonic() + limit, False
    while True:
        try:
            process.wait(timeout=every)
        except subprocess.TimeoutExpired:
            if held := watched.memory_info().rss:  # a process that is about to go holds nothing
                times = watched.cpu_times()
                seen.append((time.time(), held, times.user + times.system, psutil.virtual_memory().used))
            if time.monotonic() >= deadline and not told:  # a second signal would cut its own end short
                process.terminate()
                told = True
        else:
            return seen, told
