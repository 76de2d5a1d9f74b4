"""MNIST's file: the places that are searched, and what is refused."""

import hashlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from trainables.data.dataset import prepare
from trainables.data.datasets import mnist
from trainables.errors import DataError


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A small file in MNIST's format on a made-up server; nothing on this machine."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LAYERSWEEP_MNIST", raising=False)
    digits = np.repeat(np.arange(10, dtype=np.uint8), 8)
    images = np.broadcast_to(digits[:, None, None], (80, 28, 28))
    path = tmp_path / "server" / "mnist.npz"
    path.parent.mkdir()
    np.savez(path, x_train=images, y_train=digits, x_test=images[::4], y_test=digits[::4])
    content = path.read_bytes()
    remote = replace(
        mnist.REMOTE, address=path.as_uri(), bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    monkeypatch.setattr(mnist, "REMOTE", remote)
    return path


def test_it_is_downloaded_once_to_keras_own_place(file, tmp_path):
    data = prepare("mnist")
    assert (data.classes, data.image_shape, data.test_images) == (mnist.CLASSES, (28, 28, 1), 20)
    file.unlink()
    assert mnist.find() == tmp_path / "keras" / "datasets" / "mnist.npz"
    assert prepare("mnist") == data


def test_another_file_is_not_left_there(file, tmp_path):
    file.write_bytes(file.read_bytes()[::-1])
    with pytest.raises(DataError, match="is not the expected file"):
        mnist.find()
    assert not (tmp_path / "keras" / "datasets" / "mnist.npz").exists()


def test_a_folder_or_file_of_ones_own(file, tmp_path, monkeypatch):
    assert mnist.find(file) == mnist.find(file.parent) == file
    monkeypatch.setenv("LAYERSWEEP_MNIST", str(file.parent))
    assert mnist.find() == file
    with pytest.raises(DataError, match=r"not found at .*elsewhere.*; valid: --data FOLDER or LAYERSWEEP_MNIST=FOLDER"):
        mnist.find(tmp_path / "elsewhere")


def test_another_data_set_is_not_mnist(file):
    np.savez(file, x_train=np.zeros((4, 8, 8)), y_train=[0, 1, 0, 1])
    with pytest.raises(DataError, match="is not MNIST: it has 2 classes"):
        mnist.load(file)


def test_the_published_hash_is_that_of_keras():
    source = (Path(find_spec("keras").origin).parent / "src/datasets/mnist.py").read_text()
    assert mnist.REMOTE.sha256 in source
    assert mnist.REMOTE.address.removesuffix("mnist.npz") in source


@pytest.mark.parametrize("name", ["imdb", "reuters", "boston_housing", "california_housing"])
def test_data_sets_of_keras_without_images_are_refused_with_those_that_have_some(name):
    with pytest.raises(DataError, match=f"'{name}' is not known; valid: cifar10, cifar100, fashion_mnist, .*mnist"):
        prepare(name)
