"""Fashion-MNIST: 70,000 grey images of 28x28, ten classes of clothing (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747).

The files are searched for on this machine, then downloaded as Keras does, or taken from Debian's package, without root.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import subprocess
import tempfile
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np
import numpy.typing as npt

from trainables.data import idx_files
from trainables.data.arrays import Arrays
from trainables.data.cache import cache_root
from trainables.data.download import CONNECT_SECONDS, bounded_blocks, keras_home
from trainables.data.sources import Say, log
from trainables.errors import DataError

NAME: Final = "fashion_mnist"
CLASSES: Final = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
ENVIRONMENT: Final = "LAYERSWEEP_FASHION_MNIST"
PACKAGE: Final = "dataset-fashion-mnist"


@dataclass(frozen=True, kw_only=True)
class Content:
    """The decompressed content of a file: the compressed files differ, since Debian compresses them anew."""

    bytes: int
    sha256: str


TRAIN_IMAGES: Final = "train-images-idx3-ubyte.gz"
TRAIN_LABELS: Final = "train-labels-idx1-ubyte.gz"
TEST_IMAGES: Final = "t10k-images-idx3-ubyte.gz"
TEST_LABELS: Final = "t10k-labels-idx1-ubyte.gz"
FILES: Mapping[str, Content] = {
    TRAIN_IMAGES: Content(bytes=47_040_016, sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    TRAIN_LABELS: Content(bytes=60_008, sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    TEST_IMAGES: Content(bytes=7_840_016, sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    TEST_LABELS: Content(bytes=10_008, sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}

SYSTEM_FOLDERS: tuple[Path, ...] = (
    Path("/usr/share/datasets/fashion-mnist"),
    Path("/usr/local/share/datasets/fashion-mnist"),
)
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
COMMAND_SECONDS = 300.0
_GZIP_EXTRA: Final = 1 << 16
"""How many bytes longer than its content a compressed file may be."""


def find(folder: Path | None = None, *, say: Say = log) -> Path:
    """A folder that has the four files, downloaded if this machine has none; `load` checks their content.

    Args:
        folder: the only place to look in, if it is given, or else LAYERSWEEP_FASHION_MNIST. Without both, the system's,
            Keras' and our own folders, Keras' address and Debian's package are tried in this order.
        say: takes short sentences about work that takes time.

    Raises:
        DataError: if no place has the four files; the message lists each place, why it failed, and what is valid.
    """
    environment_folder = os.environ.get(ENVIRONMENT)
    if folder is not None:
        return _given_folder(folder, "--data")
    if environment_folder:
        return _given_folder(Path(environment_folder), ENVIRONMENT)
    places = (*SYSTEM_FOLDERS, keras_folder(), downloads_folder())
    for place in places:
        if not _missing(place):
            return place
    failures = [f"{place} {_problem(place)}" for place in places]
    for title, fetch in ((ADDRESS, _download), (f"Debian's package {PACKAGE}", _unpack_debian)):
        try:
            return fetch(say)
        except (DataError, OSError, http.client.HTTPException) as error:
            failures.append(f"{title}: {' '.join(str(error).split())}")
    raise DataError(f"Fashion-MNIST was not found: {'; '.join(failures)}. {_VALID}")


def files(folder: Path) -> list[Path]:
    """The four files of a folder."""
    return [folder / name for name in FILES]


def load(folder: Path, *, strict: bool = False, say: Say = log) -> Arrays:  # noqa: ARG001
    """The whole data set from a folder's four files: images (60,000 and 10,000, 28, 28, 1), labels 0 to 9.

    Decompressing and checking takes about half a second and 110 MB.

    Raises:
        DataError: if a file is missing, unreadable or damaged.
    """
    return Arrays(
        train_images=_images(folder / TRAIN_IMAGES),
        train_labels=_labels(folder / TRAIN_LABELS),
        test_images=_images(folder / TEST_IMAGES),
        test_labels=_labels(folder / TEST_LABELS),
        classes=CLASSES,
    )


def keras_folder() -> Path:
    """The folder of keras.datasets.fashion_mnist: in KERAS_HOME, else in ~/.keras."""
    return keras_home() / "datasets" / "fashion-mnist"


def downloads_folder() -> Path:
    """The folder for the files of Debian's package, where the next start finds them."""
    return cache_root() / "downloads" / "fashion-mnist"


_VALID = f"Valid: --data FOLDER or {ENVIRONMENT}=FOLDER, a folder with {', '.join(FILES)}; or `apt install {PACKAGE}`"


def _missing(folder: Path) -> list[str]:
    # os.path.isfile, since Path.is_file raises where a folder above may not be entered.
    return [name for name in FILES if not os.path.isfile(folder / name)]


