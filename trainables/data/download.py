"""Downloads that are the expected files, whole, or leave nothing."""

import gzip
import hashlib
import http.client
import os
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from trainables.data.sources import Say
from trainables.errors import DataError

CONNECT_SECONDS: Final = 10.0
"""The time limit of connecting, and of each read; not of the whole file."""

_BLOCK: Final = 1 << 20
_TENTH: Final = 10


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file to download: its address, its bytes and its SHA-256."""

    address: str
    bytes: int
    sha256: str


def keras_home() -> Path:
    """The folder of Keras' downloads: KERAS_HOME, else ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()


def download(remote: RemoteFile, path: Path, *, say: Say) -> None:
    """Downloads a file to `path`, and makes its folder.

    Raises:
        DataError: if the download fails, or is not the expected file; then there is nothing at `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".layersweep-", dir=path.parent) as work:
        part = Path(work) / path.name
        try:
            digest = _write_stream(remote, part, say)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(
                f"{remote.address} could not be downloaded ({error}); put the file at {path} yourself"
            ) from error
        if digest != remote.sha256:
            raise DataError(f"{remote.address} is not the expected file: its sha256 is {digest}, not {remote.sha256}")
        part.replace(path)


def _write_stream(remote: RemoteFile, part: Path, say: Say) -> str:
    """Writes the remote file, reports each tenth of it, and returns its SHA-256."""
    digest, tenths = hashlib.sha256(), 0
    say(f"downloading {remote.address} ({remote.bytes / 1e6:.0f} MB) …")
    with urllib.request.urlopen(remote.address, timeout=CONNECT_SECONDS) as answer, part.open("wb") as file:  # noqa: S310
        for block in bounded_blocks(answer, remote.bytes):
            file.write(block)
            digest.update(block)
            if file.tell() * _TENTH // remote.bytes > tenths:
                tenths = file.tell() * _TENTH // remote.bytes
                say(f"  {tenths * _TENTH} %")
        if file.tell() != remote.bytes:
            raise OSError(f"the connection ended after {file.tell():,} of {remote.bytes:,} bytes")
    return digest.hexdigest()


def bounded_blocks(file: IO[bytes] | gzip.GzipFile, most: int) -> Iterator[bytes]:
    """The content of a file, block by block.

    Raises:
        OSError: if it has more than `most` bytes; no more are read.
    """
    count = 0
    while block := file.read(_BLOCK):
        count += len(block)
        if count > most:
            raise OSError(f"more than {most:,} bytes")
        yield block
