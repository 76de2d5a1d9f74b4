"""Parquet and Arrow files of pictures with labels: one, or the files that a data set is cut into."""

import columnar
import numpy as np
import pyarrow as pa
import pytest
from layout_refusals import refusal

from trainables.data.dataset import prepare
from trainables.data.layouts.layouts import pictures_of
from trainables.data.pictures.columns import Columns

NAMES = ["zebra", "ant"]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet"),
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow"),
        ("cats-train.arrow", "cats-test.arrow"),
    ],
)
def test_the_files_of_a_data_set_as_the_hub_and_its_caches_have_them(tmp_path, train, test):
    columnar.write(tmp_path / train, columnar.table([0, 1] * 4, NAMES))
    columnar.write(tmp_path / test, columnar.table([1, 0], NAMES))
    (tmp_path / "README.md").write_text("about")
    pictures = pictures_of(tmp_path)
    assert pictures.classes == ("zebra", "ant")  # in the order of the numbers that people know
    assert f"2 classes (zebra, ant), by {train.rpartition('/')[2]}"[:30] in pictures.layout
    assert pictures.layout.endswith("(columns image, label); train 8, test 2")
    assert [(one.part, one.label, one.row, one.column) for one in pictures.pictures[-2:]] == [
        ("test", 0, 1, "image"),
        ("test", 1, 0, "image"),
    ]
    assert pictures.notes == ("not used, since no picture: 1 (README.md)",)


def test_a_single_file_is_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERSWEEP_CACHE", str(tmp_path / "cache"))
    path = columnar.write(tmp_path / "pets.parquet", columnar.table(["cat", "dog"] * 24))
    data = prepare("image_folder", folder=path)
    assert (data.classes, data.image_shape, data.test_images) == (("cat", "dog"), (6, 8, 3), 8)
    train = data.split(1).train
    for label in (0, 1):
        shades = np.asarray(train.images)[train.labels == label].mean(axis=(1, 2))
        hue = columnar.HUES[sum(("cat", "dog")[label].encode()) % 6]
        assert np.abs(shades - np.array(hue)).max() < 20


def test_numbers_without_names_and_texts(tmp_path):
    assert pictures_of(columnar.write(tmp_path / "n.parquet", columnar.table([10, 9, 10]))).classes == ("9", "10")
    texts = columnar.table(["b", "a"], label="species")
    encoded = texts.set_column(1, "species", texts["species"].dictionary_encode())
    assert pictures_of(columnar.write(tmp_path / "t.parquet", encoded)).classes == ("a", "b")


def test_a_test_part_without_labels_is_said(tmp_path):
    columnar.write(tmp_path / "train-0.parquet", columnar.table([0, 1], NAMES))
    columnar.write(tmp_path / "test-0.parquet", columnar.table([-1, -1, -1], NAMES))
    pictures = pictures_of(tmp_path)
    assert len(pictures.pictures) == 2
    assert pictures.notes == ("test: 3 pictures without labels: not used",)


def test_a_class_without_a_picture_is_said(tmp_path):
    pictures = pictures_of(columnar.write(tmp_path / "t.parquet", columnar.table([0, 2], ["x", "y", "z"])))
    assert pictures.classes == ("x", "z")
    assert [one.label for one in pictures.pictures] == [0, 1]
    assert pictures.notes == ("left out, since no picture is of it: class y",)


def test_columns_are_named_if_several_could_be_meant(tmp_path):
    rows = columnar.table([0, 1], NAMES, image="img", label="fine_label", more={"coarse_label": pa.array([1, 1])})
    info = rows.schema.metadata[b"huggingface"].decode()
    coarse = info.replace(
        '"features": {', '"features": {"coarse_label": {"_type": "ClassLabel", "names": ["u", "v"]}, '
    )
    path = columnar.write(tmp_path / "train.parquet", rows.replace_schema_metadata({"huggingface": coarse}))
    assert "several columns that could be the labels: fine_label, coarse_label; valid: --columns label=NAME" in refusal(
        path
    )
    assert pictures_of(path, Columns(label="fine_label")).classes == ("zebra", "ant")
    assert "has one class only, v" in refusal(path, Columns(label="coarse_label"))
    assert "has no column 'x'; valid: img, fine_label, coarse_label" in refusal(path, Columns(label="x"))


def test_a_column_of_parts(tmp_path):
    rows = columnar.table([0, 1, 0], NAMES, more={"split": pa.array(["train", "train", "Test"])})
    assert [one.part for one in pictures_of(columnar.write(tmp_path / "a.parquet", rows)).pictures] == ["train"] * 2 + [
        "test"
    ]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (columnar.table([0, 5], NAMES), "row 1: there is no class 5; valid: 0 to 1"),
        (columnar.table([0, 1, -1], NAMES), "1 row of the train part without a label"),
        (columnar.table(["a", None, "b"]), "1 row of the train part without a label"),
        (columnar.table([1.5, 2.5]), "has no column of labels"),
        (columnar.table([0, 0], NAMES), "has one class only, zebra"),
        (pa.table({"text": ["x", "y"], "label": [0, 1]}), "has no column of pictures"),
        (pa.table({"image": pa.array([b"x", b"y"]), "mask": pa.array([b"x", b"y"])}), "has no column of labels"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, rows, text):
    assert text in refusal(columnar.write(tmp_path / "train.parquet", rows))


def test_files_of_two_data_sets_are_refused(tmp_path):
    columnar.write(tmp_path / "a.parquet", columnar.table([0, 1], NAMES))
    columnar.write(tmp_path / "b.parquet", columnar.table([0, 1], ["x", "y"]))
    assert "b.parquet has other columns or classes than a.parquet" in refusal(tmp_path)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but no more")
    assert "x.parquet cannot be read: " in refusal(tmp_path)
    assert "x.parquet cannot be read: " in refusal(tmp_path / "x.parquet")
