"""CIFAR-100: 60,000 colour images of 32x32 in 100 classes (Krizhevsky 2009, Learning multiple layers)."""

from typing import Final

from trainables.data.cifar_files import CifarFiles
from trainables.data.download import RemoteFile

NAME: Final = "cifar100"

_FILES: Final = CifarFiles(
    title="CIFAR-100",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    remote=RemoteFile(
        address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        bytes=169_001_437,
        sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
    train=("train",),
    test="test",
    labels="fine_labels",
    meta="meta",
    names="fine_label_names",
)

find, files, load = _FILES.find, _FILES.files, _FILES.load
