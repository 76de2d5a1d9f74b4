"""The line that says how files were understood, and the notes."""

from pathlib import Path

import pytest

from trainables.data.layouts.folder_tree import Folder
from trainables.data.layouts.layout_texts import (
    checked_number_of_classes,
    class_notes,
    layout_line,
    twin_hint,
    unused_notes,
)
from trainables.data.pictures.picture_list import Picture
from trainables.errors import DataError


def pictures(**numbers):
    return [Picture(path=Path("x"), label=0, part=part) for part, number in numbers.items() for _ in range(number)]


def test_the_line():
    names = {"test": "Test/", "train": "Train/"}
    assert layout_line(["a", "b"], "a folder each", pictures(train=1200, test=3), names) == (
        "2 classes (a, b), a folder each; Train/ 1,200, Test/ 3"
    )
    assert layout_line(["a", "b"], "a folder each", pictures(train=1)) == (
        "2 classes (a, b), a folder each; 1 picture, not in parts: a sixth is the test set"
    )


def test_names_of_classes_do_not_break_the_line():
    line = layout_line(["a\nb", "c" * 1000], "a folder each", pictures(train=2))
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize(("classes", "text"), [([], "has no pictures with a class"), (["a"], "has one class only, a")])
def test_too_few_classes(classes, text):
    with pytest.raises(DataError, match=text):
        checked_number_of_classes(Path("pets"), classes)


def test_notes_on_classes():
    assert list(class_notes(["0", "1", "2"])) == []
    assert list(class_notes(["1", "a"])) == []
    assert list(class_notes(["3", "5"])) == [
        "the classes are counted from 0 in the order of their names: 0 is '3', 1 is '5'"
    ]
    assert list(class_notes(["Cat", "cat"])) == [
        "Cat, cat are different classes, though their names differ in case only"
    ]
    assert twin_hint("CAT", ["cat", "dog"]) == " (there is cat, which differs in case only)"
    assert not twin_hint("bird", ["cat"])


def test_notes_on_what_is_not_used_are_few():
    folders = [
        Folder(path=Path(f"r/f{index}"), pictures=["1.png"], others=["x"], hidden=[".y"]) for index in range(100)
    ]
    root = Folder(path=Path("r"), folders=folders)
    assert list(unused_notes(root, [Path("r/f0/1.png")], {}, [Path("r/f0/x")])) == [
        "not used: 99 pictures in f1/, f2/, f3/, …, in no folder of a class",
        "not used, since no picture: 99 (f1/x, f2/x, f3/x, …)",
        "not used, since hidden, or of a system: 100 (f0/.y, f1/.y, f2/.y, …)",
    ]
