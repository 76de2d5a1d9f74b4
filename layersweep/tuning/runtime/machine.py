"""What a machine has to give: memory and cores, and how many slots that makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from trainables.hardware import cores

USABLE: Final = 0.9
"""The part of the memory that slots share; the rest is for the driver, Ray and the system."""

LEAST_BYTES: Final = 3 << 29
"""1.5 GiB: what a training of a small CNN needs, TensorFlow included."""


def memory_bytes() -> int:
    """This machine's memory, or that of the container it is confined to."""
    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return total if text == "max" else min(total, int(text))


def memory_share(slots: int, *, total_bytes: Callable[[], int] = memory_bytes) -> int:
    """The memory that one of so many slots on this machine may use."""
    return int(USABLE * total_bytes() / max(1, slots))


def default_slots(*, total_bytes: Callable[[], int] = memory_bytes, cores: Callable[[], int] = cores) -> int:
    """One a core, or fewer where the memory does not suffice for so many trainings."""
    return max(1, min(cores(), int(USABLE * total_bytes() / LEAST_BYTES)))
