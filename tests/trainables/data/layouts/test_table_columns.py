"""Which columns of a table are which: by usual names, by content, as the only ones that fit, or refused."""

from pathlib import Path

import pytest

from trainables.data.layouts.file_index import FileIndex
from trainables.data.layouts.folder_tree import read_tree
from trainables.data.layouts.label_tables import Table
from trainables.data.layouts.table_columns import labelled_table
from trainables.data.pictures.columns import Columns
from trainables.errors import DataError


@pytest.fixture
def index(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture")
    return FileIndex.of(read_tree(tmp_path))


def table(names, *rows):
    return Table(path=Path("t.csv"), names=names, rows=rows, lines=range(2, 2 + len(rows)))


def columns_of(result):
    return tuple(result.table.names[place] for place in (result.file, *result.label))


@pytest.mark.parametrize(
    "name", ["file_name", "filename", "image", "Image ID", "id_code", "path", "img", "id", "Datei"]
)
def test_the_column_of_files(index, name):
    result = labelled_table(table((name, "x", "label"), ("0.jpg", "u", "a"), ("1.jpg", "v", "b")), index, Columns())
    assert columns_of(result) == (name, "label")


@pytest.mark.parametrize("name", ["label", "Class", "category", "target", "species", "breed", "dx", "kind", "Sorte"])
def test_the_column_of_labels(index, name):
    rows = [(f"{number}.jpg", str(number * 7.5), "ab"[number % 2]) for number in range(6)]
    assert columns_of(labelled_table(table(("id", "weight", name), *rows), index, Columns())) == ("id", name)


def test_numbers_that_are_labels_are_not_taken_for_files(index):
    """Both columns name files by their stem: the one with the usual name counts."""
    rows = [("0", "1"), ("1", "0"), ("2", "1")]
    assert columns_of(labelled_table(table(("id", "label"), *rows), index, Columns())) == ("id", "label")


def test_names_of_classes_are_preferred_to_their_numbers(index):
    rows = [("0.jpg", "3", "cat"), ("1.jpg", "5", "dog"), ("2.jpg", "3", "cat")]
    assert (
        columns_of(labelled_table(table(("file", "class_id", "label_name"), *rows), index, Columns()))[1]
        == "label_name"
    )


@pytest.mark.parametrize(
    ("names", "rows", "text"),
    [
        (("file", "label", "species"), [("0.jpg", "a", "x"), ("1.jpg", "a", "y")], "label, species could all be"),
        (("a", "b", "c"), [("0.jpg", "1.jpg", "x"), ("2.jpg", "3.jpg", "y")], "the columns a, b name files"),
        (("file", "u", "v"), [("0.jpg", "p", "q"), ("1.jpg", "p", "q")], "no column is plainly the labels"),
        (("file", "label"), [("a.jpg", "p"), ("b.jpg", "q")], "names no file below"),
        (("file",), [("0.jpg",), ("1.jpg",)], "has one column only"),
    ],
)
def test_what_is_not_plain_is_refused_with_the_flag_that_says_it(index, names, rows, text):
    with pytest.raises(DataError) as error:
        labelled_table(table(names, *rows), index, Columns())
    assert text in str(error.value)
    assert "valid: " in str(error.value)


def test_a_column_of_other_values_is_not_of_parts_unless_named(index):
    given = table(("file", "label", "set"), ("0.jpg", "a", "A"), ("1.jpg", "b", "train"))
    assert labelled_table(given, index, Columns()).part is None
    with pytest.raises(DataError, match=r"t\.csv, line 2: 'A' is no part; valid: train, validation or test"):
        labelled_table(given, index, Columns(part="set"))


def test_columns_of_0_and_1_are_one_label(index):
    rows = [("0.jpg", "1.0", "0.0"), ("1.jpg", "0", "1")]
    assert labelled_table(table(("file", "healthy", "rust"), *rows), index, Columns()).labels == ["healthy", "rust"]
    with pytest.raises(DataError, match="no column is plainly the labels"):
        labelled_table(table(("file", "u", "v"), *rows, ("2.jpg", "1", "1")), index, Columns())
