"""The token with which Ray lets a process in: a file that only its user can read.

Ray makes it readable for everybody (mode 0644), so it is made here first. As a program it makes the token of a head.
"""

import os
import secrets
import stat
import sys
from pathlib import Path

import filelock

from layersweep.exit_codes import BAD_INPUT
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.runtime.private_folder import OTHERS


def token_file() -> Path:
    """The token's file: the one that RAY_AUTH_TOKEN_PATH names, else ~/.ray/auth_token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()


def close_to_others(file: Path) -> int | None:
    """Takes all rights to a token's file from other users; returns its mode before, or None if there is no file.

    A file of root is left as it is: the administrator decides who reads it.

    Raises:
        UsageError: if it is no file, belongs to another user, or cannot be closed.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"the token {file} cannot be read: {error.strerror}") from error
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode) or state.st_uid not in (os.getuid(), 0):
            raise UsageError(f"the token {file} is no file or belongs to another user; valid: yours, of mode 600")
        if state.st_mode & OTHERS and state.st_uid == os.getuid():
            os.fchmod(handle, 0o600)
        return stat.S_IMODE(state.st_mode)
    except OSError as error:
        raise UsageError(f"the token {file} cannot be closed to other users: {error.strerror}") from error
    finally:
        os.close(handle)


def make_token() -> None:
    """Makes the token if there is none, and closes an existing one, and its folder ~/.ray, to others.

    Raises:
        UsageError: if that is not possible.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    file = token_file()
    if os.environ.get("RAY_AUTH_TOKEN_PATH"):
        close_to_others(file)
        return
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if file.parent.stat().st_mode & OTHERS:
            file.parent.chmod(0o700)
        if _is_missing(file):  # else nothing is written: the home may be read-only
            with filelock.FileLock(file.with_name(".auth_token.lock")):
                if _is_missing(file):
                    _write(file)
    except OSError as error:
        raise UsageError(f"the token {file} cannot be made: {error.strerror or error}") from error


def _is_missing(file: Path) -> bool:
    """Whether there is no token, or an empty one; an existing one is closed to others."""
    return close_to_others(file) is None or not file.stat().st_size


def _write(file: Path) -> None:
    new_file = file.with_name(".auth_token.new")
    new_file.unlink(missing_ok=True)
    with os.fdopen(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(secrets.token_hex(32))
        handle.flush()
        os.fsync(handle.fileno())
    new_file.replace(file)


if __name__ == "__main__":
    try:
        make_token()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(BAD_INPUT)
