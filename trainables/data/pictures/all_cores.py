"""Works through many files on all cores, in bounded memory, with the results in order."""

import ctypes
import gc
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, TypeVar

from trainables.data.sources import Say
from trainables.errors import DataError
from trainables.hardware import cores, memory_bytes

MEMORY_SHARE: Final = 0.5
"""The share of this machine's memory that all processes together may take for the pictures that they decode."""
MOST_FILES: Final = 256
MOST_BYTES: Final = 16 << 20
"""A process is given this many files at once, of this many bytes together, or one larger file."""

_FEW: Final = 4
_PARENT_DEATH_SIGNAL: Final = 1
"""Linux' PR_SET_PDEATHSIG."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def chunks(items: Sequence[Item], size: Callable[[Item], int]) -> list[list[Item]]:
    """The items in their order, in lists of at most `MOST_FILES` items and `MOST_BYTES` bytes, or of one item."""
    lists: list[list[Item]] = []
    total = 0
    for item in items:
        total += size(item)
        if not lists or total > MOST_BYTES or len(lists[-1]) == MOST_FILES:
            lists.append([])
            total = size(item)
        lists[-1].append(item)
    return lists


def on_all_cores(
    work: Callable[[list[Item]], Result], lists: Sequence[list[Item]], memory: int, say: Say
) -> Iterator[Result]:
    """The results of all lists, in their order; each tenth is said.

    Args:
        work: a function that other processes can import.
        lists: what the work is done on.
        memory: bytes that one process may take for it; fewer processes work where there is less memory.
        say: takes short sentences about work that takes time.

    Raises:
        DataError: if the system ends a process.
    """
    workers = min(cores(), len(lists), max(1, int(MEMORY_SHARE * memory_bytes()) // max(1, memory)))
    ends = list(itertools.accumulate(map(len, lists)))
    tenths = 0
    for end, result in zip(ends, _by_processes(work, lists, workers) if workers > 1 else map(work, lists), strict=True):
        yield result
        if len(lists) > _FEW and end * 10 // ends[-1] > tenths:
            tenths = end * 10 // ends[-1]
            say(f"  {tenths * 10} %")


def _by_processes(work: Callable[[list[Item]], Result], lists: Sequence[list[Item]], workers: int) -> Iterator[Result]:
    context = multiprocessing.get_context(_start_method())
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(os.getpid(),))
    try:
        yield from pool.map(work, lists)
    except BrokenProcessPool as error:
        raise DataError(
            "the system has ended a process that decoded pictures, probably because memory ran out; free some, or use "
            "fewer cores (taskset -c 0 …)"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """Begins a process: its memory stays shared with its parent, and it ends with it.

    The garbage collector would write to all inherited objects. An orphan would wait for work for ever, and hold locks.
    """
    gc.freeze()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    if os.getppid() != parent:  # it has ended meanwhile
        os._exit(1)


def _start_method() -> str:
    """How processes start: a fork takes no time, but a new Python takes as long as decoding 3,000 pictures.

    Libraries may have threads (OpenBLAS, Arrow), but their locks do not matter to a child that only decodes and writes.
    If this program itself has another thread, a new Python starts.
    """
    return "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
