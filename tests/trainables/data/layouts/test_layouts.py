"""What a person may give as --data: which kind it is, and what is said of what it cannot be."""

import os

import columnar
import picture_folders
import pytest
from layout_refusals import refusal

from trainables.data.layouts import layouts
from trainables.data.layouts.layouts import pictures_of
from trainables.data.pictures.columns import Columns


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing", "does not exist"),
        ("x.jpg", "is a picture, and no folder"),
        ("x.py", "is a file, and no folder"),
        ("pets.tar.gz", "is an archive; valid: the folder that it unpacks to"),
        ("pets.ZIP", "is an archive"),
        ("labels.xlsx", "is a spreadsheet; valid: the same, saved as CSV"),
        ("pipe", "is no file or folder"),
    ],
)
def test_what_is_no_folder_or_table_is_refused(tmp_path, name, text):
    if name == "pipe":
        os.mkfifo(tmp_path / name)
    elif name != "missing":
        (tmp_path / name).write_bytes(b"some bytes")
    assert text in refusal(tmp_path / name)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = columnar.write(tmp_path / "x.parquet", columnar.table(["a", "b"]))
    monkeypatch.setattr(layouts.os, "access", lambda *_: False)  # root may read everything
    assert "x.parquet may not be read" in refusal(path)


def test_the_order_of_pictures_depends_on_names_alone(tmp_path):
    picture_folders.folder(tmp_path / "one" / "b", 12, 0)
    picture_folders.folder(tmp_path / "one" / "a", 2, 1)
    pictures = pictures_of(tmp_path / "one")
    names = [str(one.path.relative_to(tmp_path / "one")) for one in pictures.pictures]
    assert names == ["a/0.png", "a/1.png", *(f"b/{index}.png" for index in range(12))]
    (tmp_path / "one").rename(tmp_path / "two")
    assert [str(one.path.relative_to(tmp_path / "two")) for one in pictures_of(tmp_path / "two").pictures] == names


def test_a_path_relative_to_the_present_folder(tmp_path, monkeypatch):
    picture_folders.few(tmp_path / "pets")
    monkeypatch.chdir(tmp_path / "pets" / "a")
    assert {one.path.parent for one in pictures_of(layouts.Path("..")).pictures} == {
        tmp_path / "pets" / "a",
        tmp_path / "pets" / "b",
    }


def test_columns_need_a_table(tmp_path):
    picture_folders.few(tmp_path)
    assert "has no table for --columns" in refusal(tmp_path, Columns(label="x"))


def test_an_empty_folder(tmp_path):
    assert "has no pictures with a class" in refusal(tmp_path)
