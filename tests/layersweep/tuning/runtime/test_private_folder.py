"""Folders that no other user can enter, and addresses that no other user can have written."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.runtime import private_folder

OWN = f"layersweep-{os.getuid()}"


@pytest.fixture
def parent(tmp_path, monkeypatch):
    """A short folder as /tmp is: everybody may write there, and delete only what is theirs."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        monkeypatch.setenv("RAY_TMPDIR", name)
        yield folder


def mode(folder):
    return stat.S_IMODE(folder.lstat().st_mode)


def test_the_users_folder_has_one_name_before_and_after_it_is_made(parent, monkeypatch):
    assert private_folder.user_folder() == parent / OWN
    assert private_folder.make_user_folder() == parent / OWN
    assert mode(parent / OWN) == 0o700
    monkeypatch.setenv("RAY_TMPDIR", str(parent / OWN))  # as the head's shell sets it
    assert private_folder.user_folder() == parent / OWN
    (parent / OWN).rmdir()
    assert private_folder.user_folder() == parent / OWN


def test_a_private_folder_that_the_user_names_is_used_as_it_is(parent, monkeypatch):
    (parent / "mine").mkdir(mode=0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(parent / "mine"))
    assert private_folder.make_user_folder() == parent / "mine"


def test_an_open_one_is_closed(parent):
    (parent / OWN).mkdir()
    (parent / OWN).chmod(0o777)
    private_folder.make_user_folder()
    assert mode(parent / OWN) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "another user's"])
def test_what_another_user_has_put_there_is_not_used(parent, monkeypatch, kind):
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        (parent / OWN).symlink_to(elsewhere)
    elif kind == "file":
        (parent / OWN).write_text("")
    else:
        if os.geteuid():
            pytest.skip("only root can give a folder to another user")
        (parent / OWN).mkdir()
        os.chown(parent / OWN, 12345, 12345)
    with pytest.raises(UsageError, match=r"valid: set RAY_TMPDIR to a folder of yours"):
        private_folder.make_user_folder()
    assert list(elsewhere.iterdir()) == []


def test_a_path_that_is_too_long_for_a_socket_is_refused(parent, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(parent / ("x" * 30)))
    with pytest.raises(UsageError, match=r"too long for Ray's sockets; valid: .* at most 30 characters"):
        private_folder.make_user_folder()


@pytest.mark.parametrize("name", ["", "private"])
def test_a_folder_that_others_can_rename_is_refused(parent, monkeypatch, name):
    """They could put another one in its place, with sockets of their own."""
    (parent / "private").mkdir(mode=0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(parent / name))
    private_folder.make_user_folder()
    parent.chmod(0o777)
    with pytest.raises(UsageError, match=rf"anybody can replace .*: {parent} has no sticky bit \(chmod \+t\); valid: "):
        private_folder.make_user_folder()


def test_a_relative_folder_is_the_same_for_every_process(parent, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "h")
    (parent / "h").mkdir()
    monkeypatch.chdir(parent)
    assert private_folder.make_user_folder() == parent / "h" / OWN


def test_a_folder_that_cannot_be_made_is_an_error_with_its_reason(parent, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(parent / "no"))
    with pytest.raises(UsageError, match=r"cannot be made: No such file or directory; valid: set RAY_TMPDIR"):
        private_folder.make_user_folder()


