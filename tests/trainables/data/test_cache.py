"""The place of a machine's cache; test_dataset.py tests what the cache does with a data set."""

import os
import platform
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from trainables.data.arrays import ARRAYS
from trainables.data.cache import cache_root, is_intact, open_array, replacement


def test_the_cache_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("LAYERSWEEP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == Path("/home/someone/.cache/layersweep")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "layersweep"
    monkeypatch.setenv("LAYERSWEEP_CACHE", "/scratch/cache")
    assert cache_root() == Path("/scratch/cache")


def make(folder: Path, host: str, monkeypatch: pytest.MonkeyPatch, content: str, during: object = None) -> None:
    """Makes a folder of the cache on a machine; `during` happens meanwhile."""
    monkeypatch.setattr(platform, "node", lambda: host)
    with replacement(folder) as new_folder:
        (new_folder / "first").write_text(content)
        if callable(during):
            during()
        (new_folder / "second").write_text(content)
    monkeypatch.setattr(platform, "node", lambda: host)


def contents(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("before", ["nothing", "damaged"])
def test_two_machines_that_share_a_cache_do_not_mix_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    folder = tmp_path / "data-1"
    if before == "damaged":
        folder.mkdir()
        (folder / "first").write_text("damaged")
    make(folder, "a", monkeypatch, "of a", during=lambda: make(folder, "b", monkeypatch, "of b"))
    assert contents(folder) == {"of b"}, "what came first may be in use already"
    assert [path.name for path in tmp_path.iterdir()] == ["data-1"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_stays_of_what_is_interrupted_or_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt() -> None:
        raise error

    with pytest.raises(error):
        make(tmp_path / "data-1", "a", monkeypatch, "half", during=interrupt)
    assert not [*tmp_path.iterdir()]


def test_what_another_machine_is_making_stays_until_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftovers = [tmp_path / f".{state}-data-1-b" for state in ("making", "damaged")]
    for age in (3600, 8 * 24 * 3600):
        for leftover in leftovers:
            leftover.mkdir(exist_ok=True)
            os.utime(leftover, (time.time() - age,) * 2)
        make(tmp_path / "data-1", "a", monkeypatch, "of a")
        assert [leftover.exists() for leftover in leftovers] == [age == 3600] * 2


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


def test_a_header_that_says_4_gb_takes_no_memory(tmp_path: Path) -> None:
    """In NumPy's format 2.0; Python takes the memory before it reads."""
    (tmp_path / "array.npy").write_bytes(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{")
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"array\.npy is not an array of NumPy's format 1\.0"):
        open_array(tmp_path, "array")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '{"classes": 7}', "[" * 100_000, "\udcff"])
def test_a_damaged_description_makes_the_data_set_damaged(tmp_path: Path, text: str) -> None:
    for name in ARRAYS:
        np.save(tmp_path / f"{name}.npy", np.zeros(1))
    (tmp_path / "meta.json").write_text(text, errors="surrogateescape")
    assert not is_intact(tmp_path)
