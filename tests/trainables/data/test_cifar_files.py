"""CIFAR's loaders, on files made in the exact format of its version for Python."""

import os
import pickle
import tarfile

import numpy as np
import pytest

from trainables.data.dataset import prepare
from trainables.data.datasets import cifar10, cifar100
from trainables.errors import DataError

PIXELS = 3 * 32 * 32
IMAGE = np.zeros((1, PIXELS), np.uint8)


def dump(path, content):
    """Writes a pickle as Python 2 did: protocol 2, keys and texts as bytes."""
    path.write_bytes(pickle.dumps(content, protocol=2))


def batch(n, *, first, key=b"labels", classes=10):
    """Images whose first red byte is their number; green is 50 more, blue is 60 more."""
    data = np.zeros((n, PIXELS), dtype=np.uint8)
    data[:, 0] = np.arange(first, first + n)
    data[:, 1024], data[:, 2048] = data[:, 0] + 50, data[:, 0] + 60
    return {b"data": data, key: [k % classes for k in range(first, first + n)], b"filenames": [b"x.png"] * n}


def write_10(folder):
    folder.mkdir(parents=True)
    for number in range(5):
        dump(folder / f"data_batch_{number + 1}", batch(20, first=20 * number))
    dump(folder / "test_batch", batch(20, first=0))
    dump(folder / "batches.meta", {b"label_names": [f"kind {k}".encode() for k in range(10)], b"num_vis": 3072})
    return folder


def write_100(folder):
    folder.mkdir(parents=True)
    train = batch(200, first=0, key=b"fine_labels", classes=20) | {b"coarse_labels": [0] * 200}
    dump(folder / "train", train)
    dump(folder / "test", batch(40, first=0, key=b"fine_labels", classes=20))
    names = [f"kind {k}".encode() for k in range(20)]
    dump(folder / "meta", {b"fine_label_names": names, b"coarse_label_names": [b"any"]})
    return folder


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Hides this machine's own files."""
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


def test_cifar_10_has_its_images_upright_and_in_order(machine):
    write_10(machine / "cifar-10-batches-py")
    data = prepare("cifar10", folder=machine)
    assert data.image_shape == (32, 32, 3)
    assert data.classes == tuple(f"kind {k}" for k in range(10))
    arrays = cifar10.load(cifar10.find(machine))
    assert arrays.train_images.shape == (100, 32, 32, 3)
    assert arrays.train_images[:, 0, 0].tolist() == [[k, k + 50, k + 60] for k in range(100)]
    assert arrays.train_labels.tolist() == [k % 10 for k in range(100)]
    assert len(arrays.test_labels) == 20


def test_cifar_100_has_its_fine_labels(machine):
    write_100(machine / "cifar-100-python")
    arrays = cifar100.load(cifar100.find(machine))
    assert arrays.train_labels.tolist() == [k % 20 for k in range(200)]
    assert arrays.classes[19] == "kind 19"
    assert prepare("cifar100", folder=machine).train_images == 167


@pytest.mark.parametrize("inside", ["cifar-10-batches-py", "cifar-10-batches-py-target/cifar-10-batches-py"])
def test_keras_own_folders_are_looked_in(machine, inside):
    folder = write_10(machine / "keras" / "datasets" / inside)
    assert cifar10.find() == folder


def test_an_archive_is_unpacked_once(machine):
    write_10(machine / "made" / "cifar-10-batches-py")
    with tarfile.open(machine / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(machine / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    messages = []
    folder = cifar10.find(machine, say=messages.append)
    assert len(cifar10.load(folder).train_labels) == 100
    assert cifar10.find(machine, say=messages.append) == folder
    assert [line.split(" ")[0] for line in messages] == ["unpacking"]


def test_a_truncated_archive_is_said_and_leaves_nothing(machine):
    write_10(machine / "made" / "cifar-10-batches-py")
    archive = machine / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as members:
        members.add(machine / "made" / "cifar-10-batches-py", "cifar-10-batches-py")
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is truncated or damaged .*download it again"):
        cifar10.find(machine)
    assert not list((machine / "cache").rglob("*_batch*"))


def test_an_archive_that_leads_elsewhere_is_refused(machine):
    (machine / "evil").write_text("x")
    with tarfile.open(machine / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(machine / "evil", "../../evil")
    with pytest.raises(DataError, match="evil' points outside its folder"):
        cifar10.find(machine)


def test_a_folder_without_it_says_what_it_needs(machine):
    with pytest.raises(DataError, match=r"CIFAR-10 was not found in .*valid: .*cifar-10-python\.tar\.gz.*data_batch_1"):
        cifar10.find(machine)


class Evil:
    """Runs a command if it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(machine):
    folder = write_10(machine / "cifar-10-batches-py")
    dump(folder / "data_batch_3", {b"data": Evil(machine / "ran"), b"labels": []})
    with pytest.raises(DataError, match=r"data_batch_3 .*asks for (posix|nt)\.system"):
        cifar10.load(folder)
    assert not (machine / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated, damaged or not a CIFAR file"),
        (pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [0, 0]}, 2), "is not a file of CIFAR-10"),
        (pickle.dumps({b"labels": [0]}, 2), "is not a file of CIFAR-10: KeyError"),
        (pickle.dumps({b"data": np.zeros((2, PIXELS), np.uint8), b"labels": [0]}, 2), "has 2 images but 1 labels"),
        (pickle.dumps({b"data": None, b"labels": [0]}, 2), "data is not an array of images"),
        (pickle.dumps({b"data": np.full((1, PIXELS), 256), b"labels": [0]}, 2), "data is not an array of images"),
        (pickle.dumps({b"data": np.zeros((1, PIXELS)), b"labels": [0]}, 2), "holds an array of type 'f8'"),
        (pickle.dumps({b"data": IMAGE, b"labels": [1 << 64]}, 2), "labels is not a list of whole numbers"),
        (pickle.dumps({b"data": IMAGE, b"labels": [[0]]}, 2), "labels is not a list of whole numbers"),
        (pickle.dumps({b"data": IMAGE, b"labels": np.zeros((1, 1), int)}, 2), "labels is not a list of whole numbers"),
        (pickle.dumps([1], 2), "it holds a list"),
    ],
)
def test_a_damaged_file_is_named(machine, content, message):
    folder = write_10(machine / "cifar-10-batches-py")
    (folder / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=rf"test_batch.*{message}"):
        cifar10.load(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [([b"\xff"], "name is not UTF-8"), (["cat"], "not a list of names"), (7, "not a list of names")],
)
def test_damaged_names_of_classes_are_said(machine, names, message):
    folder = write_10(machine / "cifar-10-batches-py")
    dump(folder / "batches.meta", {b"label_names": names})
    with pytest.raises(DataError, match=rf"batches\.meta .*{message}"):
        cifar10.load(folder)


def test_a_file_of_many_bytes_is_not_read(machine):
    folder = write_10(machine / "cifar-10-batches-py")
    with (folder / "data_batch_2").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match=r"data_batch_2 has 1,099,511,627,776 bytes; valid .*at most 536,870,912"):
        cifar10.load(folder)
