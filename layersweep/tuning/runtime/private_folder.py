"""Folders that no other user of the machine can enter: for Ray's sockets and addresses, and for one command's files.

Ray makes its temporary folder and its sockets' folder writable for everybody (mode 0777). So they must be below a
folder of mode 0700: else another user could put a socket or an address of their own there, and would be sent the token.
The paths are short, because the path of a socket has at most 107 characters.

`python -m layersweep.tuning.runtime.private_folder [PORT …]` makes the folder in which `ray start` runs, and prints it.
It fails if another user has taken a port: `ray start` would send the token there before it fails.
"""

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import filelock

from layersweep.exit_codes import BAD_INPUT, OK
from layersweep.tuning.common.errors import BrokenOffError, UsageError
from layersweep.tuning.runtime.port_owner import is_another_users

ENVIRONMENT: Final = "RAY_TMPDIR"
"""The variable that names Ray's temporary folder; Ray itself works in the folder `ray` below it."""

_SYSTEM_FOLDER: Final = "/tmp"  # noqa: S108
_SOCKET: Final = "/12345678/ray/session_2026-11-30_08-29-38_782304_4194304/sockets/plasma_store"
_LONGEST_PATH: Final = (107 if sys.platform == "linux" else 103) - len(_SOCKET)
_LOCK: Final = "layersweep.lock"
"""A file in each folder made here: RAY_TMPDIR may name a folder that has others in it, such as the user's home."""

_SESSIONS: Final = 5
"""So many of the latest sessions of `ray start` keep their logs; Ray itself deletes none."""

_ADDRESS_BYTES: Final = 256
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""The rights of all users but the owner."""


def user_folder() -> Path:
    """This user's private folder: RAY_TMPDIR if it is private, else `layersweep-<user id>` in it or in /tmp.

    The name is the same in each process, and in the files for `ray up`. The folder need not exist.
    """
    folder, name = Path(os.environ.get(ENVIRONMENT) or _SYSTEM_FOLDER).absolute(), f"layersweep-{os.getuid()}"
    return folder if folder.name == name or _is_private(folder) else folder / name


def make_user_folder() -> Path:
    """Makes this user's private folder if it is missing, and closes it to others if it is open.

    Raises:
        UsageError: if it belongs to another user or could be replaced by one, cannot be made, or has a path that is too
            long for sockets.
    """
    folder = user_folder()
    form = f"of mode 700, on a local disk, of at most {_LONGEST_PATH} characters"
    valid = f"valid: set {ENVIRONMENT} to a folder of yours, {form}"
    if len(os.fsencode(folder)) > _LONGEST_PATH:
        raise UsageError(f"the path {folder} is too long for Ray's sockets; {valid}")
    try:
        for parent in folder.resolve().parents:
            if parent.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
                raise UsageError(f"anybody can replace {folder}: {parent} has no sticky bit (chmod +t); {valid}")
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
            raise UsageError(f"{folder} belongs to another user or is a link: nothing is put there; {valid}")
        folder.chmod(0o700)
    except OSError as error:
        raise UsageError(f"the private folder {folder} cannot be made: {error.strerror or error}; {valid}") from error
    return folder


@contextmanager
def command_folder() -> Iterator[Path]:
    """A new private folder for the files of one command, deleted at the end; the next command deletes a killed one's.

    Raises:
        UsageError: if it cannot be made.
        BrokenOffError: if something cannot be written because the disk is full or has turned read-only.
    """
    parent = make_user_folder()
    try:
        with filelock.FileLock(parent / _LOCK):
            for file in parent.glob(f"????????/{_LOCK}"):
                _delete_unused(file.parent)
            folder = Path(tempfile.mkdtemp(prefix="", dir=parent))
            lock = filelock.FileLock(folder / _LOCK)
            lock.acquire(timeout=0)
    except OSError as error:
        raise UsageError(f"no folder can be made in {parent}: {error.strerror or error}; make room there") from error
    try:
        yield folder
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise BrokenOffError(
            f"nothing can be written, perhaps to {parent}: {error.strerror}. Every finished epoch is kept. "
            "To continue, make room there and run the same command"
        ) from error
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def cluster_address() -> str:
    """The address that `ray start` wrote on this machine; empty without a file that only this user can have written."""
    return read_address(address_file())


def address_file() -> Path:
    """The file in which `ray start` writes the address of the cluster that it started or joined on this machine."""
    return user_folder() / "ray" / "ray_current_cluster"


def read_address(file: Path) -> str:
    """The address in a file; empty if others may have written or replaced the file, or it cannot be read."""
    return read_own(file) if any(map(_is_private, file.parents)) else ""


def read_own(file: Path) -> str:
    """The short text in a file of this user; empty if it is another user's, a link or a pipe, or cannot be read."""
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as handle:
            state = os.fstat(handle.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_uid != os.getuid():
                return ""
            return handle.read(_ADDRESS_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""


def _is_private(folder: Path) -> bool:
    """Whether a folder is this user's, and no other user can enter it."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & OTHERS


def _delete_unused(folder: Path) -> None:
    """Deletes the folder of a command that has ended."""
    lock = filelock.FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def main(ports: Sequence[str]) -> int:
    """Makes the folder in which `ray start` runs, deletes old sessions in it, and returns the exit code."""
    try:
        for port in filter(lambda port: is_another_users(f"0.0.0.0:{port}"), ports):
            raise UsageError(f"another user's process listens at port {port}; valid: end it, or another port for Ray")
        folder = make_user_folder()
        for session in sorted((folder / "ray").glob("session_2*"))[:-_SESSIONS]:  # by their time
            shutil.rmtree(session, ignore_errors=True)
        sys.stdout.write(f"{folder}\n")
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
