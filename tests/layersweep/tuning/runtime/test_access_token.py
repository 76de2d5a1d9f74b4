"""The token: of mode 600 from its first moment."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.runtime import access_token

OPEN_UMASK = 0o000


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    before = os.umask(OPEN_UMASK)
    yield tmp_path / ".ray" / "auth_token"
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_token_is_closed_to_others_and_stays(file):
    access_token.make_token()
    token = file.read_text()
    assert len(bytes.fromhex(token)) == 32
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    access_token.make_token()
    assert file.read_text() == token


def test_ray_takes_the_token_that_is_there(file, monkeypatch):
    """It makes one itself, readable for everybody, where there is none."""
    from ray._private.authentication import authentication_token_setup

    access_token.make_token()
    assert authentication_token_setup._get_default_token_path() == file


def test_an_open_token_and_its_folder_are_closed(file):
    file.parent.mkdir()
    file.write_text("secret")
    file.chmod(0o644)
    access_token.make_token()
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert file.read_text() == "secret"


def test_an_empty_token_which_ray_would_refuse_is_replaced(file):
    file.parent.mkdir()
    file.touch()
    access_token.make_token()
    assert len(file.read_text()) == 64


def test_a_token_elsewhere_is_closed_but_not_made(file, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "mine"))
    access_token.make_token()
    assert not (tmp_path / "mine").exists()
    (tmp_path / "mine").write_text("secret")
    access_token.make_token()
    assert mode(tmp_path / "mine") == 0o600
    assert not file.exists()


def test_a_token_in_the_environment_needs_no_file(file, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    access_token.make_token()
    assert not file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_token_of_another_user_is_refused(file):
    access_token.make_token()
    os.chown(file, 12345, 12345)
    with pytest.raises(UsageError, match="belongs to another user; valid: yours, of mode 600"):
        access_token.make_token()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_keeps_its_mode(tmp_path, monkeypatch, kind):
    """RAY_AUTH_TOKEN_PATH=$HOME would close the home, without the right to enter it, to its own user."""
    path = tmp_path / "path"
    path.mkdir(mode=0o755) if kind == "folder" else os.mkfifo(path, 0o644)
    before = mode(path)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(UsageError, match="is no file"):
        access_token.make_token()
    assert mode(path) == before


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_token_on_a_read_only_disk_is_used_if_it_is_closed_and_one_line_if_it_is_open(file, monkeypatch, elsewhere):
    access_token.make_token()
    file.with_name(".auth_token.lock").unlink()

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for module, name in ((os, "fchmod"), (os, "chmod"), (Path, "chmod"), (access_token.filelock, "FileLock")):
        monkeypatch.setattr(module, name, refuse)
    if elsewhere:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    access_token.make_token()
    monkeypatch.undo()
    file.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    with pytest.raises(UsageError, match="cannot be closed to other users: Read-only file system"):
        access_token.make_token()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")
def test_a_token_that_root_provides_is_used_as_it_is(file, monkeypatch):
    """A secret that is mounted into a container, or a file for a group of users."""
    access_token.make_token()
    file.chmod(0o640)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    access_token.make_token()
    assert mode(file) == 0o640


def test_a_token_that_cannot_be_made_is_one_line(file):
    file.parent.write_text("no folder")
    program = [sys.executable, "-m", "layersweep.tuning.runtime.access_token"]
    ill = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ill.returncode == 2
    assert ill.stderr == f"the token {file} cannot be made: File exists\n"


def test_commands_that_start_together_share_one_token(file):
    program = [sys.executable, "-m", "layersweep.tuning.runtime.access_token"]
    processes = [subprocess.Popen(program) for _ in range(6)]
    assert [process.wait() for process in processes] == [0] * 6
    assert len(file.read_text()) == 64
    assert {path.name for path in file.parent.iterdir()} == {"auth_token", ".auth_token.lock"}
