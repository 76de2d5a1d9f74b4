"""A file of images is filled row by row, and rows are taken out, as NumPy would do it in memory."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainables.data import cache
from trainables.data.pictures.image_file import ImageFile


def filled(path, n, shape=(3, 2, 3)):
    images = np.random.default_rng(n).integers(0, 255, (n, *shape), dtype=np.uint8)
    file = ImageFile.reserved(path, images.shape)
    with file.opened() as descriptor:
        for row in reversed(range(n)):
            file.write(descriptor, row, images[row])
    return file, images


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), n=st.integers(0, 12), block=st.sampled_from([1, 17, 18, 40, 1 << 20]))
def test_rows_are_taken_out(tmp_path, monkeypatch, data, n, block):
    monkeypatch.setattr("trainables.data.pictures.image_file._BLOCK", block)
    rows = sorted(data.draw(st.sets(st.integers(0, n - 1)))) if n else []
    file, images = filled(tmp_path / "train_images.npy", n)
    file.remove(rows)
    assert np.array_equal(cache.open_array(tmp_path, "train_images"), np.delete(images, rows, axis=0))
    assert (tmp_path / "train_images.npy").stat().st_size == 128 + 18 * (n - len(rows))


def test_little_memory_is_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.pictures.image_file._BLOCK", 1 << 16)
    file, _ = filled(tmp_path / "train_images.npy", 100, (200, 200, 3))
    tracemalloc.start()
    file.remove([3, 50])
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_disk_without_room_is_an_error_before_anything_is_decoded(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device; 6,000 images of 512x384 take 3,375 MiB"):
        ImageFile.reserved(tmp_path / "train_images.npy", (6000, 384, 512, 3))
