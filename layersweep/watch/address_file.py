"""The file with the address of a running server, for whoever started a sweep elsewhere than at a terminal.

The address holds the token, so no other user may read it: the file has mode 600, in a folder of this user of mode 700.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from layersweep.records.errors import ResultsError, results_errors
from layersweep.records.files import make_folder

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def address_file(results: Path, name: str) -> Path:
    """The file of the server that a sweep has started, or a command."""
    return results.absolute() / ".state" / "watch" / f"{name}.address"


def write_private(file: Path, text: str) -> None:
    """Writes a text with an address, in place of one of a server that has ended.

    Raises:
        ResultsError: if it cannot be written, or others could read it.
    """
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    with results_errors(f"cannot write {file}"):
        make_folder(file.parent, mode=0o700)
        state = file.parent.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
            raise ResultsError(f"{file.parent} is a link or belongs to another user: the address is not written there")
        file.parent.chmod(0o700)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w") as content:
                if os.fstat(handle).st_mode & _OTHERS:  # a file system without rights
                    raise ResultsError(f"others can read files in {file.parent}: the address is not written there")
                content.write(text)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def remove_private(file: Path, text: str) -> None:
    """Removes the file if it has this text: another server may have written it anew."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if file.read_text() == text:
            file.unlink()
