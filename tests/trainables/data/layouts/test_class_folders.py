"""Pictures whose folder is their class: what is understood, what is said of the rest, and what is refused."""

import re
from collections import Counter

import pytest
from layout_refusals import refusal

from tests.helpers import picture_folders
from trainables.data.layouts.layouts import pictures_of


def files(root, numbers, suffix="jpg"):
    """Files of pictures that nobody decodes: folders, and how many in each."""
    for folder, number in numbers.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            (root / folder / f"{index}.{suffix}").write_bytes(b"picture")
    return root


def sizes(pictures):
    """The number of pictures of each class in each part."""
    return Counter((one.part, pictures.classes[one.label]) for one in pictures.pictures)


def test_parts_are_used_as_they_are(tmp_path):
    two = pictures_of(picture_folders.split_folders(tmp_path / "two"))
    sixth = "no test part: a sixth of train/ is the test set"
    assert two.layout == f"2 classes (cats, dogs), a folder each; train/ 120, validation/ 40, {sixth}"
    three = pictures_of(picture_folders.three_parts(tmp_path / "three"))
    assert three.layout == "2 classes (cats, dogs), a folder each; train/ 120, val/ 40, test/ 40"
    assert sizes(three) == {
        (part, name): n for part, n in (("train", 60), ("validation", 20), ("test", 20)) for name in ("cats", "dogs")
    }
    assert not two.notes + three.notes
    assert {one.path.parent.parent.name for one in three.pictures if one.part == "validation"} == {"val"}


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        # Intel's scenes on Kaggle: each part in a folder of its own name, and pictures to predict.
        (("seg_train/seg_train", "seg_test/seg_test"), "seg_train/ 4, seg_test/ 4"),
        # Cats and dogs on Kaggle.
        (("training_set/training_set", "test_set/test_set"), "training_set/ 4, test_set/ 4"),
        # ImageNet, as in huggingface/datasets issue 4015.
        (("imagenet/train", "imagenet/val"), "train/ 4, val/ 4, no test part: a sixth of train/ is the test set"),
        (("Data/TRAIN", "Data/Testing"), "TRAIN/ 4, Testing/ 4"),
        (
            ("dataset/dataset/train", "dataset/dataset/dev"),
            "train/ 4, dev/ 4, no test part: a sixth of train/ is the test set",
        ),
    ],
)
def test_parts_under_the_names_and_within_the_folders_that_archives_have(tmp_path, folders, line):
    root = files(tmp_path / "data", {f"{folder}/{name}": 2 for folder in folders for name in ("forest", "sea")})
    assert pictures_of(root).layout == f"2 classes (forest, sea), a folder each; {line}"


@pytest.mark.parametrize("folder", ["test", "Test", "testing", "test/test_folder", "test/all_images"])
def test_flat_pictures_to_test_are_named_and_not_used(tmp_path, folder):
    """Keras' flow_from_directory needs a folder around them, so that many people have one."""
    root = files(tmp_path, {"train/a": 4, "train/b": 4, folder: 3})
    pictures = pictures_of(root)
    assert sizes(pictures) == {("train", "a"): 4, ("train", "b"): 4}
    assert pictures.layout.endswith("train/ 8, no test part: a sixth of train/ is the test set")
    (note,) = pictures.notes
    text = "without labels (with a table of their names and labels they are the test part)"
    assert note == f"not used: 3 pictures in {folder}/, {text}"


def test_the_issues_flat_pictures_to_test(tmp_path):
    pictures = pictures_of(picture_folders.unlabelled_test(tmp_path))
    assert len(pictures.pictures) == 80
    assert "not used: 20 pictures in test/" in pictures.notes[0]


def test_every_format_is_a_class(tmp_path):
    pictures = pictures_of(picture_folders.formats(tmp_path))
    assert sizes(pictures) == {("train", name): 40 for name in ("cats", "dogs", "owls")}


@pytest.mark.parametrize("suffix", ["HEIC", "JPG", "tif"])
def test_a_class_of_any_suffix_stays(tmp_path, suffix):
    files(tmp_path, {"cats": 2, "dogs": 2})
    files(tmp_path, {"owls": 2}, suffix)
    assert pictures_of(tmp_path).classes == ("cats", "dogs", "owls")


