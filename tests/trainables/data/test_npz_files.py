"""Files .npz from strangers: ranges, shapes, labels, and what is refused before it is read."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from trainables.data import npz_files
from trainables.data.npz_files import indices, labels, read_arrays, whole_images
from trainables.errors import DataError


def refusal(read, *arguments):
    with pytest.raises(DataError) as error:
        read(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(6), y=np.array(["a"]))
    return tmp_path / "a.npz"


def test_arrays_by_name(file):
    arrays = read_arrays(file, ["x"], ["y", "z"])
    assert {name: array.tolist() for name, array in arrays.items()} == {"x": [0, 1, 2, 3, 4, 5], "y": ["a"]}
    assert "has no array z, but x, y; valid: x, z" in refusal(read_arrays, file, ["x", "z"])


@pytest.mark.parametrize("cut", [0, 10, 200, -40])
def test_a_damaged_file_is_refused(file, cut):
    file.write_bytes(file.read_bytes()[:cut])
    assert "is damaged, or is no .npz of numbers" in refusal(read_arrays, file, ["x"])


def test_no_code_of_a_stranger_runs(tmp_path):
    class Stranger:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    array = np.empty(1, dtype=object)
    array[0] = Stranger()
    np.savez(tmp_path / "a.npz", x=array, allow_pickle=True)
    assert "x has objects of Python" in refusal(read_arrays, tmp_path / "a.npz", ["x"])
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Stranger()))
    assert "is damaged" in refusal(read_arrays, tmp_path / "b.npz", ["x"])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shape", [(1 << 40,), (10**9, 10**9, 10**9), (7,), (-1,)])
def test_a_header_that_promises_another_size_is_refused(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(48))
    assert "is not as long as its header says" in refusal(read_arrays, tmp_path / "a.npz", ["x"])


def test_an_archive_that_unfolds_to_more_than_memory_is_refused(file, monkeypatch):
    monkeypatch.setattr(npz_files, "memory_bytes", lambda: 100)
    assert "has arrays of 176 bytes; valid: at most 50 on this machine" in refusal(read_arrays, file, ["x"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.array([0, 51, 255], np.uint8), []),
        (np.array([0, 51, 255], np.int64), ["int64 of 0 to 255"]),
        (np.array([0, 0.2, 1], np.float32), ["float32 of 0 to 1"]),
        (np.array([0, 51.2, 254.9], np.float64), ["float64 of 0 to 255"]),
    ],
)
def test_the_range_of_images(values, said):
    lines = []
    shaped = np.tile(values, 4).reshape(3, 2, 2)
    images = whole_images(shaped, shaped, "x", lines.append)
    assert (images.dtype, images.shape) == (np.uint8, (3, 2, 2, 1))
    assert sorted(set(images.ravel().tolist())) == [0, 51, 255]
    assert [line.split(": ")[1].partition(" become")[0] for line in lines] == said


def test_test_images_have_the_range_of_the_training_images():
    train = np.array([0.0, 255.0]).reshape(2, 1, 1)
    assert whole_images(train * 0 + 1, train, "x", print).max() == 1


def test_channels_that_come_first_are_put_last():
    images = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    lines = []
    assert whole_images(images, images, "x", lines.append).tolist() == np.moveaxis(images, 1, -1).tolist()
    assert lines == ["x: the channels come first, and are put last"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.zeros((4, 9)), "has float64 of shape (4, 9)"),
        (np.zeros((0, 2, 2)), "of shape (0, 2, 2)"),
        (np.zeros((4, 2, 2), "U1"), "has <U1 of shape"),
        (np.zeros((4, 5, 5, 4)), "has 4 channels; valid: 1 or 3"),
        (np.full((4, 5, 5), -1.0), "has values of -1 to -1; valid: 0 to 255, or floats of 0 to 1"),
        (np.full((4, 5, 5), np.nan), "has values of nan to nan"),
        (np.full((4, 5, 5), 256), "has values of 256 to 256"),
    ],
)
def test_what_is_no_image(values, text):
    assert text in refusal(whole_images, values, values, "x", print)


@pytest.mark.parametrize(
    "values",
    [
        np.array([2, 0, 1]), np.array([[2], [0], [1]]), np.array([2.0, 0.0, 1.0]), np.array(["2", "0", "1"]),
        np.array([b"2", b"0", b"1"]), np.eye(3)[[2, 0, 1]], np.eye(3, dtype=bool)[[2, 0, 1]],
    ],
)  # fmt: skip
def test_labels(values):
    assert labels(values, "y") == ["2", "0", "1"]


@pytest.mark.parametrize(
    "values",
    [np.ones((3, 3)), np.array([0.5, 1]), np.array([np.nan]), np.zeros((2, 2, 2)), np.array([]), np.array([1j])],
)
def test_what_is_no_label(values):
    assert "y has " in refusal(labels, values, "y")


def test_indices():
    classes, train, test = indices(["10", "9", "10"], ["9"], None, "f")
    assert (classes, train.tolist(), test.tolist()) == (("9", "10"), [1, 0, 1], [0])
    assert indices(["0", "1"], ["0"], np.array(["cat", "dog"]), "f")[0] == ("cat", "dog")
    assert "y_train has one class only" in refusal(indices, ["1", "1"], ["1"], None, "f")
    assert "y_test has the class 3, which y_train lacks" in refusal(indices, ["1", "2"], ["3"], None, "f")
    assert "class_names are not a text for each label" in refusal(indices, ["1", "2"], [], np.array(["a", "b"]), "f")