def test_a_commands_folder_goes_with_the_command_and_a_killed_ones_with_the_next(parent):
    with private_folder.command_folder() as first:
        (first / "socket").touch()
        assert mode(first) == 0o700
        with private_folder.command_folder() as second:  # another command, at the same time
            assert second != first
            assert (first / "socket").exists()
        assert not second.exists()
    assert not first.exists()
    program = (
        "import os, signal; from layersweep.tuning.runtime.private_folder import command_folder\n"
        "with command_folder() as folder: print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
    assert Path(killed).is_dir()
    with private_folder.command_folder():
        assert not Path(killed).exists()
    assert {path.name for path in (parent / OWN).iterdir()} == {"layersweep.lock"}


@pytest.mark.parametrize("file", ["a.jpg", "lock"])
def test_a_folder_of_the_user_in_a_private_one_is_not_deleted(parent, monkeypatch, file):
    """RAY_TMPDIR=$HOME, for example: home folders are of mode 0700, and may have a folder `Pictures`."""
    monkeypatch.setenv("RAY_TMPDIR", str(parent / "home"))
    (parent / "home" / "Pictures").mkdir(parents=True)
    (parent / "home").chmod(0o700)
    (parent / "home" / "Pictures" / file).touch()
    (parent / "home" / "datasets").mkdir()
    with private_folder.command_folder() as folder:
        assert folder.parent == parent / "home"
    assert (parent / "home" / "Pictures" / file).is_file()
    assert (parent / "home" / "datasets").is_dir()


@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, BrokenOffError), (errno.EROFS, BrokenOffError), (2, OSError)]
)
def test_a_command_whose_disk_is_full_ends_with_one_line(parent, code, error):
    """Ray Tune and the fork server write there, and say so in a traceback."""
    with pytest.raises(error, match=os.strerror(code)), private_folder.command_folder():
        raise OSError(code, os.strerror(code))
    assert {path.name for path in (parent / OWN).iterdir()} == {"layersweep.lock"}


def test_what_ray_start_keeps_there_is_not_deleted(parent):
    private_folder.make_user_folder()
    (parent / OWN / "ray").mkdir()
    with private_folder.command_folder():
        pass
    assert (parent / OWN / "ray").is_dir()


def test_an_address_is_read_only_from_a_file_that_nobody_else_can_have_written(parent):
    private_folder.make_user_folder()
    ray = parent / OWN / "ray"
    ray.mkdir()
    ray.chmod(0o777)  # as Ray makes it
    file = ray / "ray_current_cluster"
    assert private_folder.cluster_address() == ""
    file.write_text("10.0.0.1:6379\n")
    assert private_folder.cluster_address() == "10.0.0.1:6379"
    assert private_folder.read_address(file) == "10.0.0.1:6379"
    file.rename(ray / "target")
    file.symlink_to(ray / "target")
    assert private_folder.cluster_address() == "", "a link is not followed"
    file.unlink()
    os.mkfifo(file)
    assert private_folder.cluster_address() == "", "a pipe does not make it wait"
    (parent / "ray_current_cluster").write_text("6.6.6.6:6379")
    assert private_folder.read_address(parent / "ray_current_cluster") == "", "anybody may write there"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_an_address_in_a_file_of_another_user_is_not_read(parent):
    private_folder.make_user_folder()
    file = parent / OWN / "file"
    file.write_text("6.6.6.6:6379")
    os.chown(file, 12345, 12345)
    assert private_folder.read_address(file) == ""


def test_the_program_prints_the_folder_or_why_it_cannot_be_made(parent):
    program = [sys.executable, "-m", "layersweep.tuning.runtime.private_folder"]
    well = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (well.returncode, well.stdout) == (0, f"{parent / OWN}\n")
    (parent / OWN).rmdir()
    (parent / OWN).write_text("")
    ill = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ill.returncode, ill.stdout) == (2, "")
    assert "RAY_TMPDIR" in ill.stderr
    assert "Traceback" not in ill.stderr


def test_the_program_deletes_all_but_the_latest_sessions_of_ray(parent):
    ray = private_folder.make_user_folder() / "ray"
    for day in range(1, 9):
        (ray / f"session_2026-11-0{day}_08-29-38_782304_4" / "logs").mkdir(parents=True)
    (ray / "session_latest").symlink_to(ray / "session_2026-11-01_08-29-38_782304_4")
    assert private_folder.main([]) == 0
    assert sorted(path.name[:18] for path in ray.iterdir()) == [
        *(f"session_2026-11-0{day}" for day in range(4, 9)), "session_latest",
    ]  # fmt: skip
