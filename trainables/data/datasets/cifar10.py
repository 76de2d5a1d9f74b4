"""CIFAR-10: 60,000 colour images of 32x32 in 10 classes (Krizhevsky 2009, Learning multiple layers)."""

from typing import Final

from trainables.data.cifar_files import CifarFiles
from trainables.data.download import RemoteFile

NAME: Final = "cifar10"

_FILES: Final = CifarFiles(
    title="CIFAR-10",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    remote=RemoteFile(
        address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        bytes=170_498_071,
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels="labels",
    meta="batches.meta",
    names="label_names",
)

find, files, load = _FILES.find, _FILES.files, _FILES.load
