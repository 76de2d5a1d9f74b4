"""A head that has turned bad: what comes over ssh and rsync is bounded, and plants nothing here."""

import os
import shutil
import stat
import tempfile

import pytest
from places import HELPERS

from layersweep.records.read import part_name
from layersweep.tuning.cluster.head_channel import Channel, HeadError, NotReachedError
from layersweep.tuning.cluster.local_records import LocalRecords
from layersweep.tuning.common.cluster_file import ClusterFile

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="there is no rsync here")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster whose head is the folder `head`: its `ssh` is a shell script, that of tests/helpers at first."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "head").mkdir()
    (tmp_path / "tmp").mkdir()
    shutil.copy(HELPERS / "fake_head" / "ssh", tmp_path / "bin" / "ssh")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_HEAD", str(tmp_path / "head"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    file = tmp_path / "cluster.yaml"
    file.write_text("provider: {type: local, head_ip: 10.0.0.1}\nauth: {ssh_user: ubuntu}\n")
    return ClusterFile.read(file)


def answer_with(script, tmp_path):
    (tmp_path / "bin" / "ssh").write_text(f"#!/bin/sh\n{script}\n")


def test_a_line_without_an_end_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.cluster.head_channel.MOST_BYTES", 1 << 20)
    answer_with("tr '\\0' x </dev/zero; exit", tmp_path)
    with Channel(cluster) as channel, pytest.raises(HeadError, match="it sent a line of more than 1 MiB"):
        channel.ask("look")


def test_a_greeting_without_an_end_is_no_answer(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.cluster.head_channel.ANSWER_SECONDS", 0.3)
    answer_with("exec yes greeting", tmp_path)
    with Channel(cluster) as channel, pytest.raises(NotReachedError, match="no answer within"):
        channel.ask("look")


def test_of_its_errors_the_end_alone_is_kept(cluster, tmp_path):
    answer_with("head -c 20000000 /dev/zero | tr '\\0' '\\n' >&2; echo 'the last words' >&2; exit 3", tmp_path)
    with Channel(cluster) as channel:
        with pytest.raises(HeadError, match=r"^the last words$"):
            channel.ask("look")
        files = [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) < 1 << 20


def test_of_rsyncs_errors_the_end_alone_is_kept(cluster, tmp_path):
    rsync = tmp_path / "bin" / "rsync"
    rsync.write_text("#!/bin/sh\nyes 'rsync: no' | head -c 20000000 >&2\nexit 4\n")
    rsync.chmod(0o755)
    with Channel(cluster) as channel, pytest.raises(HeadError) as caught:
        channel.copy_folder("results", tmp_path / "here")
    assert len(str(caught.value)) < 1 << 16


@pytest.fixture
def records(tmp_path):
    """Records on the head among which are links, devices, and files that all may write and that change the user."""
    remote = tmp_path / "head" / "results"
    for folder in (remote / "epochs" / "made_up", remote / "studies" / "made_up.d", tmp_path / "victims"):
        folder.mkdir(parents=True)
    for number in range(2):
        part = remote / "epochs" / "made_up" / part_name(number, number)
        part.write_text("rows")
        part.chmod(0o6777)
    part.parent.chmod(0o1777)
    (remote / "epochs" / "made_up" / part_name(2, 2)).symlink_to(tmp_path / "victims")
    (remote / "epochs" / "made_up" / part_name(3, 3)).mkdir()
    (remote / "layers").mkdir()
    (remote / "layers" / "made_up").symlink_to(tmp_path / "victims")
    os.mkfifo(remote / "studies" / "made_up.fifo")
    (remote / "studies" / "made_up.html").symlink_to(tmp_path / "victims" / "page")
    (remote / "studies" / "made_up.\x1b[2J").write_text("cleared")
    (remote / "studies" / "made_up.png").write_text("picture")
    (tmp_path / "victims" / "page").write_text("mine")
    return LocalRecords(results=tmp_path / "here", sweep="made_up", cluster="five", remote_results=str(remote))


@needs_rsync
def test_plain_files_alone_come_from_the_head(cluster, tmp_path, records):
    umask = os.umask(0)
    try:
        with Channel(cluster) as channel:
            records.fetch(channel.copy_folder, everything=True)
    finally:
        os.umask(umask)
    modes = {str(p.relative_to(tmp_path / "here")): stat.filemode(p.lstat().st_mode) for p in here(tmp_path)}
    assert modes == {
        "epochs": "drwxr-xr-x",
        "epochs/made_up": "drwxr-xr-x",
        f"epochs/made_up/{part_name(0, 0)}": "-rw-r--r--",
        f"epochs/made_up/{part_name(1, 1)}": "-rw-r--r--",
        "layers": "drwxr-xr-x",
        "studies": "drwxr-xr-x",
        "studies/made_up.png": "-rw-r--r--",
    }


def here(tmp_path):
    return (tmp_path / "here").rglob("*")


@needs_rsync
def test_nothing_is_written_through_a_link_that_was_planted_before(cluster, tmp_path, records):
    for name in ("epochs", "studies"):
        (tmp_path / "here").mkdir(exist_ok=True)
        (tmp_path / "here" / name).symlink_to(tmp_path / "victims")
    with Channel(cluster) as channel:
        records.fetch(channel.copy_folder, everything=True)
    assert {path.name: path.read_text() for path in (tmp_path / "victims").iterdir()} == {"page": "mine"}


@needs_rsync
def test_a_folder_on_the_head_with_spaces_and_signs_is_one_folder(cluster, tmp_path):
    folder = tmp_path / "head" / "a  $(touch pwned) 'folder'"
    folder.mkdir()
    (folder / "file").write_text("text")
    with Channel(cluster) as channel:
        channel.copy_folder(str(folder), tmp_path / "here")
    assert (tmp_path / "here" / "file").read_text() == "text"
    assert not (tmp_path / "head" / "pwned").exists()
