"""The place of a machine's cache; test_dataset.py tests what the cache does with a data set."""

from pathlib import Path

import pytest

from trainables.data.cache import cache_root


def test_the_cache_root_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("LAYERSWEEP_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_root() == Path("/home/someone/.cache/layersweep")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "layersweep"
    monkeypatch.setenv("LAYERSWEEP_CACHE", "/scratch/cache")
    assert cache_root() == Path("/scratch/cache")