def test_pictures_are_known_by_content_if_not_by_suffix(tmp_path):
    for hue, name in enumerate(("a", "b")):
        picture_folders.folder(tmp_path / name, 3, hue)
        (tmp_path / name / "0.png").rename(tmp_path / name / "0.txt")
        (tmp_path / name / "1.png").rename(tmp_path / name / "1")
        (tmp_path / name / "list.txt").write_text("not a picture")
    pictures = pictures_of(tmp_path)
    assert [one.path.name for one in pictures.pictures] == ["0.txt", "1", "2.png"] * 2
    assert pictures.notes == ("not used, since no picture: 2 (a/list.txt, b/list.txt)",)


def test_a_small_class_is_listed(tmp_path):
    assert sizes(pictures_of(picture_folders.rare_class(tmp_path)))["train", "c"] == 1


def test_numbers_are_in_the_order_of_their_values(tmp_path):
    pictures = pictures_of(picture_folders.numbered(tmp_path))
    assert pictures.classes == tuple(map(str, range(11)))
    assert {one.label for one in pictures.pictures if one.path.parent.name == "10"} == {10}
    assert not pictures.notes  # each name is its own index


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (("1", "2", "10"), "0 is '1', 1 is '2', 2 is '10'"),
        (("-1", "0", "1"), "0 is '-1', 1 is '0', 2 is '1'"),
        (("007", "8"), "0 is '007', 1 is '8'"),
    ],
)
def test_numbers_that_are_no_indices_are_said(tmp_path, names, pairs):
    pictures = pictures_of(files(tmp_path, dict.fromkeys(names, 1)))
    assert pictures.classes == names
    assert pictures.notes == (f"the classes are counted from 0 in the order of their names: {pairs}",)


def test_long_lists_of_classes_are_shortened(tmp_path):
    names = [f"n{index}" for index in range(200)]
    pictures = pictures_of(files(tmp_path, dict.fromkeys(names, 1)))
    assert pictures.layout.startswith("200 classes (n0, n1, n2, n3, n4, n5, n6, n7, …), a folder each; 200 pictures")
    assert pictures.classes == tuple(names)


@pytest.mark.parametrize(
    "strays",
    [
        [".ipynb_checkpoints/0-checkpoint.jpg"],  # tensorflow issue 46595
        ["__MACOSX/cats/._0.jpg", "cats/._0.jpg"],
        ["cats/Thumbs.db", "cats/desktop.ini", ".DS_Store"],
        ["@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg"],
    ],
)
def test_what_systems_leave_is_no_class_and_no_picture(tmp_path, strays):
    files(tmp_path, {"cats": 2, "dogs": 2})
    for stray in strays:
        (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / stray).write_bytes(b"picture")
    pictures = pictures_of(tmp_path)
    assert sizes(pictures) == {("train", "cats"): 2, ("train", "dogs"): 2}
    assert re.fullmatch(rf"not used, since hidden, or of a system: {len(strays)} \(.+\)", pictures.notes[0])


def test_everything_that_is_not_used_is_said(tmp_path):
    files(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1, "train": 1, "unlabelled": 4, "": 1})
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.md").write_text("about")
    assert pictures_of(tmp_path).notes == (
        "not used: 1 picture in ./, beside the folders",
        "not used: 5 pictures in train/, unlabelled/, in no folder of a class",
        "not used, since no picture: 1 (README.md)",
        "not used, since empty: 1 (notes/)",
    )


@pytest.mark.parametrize("part", ["", "chest_xray/"])
def test_an_archive_that_holds_itself_again_is_used_once(tmp_path, part):
    """Kaggle's cell_images and chest_xray."""
    names = ("Parasitized", "Uninfected")
    parts = [f"{part}{name}" for name in ("train/", "test/")] if part else ["cell_images/"]
    again = [f"{part or 'cell_images/'}{one}" for one in parts]
    root = files(tmp_path / "data", {f"{one}{name}": 2 for one in (*parts, *again) for name in names})
    pictures = pictures_of(root)
    assert pictures.classes == names
    assert len(pictures.pictures) == 4 * len(parts)
    assert f"not used: {4 * len(parts)} pictures in " in pictures.notes[0]


