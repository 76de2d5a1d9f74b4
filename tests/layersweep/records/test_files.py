"""Files are put in place whole, and never in the place of another."""

import errno
import os
from pathlib import Path

import pytest

from layersweep.records import files
from layersweep.records.files import link_into_place, make_folder, write_whole


def test_new_folders_are_synced_from_the_first_one_on(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", synced.append)
    make_folder(tmp_path / "a" / "b" / "c", mode=0o700)
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    assert (tmp_path / "a" / "b" / "c").stat().st_mode & 0o777 == 0o700
    make_folder(tmp_path / "a" / "b" / "c")
    assert len(synced) == 3


def test_a_folder_that_cannot_be_synced_is_made_anew_the_next_time(tmp_path, monkeypatch):
    def refuse(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_nfs_may_say_of_the_callers_own_link_that_it_exists(tmp_path, monkeypatch):
    """The request was answered, the answer did not arrive, and the request was repeated."""
    temporary, final = tmp_path / "temporary", tmp_path / "final"
    temporary.write_text("mine")
    link = os.link

    def link_twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    link_into_place(temporary, final)
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.ENOENT])
def test_other_refusals_of_a_link_are_no_want_of_links(tmp_path, monkeypatch, number):
    def refuse(source, target):
        raise OSError(number, os.strerror(number))

    (tmp_path / "temporary").touch()
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match=os.strerror(number)):
        link_into_place(tmp_path / "temporary", tmp_path / "final")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, step):
    file = tmp_path / "folder" / "file"
    write_whole(file, b"old")

    def refuse(path, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, refuse)
        with pytest.raises(OSError, match="No space left"):
            write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert [path.name for path in file.parent.iterdir()] == ["file"]
