"""Slots and their share of a machine's memory."""

import os

from layersweep.tuning.runtime.machine import default_slots, memory_share
from trainables.hardware import cores

GIB = 1 << 30


def test_slots_share_nine_tenths_of_the_memory():
    assert memory_share(1, total_bytes=lambda: 1000) == 900
    assert memory_share(10, total_bytes=lambda: 1000) == 90


def test_there_is_a_slot_a_core_where_memory_suffices():
    assert default_slots(total_bytes=lambda: 24 * GIB, cores=lambda: 2) == 2
    assert default_slots(total_bytes=lambda: 8 * GIB, cores=lambda: 8) == 4  # 7.2 GiB in shares of 1.5
    assert default_slots(total_bytes=lambda: GIB, cores=lambda: 8) == 1


def test_this_machine():
    assert 1 <= cores() <= (os.cpu_count() or 1)