def test_a_class_may_be_named_as_a_part(tmp_path):
    vehicles = pictures_of(files(tmp_path / "flat", {"car": 2, "plane": 2, "train": 2}))
    assert vehicles.classes == ("car", "plane", "train")
    deep = pictures_of(files(tmp_path / "deep", {"car/old": 2, "train/steam": 2, "train/diesel": 1}))
    assert deep.classes == ("car", "train")
    split = pictures_of(files(tmp_path / "split", {f"{p}/{c}": 2 for p in ("train", "test") for c in ("car", "train")}))
    assert sizes(split) == {(p, c): 2 for p in ("train", "test") for c in ("car", "train")}
    lab = pictures_of(files(tmp_path / "lab", {"test tube/glass": 1, "dev board/arm": 1, "pipette": 1}))
    assert lab.classes == ("dev board", "pipette", "test tube")


def test_folders_in_a_class_belong_to_it(tmp_path):
    pictures = pictures_of(files(tmp_path, {"cats/indoor": 2, "cats/outdoor": 1, "dogs": 3}))
    assert sizes(pictures) == {("train", "cats"): 3, ("train", "dogs"): 3}
    assert pictures.notes == (
        "pictures in folders of a class folder belong to that class, such as those in cats/indoor/",
    )


def test_a_class_that_is_missing_to_test_is_said(tmp_path):
    pictures = pictures_of(files(tmp_path, {"train/a": 2, "train/b": 2, "test/a": 2, "val/b": 1}))
    assert pictures.notes == ("val/ has no picture of a", "test/ has no picture of b")


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        ({"a": 3}, "has one class only, a"),
        ({"train/a": 3, "test/a": 1}, "has one class only, a"),
        ({"": 3}, "has no pictures with a class"),
        ({"a": 2, "b": 2, "c": 0, "d": 0}, "/c (and d/) is empty"),
        ({"train/a": 2, "train/b": 2, "train/c": 0, "test/a": 1, "test/b": 1}, "train/c is empty"),
        (
            {"train/a": 2, "train/b": 2, "test/a": 1, "test/c": 1},
            "test/c is a class of the test part that train/ lacks",
        ),
        ({"train/Cats": 2, "train/Dogs": 2, "test/cats": 1}, "lacks (there is Cats, which differs in case only)"),
        ({"train/caf\u00e9": 2, "train/b": 2, "val/cafe\u0301": 1}, "(there is caf\u00e9, which differs in case only)"),
        ({"train": 3, "test": 3}, "has test/, but train/ has no class folders"),
        ({"train": 3, "test/a": 3, "test/b": 1}, "has test/, but train/ has no class folders"),
        ({"val/a": 1, "val/b": 1, "test/a": 1, "test/b": 1}, "has test/, val/, but there is no train/"),
        (
            {"train/a": 1, "train/b": 1, "val/a": 1, "validation/a": 1},
            "has 2 folders for the validation part: val, validation",
        ),
        ({"train/a": 3, "train/b": 3, "Train/a": 1, "Train/b": 1}, "has 2 folders for the train part: Train, train"),
        (
            {"train/a": 3, "train/b": 3, "training/a": 1, "training/b": 1},
            "has 2 folders for the train part: train, training",
        ),
        (
            {"cats/train": 3, "cats/test": 1, "dogs/train": 3, "dogs/test": 1},
            "has parts within its classes: cats/test/, cats/train/",
        ),
        (
            {"x/a/TRAIN": 3, "x/a/Val": 1, "x/b/TRAIN": 3, "x/b/Val": 1},
            "has parts within its classes: a/TRAIN/, a/Val/",
        ),
        ({"images": 3, "masks": 3}, "has images/, masks/, which name no classes"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path, folders, text):
    assert text in refusal(files(tmp_path, folders))


def test_names_that_differ_in_case_only_within_a_part_are_two_classes_and_said(tmp_path):
    """Handwritten letters have such classes."""
    pictures = pictures_of(files(tmp_path, {"A": 1, "a": 1, "b": 1}))
    assert pictures.classes == ("A", "a", "b")
    assert pictures.notes == ("A, a are different classes, though their names differ in case only",)
