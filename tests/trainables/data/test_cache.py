"""The place of a machine's cache; test_dataset.py tests what the cache does with a data set."""

from pathlib import Path

import numpy as np
import pytest

from trainables.data.arrays import ARRAYS
from trainables.data.cache import cache_root, is_intact, open_array


def test_the_cache_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("LAYERSWEEP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == Path("/home/someone/.cache/layersweep")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "layersweep"
    monkeypatch.setenv("LAYERSWEEP_CACHE", "/scratch/cache")
    assert cache_root() == Path("/scratch/cache")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((((",
        b"\x93NUMPY\x01\x00\x06\x00{'a':1" + b" " * 10,
        b"\x93NUMPY\x01\x00\x01\x00\x00",
        b"\x93NUMPY\x01\x00\x46\x00" + b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999,)}",
        b"\x93NUMPY\x01\x00\x36\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    ],
)
def test_an_array_that_is_damaged_is_said_and_makes_the_data_set_damaged(tmp_path: Path, content: bytes) -> None:
    """Such a file may come from another machine's cache."""
    for name in ARRAYS:
        (tmp_path / f"{name}.npy").write_bytes(content)
    (tmp_path / "meta.json").write_text('{"classes": []}')
    assert not is_intact(tmp_path)
    with pytest.raises((OSError, ValueError)):
        open_array(tmp_path, ARRAYS[0])


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '{"classes": 7}', "[" * 100_000, "\udcff"])
def test_a_damaged_description_makes_the_data_set_damaged(tmp_path: Path, text: str) -> None:
    for name in ARRAYS:
        np.save(tmp_path / f"{name}.npy", np.zeros(1))
    (tmp_path / "meta.json").write_text(text, errors="surrogateescape")
    assert not is_intact(tmp_path)
