"""Runs a program as a separate process, and measures its time, its memory and its processor time."""

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
    """A measured program ended with an error."""


@dataclass(frozen=True, kw_only=True)
class ProcessRun:
    """A process that has ended without an error.

    Attributes:
        start: its start time, in seconds since 1970.
        seconds: its run time.
        memory: its resident memory without children, as (seconds since 1970, bytes).
        cpu: its processor time without children, as (seconds since 1970, seconds).
        machine: the memory in use on the whole machine, as (seconds since 1970, bytes).
    """

    start: float
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
) -> ProcessRun:
    """Runs a command to its end, with these variables added to the environment; its output goes to `log`.

    After `limit` seconds it gets SIGTERM; then its exit code does not matter.

    Raises:
        ProgramFailed: if its exit code is not 0; the message has the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = list(map(str, command))
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # Ray and its children change the working folder
    with log.open("wb") as file:
        wall, start = time.time(), time.perf_counter()
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(path)},
        )
        samples, terminated = _watch(process, watch_seconds, limit)
        seconds = time.perf_counter() - start
    if process.returncode and not terminated:
        raise ProgramFailed(f"{arguments} ended with code {process.returncode}:\n{log.read_text()[-_TAIL:]}")
    return ProcessRun(
        start=wall,
        seconds=seconds,
        memory=tuple((at, memory) for at, memory, _, _ in samples),
        cpu=tuple((at, cpu_seconds) for at, _, cpu_seconds, _ in samples),
        machine=tuple((at, used_bytes) for at, _, _, used_bytes in samples),
    )


def _watch(
    process: subprocess.Popen[bytes], every: float, limit: float
) -> tuple[list[tuple[float, int, float, int]], bool]:
    """Samples of (time, memory, processor time, the machine's used memory), and whether the process got SIGTERM."""
    samples: list[tuple[float, int, float, int]] = []
    process_information, deadline, terminated = psutil.Process(process.pid), time.monotonic() + limit, False
    while True:
        try:
            process.wait(timeout=every)
        except subprocess.TimeoutExpired:
            if memory := process_information.memory_info().rss:  # 0 for a process that is about to end
                times = process_information.cpu_times()
                samples.append((time.time(), memory, times.user + times.system, psutil.virtual_memory().used))
            if time.monotonic() >= deadline and not terminated:  # a second signal would end it at once
                process.terminate()
                terminated = True
        else:
            return samples, terminated
