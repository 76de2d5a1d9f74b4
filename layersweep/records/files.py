"""Files that survive a power cut: synced to disk, then put in place whole, then their folder's entry synced."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NO_HARD_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK})
"""How file systems say that they have no hard links, or none between these folders."""


def sync(path: Path) -> None:
    """Flushes the content of a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Creates a folder, and its parents if need be; each new one is on the disk afterwards. Parents have any mode."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    try:
        sync(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            path.rmdir()
        raise


def link_into_place(temporary: Path, final: Path) -> None:
    """Gives a file its final name, but never the name of a file that exists; the caller syncs the folder.

    A file system without hard links cannot do both at once: there the name is looked up, and then the file is renamed.

    Raises:
        FileExistsError: if the name is taken.
    """
    try:
        os.link(temporary, final)
    except FileExistsError:
        if not final.samefile(temporary):  # NFS repeats a request whose answer did not arrive
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from None
        temporary.rename(final)
        return
    with contextlib.suppress(OSError):  # the next writer removes it
        temporary.unlink()


@contextmanager
def replacing(final: Path, temporary: Path) -> Iterator[None]:
    """While inside, the caller writes the temporary file, which then takes the final name, whole or not at all.

    Raises:
        OSError: if it cannot be put in place; the file before stays then.
    """
    make_folder(temporary.parent)
    make_folder(final.parent)
    try:
        yield
        sync(temporary)
        temporary.replace(final)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync(final.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file, whole or not at all; it may replace one.

    Raises:
        OSError: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with replacing(path, temporary):
        temporary.write_bytes(content)
