"""Arrays are read a few rows at a time; those of a file do not stay in memory."""

import numpy as np
import psutil
import pytest

from trainables.data import arrays
from trainables.data.arrays import blocks


@pytest.mark.parametrize("shape", [(0, 3), (1, 3), (7, 5), (7,), (0,), (40, 1000)])
def test_blocks_are_all_rows_in_order(shape, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK", 4096)
    array = np.arange(np.prod(shape)).reshape(shape)
    parts = list(blocks(array))
    assert np.array_equal(np.concatenate(parts) if parts else array[:0], array)
    assert all(part.nbytes <= max(4096, array[:1].nbytes) for part in parts)
    assert np.array_equal(np.concatenate([*blocks(np.asfortranarray(array)), array[:0]]), array)


def test_a_mapped_file_does_not_stay_in_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((100, 1 << 20), dtype=np.uint8))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    before = psutil.Process().memory_info().rss
    peak = 0
    for block in blocks(array):
        assert block.min() == 1
        peak = max(peak, psutil.Process().memory_info().rss - before)
    assert peak < 40 << 20
    assert psutil.Process().memory_info().rss - before < 20 << 20
