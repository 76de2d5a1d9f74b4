"""The file with the address: nobody else reads it, and nothing else is written there."""

import os
import stat

import pytest

from layersweep.records.errors import ResultsError
from layersweep.watch.address_file import address_file, remove_private, write_private


@pytest.fixture
def file(tmp_path):
    return address_file(tmp_path, "s")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_nobody_else_reads_it_whatever_the_umask(file, umask):
    (file.parent.parent).mkdir()
    old = os.umask(umask)
    try:
        write_private(file, "secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) & ~0o600 == 0
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["s.address"]


def test_a_folder_that_was_open_is_closed(file):
    file.parent.mkdir(parents=True, mode=0o777)
    file.parent.chmod(0o777)
    write_private(file, "secret")
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_link_is_replaced_and_not_followed(file, tmp_path):
    other = tmp_path / "other"
    other.write_text("mine")
    file.parent.mkdir(parents=True)
    file.symlink_to(other)
    write_private(file, "secret")
    assert other.read_text() == "mine"
    assert not file.is_symlink()


def test_a_folder_that_is_a_link_is_refused(file, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    file.parent.parent.mkdir()
    file.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match="is a link or belongs to another user"):
        write_private(file, "secret")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_without_rights_in_the_file_system_nothing_is_written(file, monkeypatch):
    real = os.fstat
    monkeypatch.setattr(os, "fstat", lambda handle: os.stat_result((0o100777, *real(handle)[1:])))
    with pytest.raises(ResultsError, match="others can read files in"):
        write_private(file, "secret")
    monkeypatch.undo()
    assert not list(file.parent.iterdir())


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(tmp_path):
    (tmp_path / ".state").write_text("")
    with pytest.raises(ResultsError, match="cannot write"):
        write_private(address_file(tmp_path, "s"), "secret")


def test_only_the_own_address_is_removed(file):
    write_private(file, "of another server")
    remove_private(file, "mine")
    assert file.exists()
    remove_private(file, "of another server")
    assert not file.exists()
    remove_private(file, "of another server")
