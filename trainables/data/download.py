"""Downloads that are whole or leave nothing, and archives that are unpacked without trusting their names."""

import gzip
import hashlib
import http.client
import os
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import Final

from trainables.data.sources import Say
from trainables.errors import DataError

CONNECT_SECONDS: Final = 10.0
"""The time limit of connecting, and of each read; not of the whole file."""

_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip
_BLOCK: Final = 1 << 20
_TENTH: Final = 10


def keras_home() -> Path:
    """The folder of Keras' downloads: KERAS_HOME, else ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()


def download(address: str, path: Path, *, sha256: str | None, say: Say) -> None:
    """Downloads a file to `path`, and makes its folder.

    Raises:
        DataError: if the download fails, or is not the expected file; then there is nothing at `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".layersweep-", dir=path.parent) as work:
        part = Path(work) / path.name
        try:
            digest = _write_stream(address, part, say)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"{address} could not be downloaded ({error}); put the file at {path} yourself") from error
        if sha256 is not None and digest != sha256:
            raise DataError(f"{address} is not the expected file: its sha256 is {digest}, not {sha256}")
        part.replace(path)


def _write_stream(address: str, part: Path, say: Say) -> str:
    """Writes the file at this address, reports each tenth of it, and returns its SHA-256."""
    digest, bytes_read, tenths = hashlib.sha256(), 0, 0
    with urllib.request.urlopen(address, timeout=CONNECT_SECONDS) as answer, part.open("wb") as file:  # noqa: S310
        size = int(answer.headers.get("Content-Length") or 0)
        say(f"downloading {address} ({size / 1e6:.0f} MB) …")
        while block := answer.read(_BLOCK):
            file.write(block)
            digest.update(block)
            bytes_read += len(block)
            if size and bytes_read * _TENTH // size > tenths:
                tenths = bytes_read * _TENTH // size
                say(f"  {tenths * _TENTH} %")
    if size and bytes_read != size:
        raise OSError(f"the connection ended after {bytes_read:,} of {size:,} bytes")
    return digest.hexdigest()


def unpack(archive: Path, below: Path, *, say: Say) -> Path:
    """Unpacks a .tar.gz or .zip once, whole or not at all, and returns its folder, which lies in `below`.

    Raises:
        DataError: if it is truncated or damaged, points outside its folder, or there is no room.
    """
    state = archive.stat()
    key = f"{archive.resolve()} {state.st_size} {state.st_mtime_ns}"
    folder = below / f"unpacked-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        _unpack(archive, folder, say)
    return folder


def _only_plain(archive: Path, members: tarfile.TarFile, folder: Path) -> None:
    """Refuses an archive with links, devices or names that point outside it; older Pythons have no filter for that."""
    root = folder.resolve()
    for member in members.getmembers():
        if not (member.isfile() or member.isdir()) or not (root / member.name).resolve().is_relative_to(root):
            raise DataError(f"{archive} is not a safe archive: {member.name} points outside its folder")


def _unpack(archive: Path, folder: Path, say: Say) -> None:
    say(f"unpacking {archive} …")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".layersweep-", dir=folder.parent) as work:
        new_folder = Path(work) / "unpacked"
        try:
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as members:
                    members.extractall(new_folder)  # noqa: S202 (it makes names that point outside harmless)
            else:
                with tarfile.open(archive) as members_of_tar:
                    _only_plain(archive, members_of_tar, new_folder)
                    members_of_tar.extractall(new_folder)  # noqa: S202 (each member was checked)
        except _DAMAGED as error:
            raise DataError(f"{archive} is truncated or damaged ({error}); download it again") from error
        except OSError as error:
            raise DataError(f"{archive} could not be unpacked to {folder}: {error}") from error
        try:
            new_folder.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process has just unpacked it
                raise
