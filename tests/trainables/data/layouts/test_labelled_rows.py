"""The list that labelled rows make: their order, their classes and their parts."""

from pathlib import Path

import pytest

from trainables.data.layouts.labelled_rows import LabelledRow, has_a_label_for_each_row, picture_list
from trainables.errors import DataError


def rows(*texts):
    """A row for each `name label part`; a part of `-` is none."""
    parts = (text.split() for text in texts)
    return [
        LabelledRow(path=Path(name), label=label, part=None if part == "-" else part) for name, label, part in parts
    ]


def listed(*texts, order=()):
    return picture_list(rows(*texts), Path("t.csv"), "by t.csv", ["a note"], order)


def test_pictures_are_sorted_by_part_class_and_natural_name():
    pictures = listed("10 b train", "9 b train", "8 a test", "1 a validation", "7 b test", "3 a train")
    assert [str(one.path) for one in pictures.pictures] == ["3", "9", "10", "1", "8", "7"]
    assert pictures.layout == "2 classes (a, b), by t.csv; train 3, validation 1, test 2"
    assert pictures.notes == ("validation has no picture of b", "a note")


def test_the_order_of_classes_that_a_file_gives_is_kept():
    pictures = listed("1 a -", "2 b -", order=("z", "b", "a"))
    assert pictures.classes == ("b", "a")
    assert pictures.notes == ("left out, since no picture is of it: class z", "a note")


@pytest.mark.parametrize("part", ["-", "test", "validation"])
def test_one_part_alone_is_no_part(part):
    pictures = listed(f"1 a {part}", f"2 b {part}")
    assert {one.part for one in pictures.pictures} == {"train"}
    assert pictures.layout.endswith("2 pictures, not in parts: a sixth is the test set")


def test_rows_without_a_part_are_trained_on_beside_others():
    assert [one.part for one in listed("1 a -", "2 b -", "3 a test").pictures] == ["train", "train", "test"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1 a validation", "2 b test"], "has no pictures of the train part"),
        (["1 a train", "2 a train", "3 b test"], "has one class only, a"),
        (["1 a train", "2 B train", "3 b test"], "the test part has the class b"),
        ([f"{index} {index} -" for index in range(20)], "20 pictures have 20 labels"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(texts, message):
    with pytest.raises(DataError, match=message):
        listed(*texts)


@pytest.mark.parametrize(("labels", "answer"), [(19, False), (20, True)])
def test_a_label_for_each_row_counts_from_some_rows_on(labels, answer):
    assert has_a_label_for_each_row([str(index) for index in range(labels)]) == answer
    assert not has_a_label_for_each_row([str(index // 2) for index in range(2 * labels)])
