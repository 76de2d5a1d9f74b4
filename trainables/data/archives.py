"""Unpacks archives of strangers: files and folders alone, of names that stay inside, up to a size."""

import gzip
import hashlib
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from trainables.data.sources import Say
from trainables.errors import DataError

MOST_MEMBERS: Final = 200_000
"""Tiny-ImageNet's archive has 120,609."""
MOST_BYTES: Final = 1 << 30
"""Of all files together, once unpacked; CIFAR's archives and Tiny-ImageNet's have up to 250 MB."""

_MOST_PARTS: Final = 16
"""Of a name: an archive of a few bytes may else make millions of folders."""
_DIRECTORY: Final = 32 << 20
"""The bytes of a zip's list of members, at most."""
_PIECE: Final = 16 << 10
_GZIP: Final = b"\x1f\x8b"
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Member:
    """A member of an archive.

    Attributes:
        name: its name, with slashes.
        plain: whether it is a file or a folder, neither a link nor a device.
        folder: whether it is a folder.
        open: opens its content.
    """

    name: str
    plain: bool
    folder: bool
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, below: Path, *, say: Say) -> Path:
    """Unpacks a .tar.gz or .zip once, whole or not at all, and returns its folder, which lies in `below`.

    Raises:
        DataError: if it is truncated, damaged or too large, points outside its folder, or there is no room.
    """
    state = archive.stat()
    key = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}"
    folder = below / f"unpacked-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        _unpack(archive, folder, say)
    return folder


def _unpack(archive: Path, folder: Path, say: Say) -> None:
    say(f"unpacking {archive} …")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".layersweep-", dir=folder.parent) as work:
        new_folder = Path(work) / "unpacked"
        new_folder.mkdir()
        try:
            _write(archive, new_folder)
        except DataError:
            raise
        except _DAMAGED as error:
            raise DataError(f"{archive} is truncated or damaged ({error}); download it again") from error
        except OSError as error:
            raise DataError(f"{archive} could not be unpacked to {folder}: {error}") from error
        try:
            new_folder.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process has just unpacked it
                raise


def _write(archive: Path, folder: Path) -> None:
    """Writes the members of an archive, with the modes that new files have here."""
    members = _zip_members(archive) if archive.suffix == ".zip" else _tar_members(archive)
    written = 0
    for number, member in enumerate(members, start=1):
        if number > MOST_MEMBERS:
            raise DataError(f"{archive} is not a safe archive: it has more than {MOST_MEMBERS:,} members")
        path = folder / _safe_name(archive, member)
        if member.folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file, member.open() as content:  # type: ignore[union-attr]  # None for a link alone
            while piece := content.read(_PIECE):
                written += len(piece)
                if written > MOST_BYTES:
                    raise DataError(f"{archive} is not a safe archive: it unpacks to more than {MOST_BYTES:,} bytes")
                file.write(piece)


def _safe_name(archive: Path, member: _Member) -> PurePosixPath:
    """The name of a member, which must be a file or a folder inside the archive's folder."""
    name = PurePosixPath(member.name)
    if not member.plain:
        problem = "is a link, a device or compressed in another way than by deflate"
    elif name.is_absolute() or ".." in name.parts or "\0" in member.name or not (name.parts or member.folder):
        problem = "points outside its folder"
    elif len(name.parts) > _MOST_PARTS:
        problem = f"is more than {_MOST_PARTS} folders deep"
    else:
        return name
    raise DataError(f"{archive} is not a safe archive: {member.name!r} {problem}")


def _zip_members(archive: Path) -> Iterator[_Member]:
    with archive.open("rb") as file, zipfile.ZipFile(_BoundedReads(file, _DIRECTORY)) as members:
        for entry in members.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            yield _Member(
                name=entry.filename,
                plain=kind in (0, stat.S_IFREG, stat.S_IFDIR)
                and entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
                folder=entry.filename.endswith("/"),
                open=partial(members.open, entry),
            )


def _tar_members(archive: Path) -> Iterator[_Member]:
    with archive.open("rb") as start:
        compressed = start.read(len(_GZIP)) == _GZIP
    # Only headers are read in one piece, and Python's expressions for them take long for long ones (CVE-2024-6232).
    with gzip.open(archive) if compressed else archive.open("rb") as file:
        members = tarfile.open(fileobj=_BoundedReads(file, 2 * _PIECE), mode="r:")  # noqa: SIM115 (it only reads)
        for member in members:
            if member.size < 0:
                raise tarfile.ReadError("a member has a negative size")
            yield _Member(
                name=member.name,
                plain=(member.isreg() and not member.issparse()) or member.isdir(),
                folder=member.isdir(),
                open=partial(members.extractfile, member),
            )


class _BoundedReads:
    """A file of which no single read takes more than some bytes: what a header says is not what memory is taken for."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, most: int) -> None:
        self._file, self._most = file, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        """The next bytes, all of them if the size is negative."""
        content = self._file.read(size if 0 <= size <= self._most else self._most + 1)
        if len(content) > self._most:
            raise EOFError(f"a header says that {size:,} bytes belong to it")
        return content