def _problem(folder: Path) -> str:
    return f"lacks {', '.join(_missing(folder))}" if os.path.isdir(folder) else "is not a folder"


def _given_folder(folder: Path, giver: str) -> Path:
    if _missing(folder):
        raise DataError(f"Fashion-MNIST was not found: {folder}, given by {giver}, {_problem(folder)}. {_VALID}")
    return folder


def _content(path: Path) -> bytes:
    """A file's decompressed content, checked; raises DataError with the expected and the actual content."""
    expected = FILES[path.name]
    try:
        with gzip.open(path) as file:
            content = b"".join(bounded_blocks(file, expected.bytes))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"expected {path.name} to hold {expected.bytes:,} bytes once decompressed, got {error}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if (len(content), digest) != (expected.bytes, expected.sha256):
        raise DataError(
            f"expected {path.name} to hold {expected.bytes:,} bytes with sha256 {expected.sha256} once decompressed, "
            f"got {len(content):,} bytes with sha256 {digest}"
        )
    return content


def _checked_content(path: Path) -> bytes:
    try:
        return _content(path)
    except DataError as error:
        raise DataError(
            f"{path} is not Fashion-MNIST's file, or is damaged: {error}. Delete it, so that it is downloaded again, "
            f"or give another folder with --data or {ENVIRONMENT}"
        ) from error


def _images(path: Path) -> npt.NDArray[np.uint8]:
    return _array(path, 3)[..., np.newaxis]


def _labels(path: Path) -> npt.NDArray[np.int64]:
    return _array(path, 1).astype(np.int64)


def _array(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    try:
        return idx_files.read(_checked_content(path), dimensions)
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path} is not Fashion-MNIST's file: {error}") from error


def _download(say: Say) -> Path:
    folder = keras_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in _missing(folder):
        say(f"downloading Fashion-MNIST's {name} to {folder} …")
        with urllib.request.urlopen(ADDRESS + name, timeout=CONNECT_SECONDS) as answer:  # noqa: S310
            _write(answer, folder / name)
    return folder


def _unpack_debian(say: Say) -> Path:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise DataError(f"{tool} is not installed")
    # A method process of apt may outlive a killed apt-get for a moment, and still write here.
    with tempfile.TemporaryDirectory(prefix="layersweep-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        package = _fetch_debian(work, say)
        _run(work, "dpkg-deb", "-x", str(package), str(work / "unpacked"))
        return _copy_to_downloads(work / "unpacked/usr/share/datasets/fashion-mnist")


def _fetch_debian(work: Path, say: Say) -> Path:
    say(f"downloading Debian's package {PACKAGE} (30 MB) …")
    try:
        _run(work, "apt-get", "download", PACKAGE)
    except DataError:
        say("apt has no package lists here: downloading them into a temporary folder …")
        (work / "lists/partial").mkdir(parents=True)
        (work / "cache/archives/partial").mkdir(parents=True)
        settings = (f"Dir::State::lists={work}/lists", f"Dir::Cache={work}/cache", "Debug::NoLocking=1")
        private = [argument for setting in settings for argument in ("-o", setting)]
        _run(work, "apt-get", *private, "update")
        _run(work, "apt-get", *private, "download", PACKAGE)
    packages = list(work.glob(f"{PACKAGE}_*.deb"))
    if not packages:
        raise DataError(f"apt-get download wrote no {PACKAGE}_*.deb")
    return packages[0]


def _run(work: Path, *command: str) -> None:
    """Runs a command in a folder; raises DataError with its last line if it fails, TimeoutError if it hangs."""
    # A file, not a pipe: a grandchild that holds a pipe open would make us wait beyond the time limit.
    log = work / "log.txt"
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        with log.open("wb") as output:
            process = subprocess.run(
                command, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, timeout=COMMAND_SECONDS, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{command[0]} did not end within {COMMAND_SECONDS:g} s") from error
    if process.returncode != 0:
        lines = log.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        raise DataError(f"{command[0]} ended with exit code {process.returncode}: {last}")


def _copy_to_downloads(source: Path) -> Path:
    folder = downloads_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with (source / name).open("rb") as unpacked:
            _write(unpacked, folder / name)
    return folder


def _write(content: IO[bytes], path: Path) -> None:
    """Writes a file whole and checked, or not at all."""
    with tempfile.TemporaryDirectory(prefix=".layersweep-", dir=path.parent) as work:
        part = Path(work) / path.name
        with part.open("wb") as file:
            file.writelines(bounded_blocks(content, FILES[path.name].bytes + _GZIP_EXTRA))
        _content(part)
        part.replace(path)
