"""A data set in a file .npz with Keras' names."""

import numpy as np
import pytest

from trainables.data.dataset import prepare
from trainables.data.datasets import npz
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))


def write(path, test=True, **changes):
    """Twenty images of each of three classes, and two of each to test."""
    arrays = {}
    for part, number in (("train", 20), ("test", 2)):
        arrays[f"y_{part}"] = np.repeat([0, 1, 2], number)
        shades = np.arange(3 * number, dtype=np.uint8) + (100 if part == "test" else 0)
        arrays[f"x_{part}"] = np.broadcast_to(shades[:, None, None], (3 * number, 4, 5)).copy()
    if not test:
        arrays = {name: array for name, array in arrays.items() if "test" not in name}
    np.savez(path, **(arrays | changes))
    return path


def test_a_file_is_a_data_set_by_either_name(tmp_path):
    path = write(tmp_path / "shapes.npz")
    for name in ("image_folder", "npz"):
        data = prepare(name, folder=path)
        assert (data.name, data.classes, data.image_shape) == ("npz", ("0", "1", "2"), (4, 5, 1))
        assert (data.train_images, data.validation_images, data.test_images) == (50, 10, 6)
    assert sorted(np.asarray(data.split(1).test.images)[:, 0, 0, 0].tolist()) == list(range(100, 106))


def test_without_a_test_part_a_sixth_is_taken_and_said(tmp_path):
    lines = []
    arrays = npz.load(write(tmp_path / "a.npz", test=False), say=lines.append)
    assert sorted(np.bincount(arrays.test_labels).tolist()) == [3, 3, 4]
    assert len(arrays.train_labels) == 50
    assert [line.rpartition(" has ")[2] for line in lines] == ["no x_test: a sixth of x_train is the test set"]


def test_a_folder_with_one_file(tmp_path):
    path = write(tmp_path / "a.npz")
    assert npz.find(tmp_path) == path
    write(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"has 2 files \.npz; valid: --data FILE\.npz"):
        npz.find(tmp_path)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"y_train": np.zeros(3)}, "x_train has 60 images, but y_train has 3 labels"),
        ({"x_test": np.zeros((6, 9, 9))}, r"images of \(4, 5, 1\) to train, but of \(9, 9, 1\) to test"),
        ({"y_test": np.array([0, 1, 2, 3, 4, 5])}, "y_test has the class 3, which y_train lacks"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, text):
    with pytest.raises(DataError, match=text):
        npz.load(write(tmp_path / "a.npz", **changes))


def test_names_that_are_missing(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    with pytest.raises(DataError, match="has no array x_train, but images; valid: x_train, y_train"):
        npz.load(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=np.zeros((2, 1, 1)), y_train=[0, 1], x_test=np.zeros((2, 1, 1)))
    with pytest.raises(DataError, match="has only one of x_test and y_test"):
        npz.load(tmp_path / "b.npz")


@pytest.mark.parametrize("folder", [None, "missing.npz"])
def test_no_file(tmp_path, folder):
    with pytest.raises(DataError, match=r"valid: --data FILE\.npz with x_train"):
        npz.find(folder and tmp_path / folder)
