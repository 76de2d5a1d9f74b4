"""The readers of data sets' files, as functions of bytes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.data import cache, idx_files
from trainables.data.archives import unpack
from trainables.data.arrays import ARRAYS
from trainables.data.cifar_files import CifarFiles
from trainables.data.download import RemoteFile
from trainables.data.pictures.decoding import decode
from trainables.data.pictures.picture_list import Fitting, Picture, PictureList
from trainables.data.pictures.survey import survey
from trainables.data.tiny_imagenet_files import _annotated, _classes, _names


def quiet(_: str) -> None:
    """Takes a sentence and says nothing."""


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder in memory, which is the machine's cache too."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        os.environ["LAYERSWEEP_CACHE"] = name
        yield Path(name)


def cifar(content: bytes) -> None:
    """Reads a batch of CIFAR-10."""
    files = CifarFiles(
        title="CIFAR-10", folder="", archive="", remote=RemoteFile(address="", bytes=0, sha256=""),
        train=("batch",), test="batch", labels="labels", meta="batch", names="label_names",
    )  # fmt: skip
    with folder() as place:
        (place / "batch").write_bytes(content)
        files.load(place)


def images(content: bytes) -> None:
    """Decodes one picture of any format, to its own size and to a small one."""
    with folder() as place:
        path = place / "image.png"
        path.write_bytes(content)
        pictures = PictureList(pictures=[Picture(path=path, label=0)], classes=("it",), layout="")
        summary = survey(pictures, quiet)
        for fitting in (
            Fitting(),
            Fitting(image_size=8, fit="crop"),
            Fitting(image_size=5, fit="pad", resizing="nearest"),
        ):
            decode(pictures, summary, place, fitting, say=quiet, strict=True)


def tar(content: bytes) -> None:
    """Unpacks a .tar.gz."""
    with folder() as place:
        (place / "archive.tar.gz").write_bytes(content)
        unpack(place / "archive.tar.gz", place / "below", say=quiet)
        assert {path.name for path in place.iterdir()} <= {"archive.tar.gz", "below"}, "it wrote elsewhere"


def zip_archive(content: bytes) -> None:
    """Unpacks a .zip."""
    with folder() as place:
        (place / "archive.zip").write_bytes(content)
        unpack(place / "archive.zip", place / "below", say=quiet)
        assert {path.name for path in place.iterdir()} <= {"archive.zip", "below"}, "it wrote elsewhere"


def tiny_imagenet(content: bytes) -> None:
    """Reads the three lists of Tiny-ImageNet, which lie one after another, with a null byte between."""
    lists = [*content.split(b"\0", 2), b"", b""]
    with folder() as place:
        (place / "val").mkdir()
        for name, text in zip(("wnids.txt", "words.txt", "val/val_annotations.txt"), lists, strict=False):
            (place / name).write_bytes(text)
        ids = _classes(place)
        _names(place, ids)
        _annotated(place, ids)


def idx(content: bytes) -> None:
    """Reads images, or labels: the first byte says which."""
    idx_files.read(content[1:], 1 if content[:1] == b"1" else 3)


def cached(content: bytes) -> None:
    """Checks a folder of the cache that came from another machine: arrays and their description."""
    array, _, description = content.partition(b"META")
    with folder() as place:
        for name in ARRAYS:
            (place / f"{name}.npy").write_bytes(array)
        (place / "meta.json").write_bytes(description)
        cache.is_intact(place)
