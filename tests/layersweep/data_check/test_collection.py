"""The pictures of a data set, whatever they come from."""

import io

import numpy as np
import picture_folders
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from layersweep.data_check.collection import collection
from trainables.data.dataset import prepare
from trainables.data.pictures.picture_list import Fitting
from trainables.data.pictures.variants import PictureOptions
from trainables.errors import DataError


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))


def pictures_of(folder):
    return collection("image_folder", folder, None, lambda _: None)


def test_counts_by_class_and_part(tmp_path):
    pictures = pictures_of(picture_folders.three_parts(tmp_path / "data"))
    assert pictures.classes == ("cats", "dogs")
    assert pictures.counts.tolist() == [[60, 20, 20], [60, 20, 20]]
    assert not pictures.draws_test
    assert pictures.problem == ""
    assert pictures.names[0] == "train/cats/0.png"


def test_without_a_test_part_it_has_the_one_that_training_draws(tmp_path):
    folder = picture_folders.imbalance(tmp_path / "data")
    pictures = pictures_of(folder)
    data = prepare("image_folder", folder=folder, say=lambda _: None)
    assert pictures.draws_test
    assert pictures.counts[:, 2].tolist() == np.bincount(data.labels("test")).tolist()
    assert pictures.counts[:, 0].tolist() == np.bincount(data.labels("train")).tolist()


@pytest.mark.parametrize("fitting", [Fitting(), Fitting(image_size=20, fit="crop"), Fitting(image_size=16, fit="pad")])
def test_images_are_the_rows_that_training_reads(tmp_path, fitting):
    folder = tmp_path / "data"
    for part in ("train", "test"):
        for hue, name in enumerate(("a", "b")):
            picture_folders.folder(folder / part / name, 12, hue, size=(40, 30))
            picture_folders.folder(folder / part / name / "more", 5, hue + 2, "jpg", size=(30, 50))
    (folder / "train" / "a" / "3.png").write_bytes((folder / "train" / "a" / "3.png").read_bytes()[:200])
    pictures = pictures_of(folder)
    options = PictureOptions(fittings=(fitting,))
    data = prepare("image_folder", folder=folder, say=lambda _: None, pictures=options)
    images = pictures.images(range(len(pictures.names)), fitting)
    np.testing.assert_array_equal(images[pictures.parts == 0], data.images("train"))
    np.testing.assert_array_equal(images[pictures.parts == 2], data.images("test"))
    assert len(pictures.damages) == 1


def test_damaged_files_are_named_with_the_reason(tmp_path):
    folder = picture_folders.few(tmp_path / "data")
    whole = (folder / "a" / "3.png").read_bytes()
    (folder / "a" / "3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "page.jpg").write_text("<html>")
    pictures = pictures_of(folder)
    assert sorted(name for name, _ in pictures.damages) == ["a/3.png", "b/page.jpg"]
    assert all(reason for _, reason in pictures.damages)
    assert len(pictures.names) == 29


def test_a_class_that_is_too_small_is_a_problem(tmp_path):
    pictures = pictures_of(picture_folders.rare_class(tmp_path / "data"))
    assert "'c'" in pictures.problem
    assert "classes=without:c" in pictures.problem


def test_arrays_are_a_collection_too(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 9, 3), dtype=np.uint8)
    labels = np.arange(60) % 3
    np.savez(tmp_path / "set.npz", x_train=images[:48], y_train=labels[:48], x_test=images[48:], y_test=labels[48:])
    pictures = pictures_of(tmp_path / "set.npz")
    assert pictures.title == "set.npz"
    assert pictures.counts[:, [0, 2]].tolist() == [[16, 4]] * 3
    np.testing.assert_array_equal(pictures.images([0, 50], Fitting()), images[[0, 50]])
    assert pictures.native == (9, 8)


def test_pictures_in_parquet_are_named_by_their_rows(tmp_path):
    contents = []
    for hue in range(2):
        for seed in range(12):
            content = io.BytesIO()
            picture_folders.picture(hue, seed).save(content, "PNG")
            contents.append({"bytes": content.getvalue(), "path": None})
    labels = ["red"] * 12 + ["green"] * 12
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"image": contents, "label": labels}), tmp_path / "data" / "train.parquet")
    pictures = pictures_of(tmp_path / "data")
    assert sorted(pictures.names)[:2] == ["train.parquet, row 0", "train.parquet, row 1"]
    assert pictures.counts.sum(1).tolist() == [12, 12]
    index = pictures.names.index("train.parquet, row 13")
    expected = np.asarray(picture_folders.picture(1, 1))
    np.testing.assert_array_equal(pictures.images([index], Fitting())[0], expected)


def test_one_class_is_refused(tmp_path):
    picture_folders.folder(tmp_path / "data" / "cats", 5, 0)
    with pytest.raises(DataError, match="class"):
        pictures_of(tmp_path / "data")
