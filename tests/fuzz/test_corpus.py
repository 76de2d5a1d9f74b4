"""Every reader of foreign bytes on the files of its corpus: seeds of the fuzzer, and what it once found."""

import pytest

from tests.fuzz.targets import CORPUS, TARGETS

FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_is_read_or_refused_with_an_error_of_its_reader(path, monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path))  # a target may change it; this restores it
    accepted = TARGETS[path.parent.name].check(path.read_bytes())
    assert accepted or not path.name.startswith("sound")


def test_each_target_has_a_sound_file_and_each_folder_a_target():
    assert {path.parent.name for path in FILES if path.name.startswith("sound")} == set(TARGETS)
    assert {path.parent.name for path in FILES} == set(TARGETS)


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for path in FILES) < 200_000
