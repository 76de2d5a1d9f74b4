"""Pictures that a table labels: layouts of Kaggle and Hugging Face, and rows that cannot be meant."""

from collections import Counter

import pytest
from layout_refusals import refusal

from trainables.data.layouts.layouts import pictures_of
from trainables.data.pictures.columns import Columns


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"picture")
    return root


def table(root, *lines, name="labels.csv"):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n")
    return root / name


def labels(pictures):
    """The class and part of each file, by its name."""
    return {one.path.name: (pictures.classes[one.label], one.part) for one in pictures.pictures}


@pytest.fixture
def four(tmp_path):
    """Four files in img/, in a folder named `data`."""
    return files(tmp_path / "data", *(f"img/{index}.jpg" for index in range(4)))


ROWS = ("img/0.jpg,a", "img/1.jpg,b", "img/2.jpg,b", "img/3.jpg,a")


@pytest.mark.parametrize("direct", [True, False])
def test_ids_without_suffix_and_a_folder_beside_as_kaggles_dog_breeds(tmp_path, direct):
    root = files(tmp_path, *(f"{part}/{key}.jpg" for part in ("train", "test") for key in ("0a", "1b", "2c", "3d")))
    path = table(root, "id,breed", "0a,pug", "1b,pug", "2c,chow", "3d,chow")
    table(root, "id,chow,pug", "0a,0.5,0.5", name="sample_submission.csv")
    pictures = pictures_of(path if direct else root)
    assert labels(pictures)["2c.jpg"] == ("chow", "train")
    assert {one.path.parent.name for one in pictures.pictures} == {"train"}
    sixth = "no test part: a sixth of train is the test set"
    assert pictures.layout == f"2 classes (chow, pug), by labels.csv (columns id, breed); train 4, {sixth}"
    assert pictures.notes == (
        "not used: 4 pictures in test/, without a label in labels.csv",
        "not used, since no picture: 1 (sample_submission.csv)",
    )


def test_one_column_for_each_class_and_pictures_to_test_in_the_same_folder_as_kaggles_plants(tmp_path):
    root = files(tmp_path, *(f"images/{part}_{index}.jpg" for part in ("Train", "Test") for index in (0, 1, 2)))
    table(root, "image_id,healthy,rust,scab", "Train_0,1,0,0", "Train_1,0,1,0", "Train_2,0,0,1", name="train.csv")
    table(root, "image_id", "Test_0", "Test_1", "Test_2", name="test.csv")
    pictures = pictures_of(root)
    assert labels(pictures) == {
        "Train_0.jpg": ("healthy", "train"), "Train_1.jpg": ("rust", "train"), "Train_2.jpg": ("scab", "train"),
    }  # fmt: skip
    assert "3 pictures that another table names, without labels: not used" in pictures.notes


def test_numbers_of_several_parts_are_those_of_the_train_folder_as_kaggles_cifar(tmp_path):
    root = files(tmp_path, *(f"{part}/{index}.png" for part in ("train", "test") for index in (1, 2, 3)))
    table(root, "id,label", "1,frog", "2,cat", "3,cat", name="trainLabels.csv")
    assert {one.path.parent.name for one in pictures_of(root).pictures} == {"train"}


def test_pictures_in_two_folders_and_many_columns_as_in_ham10000(tmp_path):
    root = files(tmp_path, *(f"HAM_part_{index % 2 + 1}/ISIC_{index}.jpg" for index in range(8)))
    rows = [f"HAM_{index},ISIC_{index},{('nv', 'mel')[index % 4 == 0]},histo,50.0" for index in range(8)]
    table(root, "lesion_id,image_id,dx,dx_type,age", *rows, name="HAM10000_metadata.csv")
    pictures = pictures_of(root)
    assert pictures.layout.startswith(
        "2 classes (mel, nv), by HAM10000_metadata.csv (columns image_id, dx); 8 pictures"
    )


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_hugging_faces_metadata_in_each_part(tmp_path, kind):
    for part, n in (("train", 4), ("test", 2)):
        files(tmp_path, *(f"{part}/{part}{index}.png" for index in range(n)))
        rows = [(f"{part}{index}.png", index % 2) for index in range(n)]
        lines = [f'{{"file_name": "{name}", "label": {label}}}' for name, label in rows]
        lines = lines if kind == "jsonl" else ["file_name,label", *(f"{name},{label}" for name, label in rows)]
        table(tmp_path, *lines, name=f"{part}/metadata.{kind}")
    pictures = pictures_of(tmp_path)
    assert labels(pictures)["test1.png"] == ("1", "test")
    assert "; train 4, test 2" in pictures.layout
    assert not pictures.notes


def test_a_table_for_each_part_beside_one_folder(four):
    for name, rows in (("train.csv", ROWS[:2]), ("val.csv", ROWS[2:3]), ("test.csv", ROWS[3:])):
        table(four, "path,class", *rows, name=name)
    assert labels(pictures_of(four)) == {
        "0.jpg": ("a", "train"), "1.jpg": ("b", "train"), "2.jpg": ("b", "validation"), "3.jpg": ("a", "test"),
    }  # fmt: skip


@pytest.mark.parametrize("column", ["split", "Set", "data set", "partition"])
def test_a_column_of_parts(four, column):
    rows = [f"{row},{part}" for row, part in zip(ROWS, ("Train", "training", "valid", "TEST"), strict=True)]
    pictures = pictures_of(table(four, f"file,label,{column}", *rows))
    assert [one.part for one in pictures.pictures] == ["train", "train", "validation", "test"]
    assert pictures.notes == ("validation has no picture of a", "test has no picture of b")


def test_a_table_that_repeats_the_folders_is_not_needed(tmp_path):
    """Kaggle's hundred sports: the table's names and parts are those of the folders."""
    places = [
        f"{part}/{name}/{index}.jpg" for part in ("train", "test") for name in ("golf", "polo") for index in (1, 2)
    ]
    root = files(tmp_path, *places)
    rows = [f"{('golf', 'polo').index(place.split('/')[1])},{place},{place.split('/')[1]}" for place in places]
    path = table(root, "class id,filepaths,labels", *rows, name="sports.csv")
    by_folders, by_table = pictures_of(root), pictures_of(path)
    assert "a folder each" in by_folders.layout
    assert "by sports.csv (columns filepaths, labels)" in by_table.layout
    assert by_table.pictures == by_folders.pictures


def test_a_table_adds_the_parts_that_class_folders_do_not_have(tmp_path):
    places = [f"images/{name}/{index}.jpg" for name in ("1.crow", "2.owl") for index in (1, 2)]
    root = files(tmp_path, *places)
    table(
        root, "file,label,split", *(f"{p},{p.split('/')[1]},{('train', 'test')[p.endswith('2.jpg')]}" for p in places)
    )
    assert {one.part for one in pictures_of(root).pictures} == {"train", "test"}


def test_without_a_row_of_names_the_columns_are_found_by_what_they_hold(four):
    pictures = pictures_of(
        table(four, "a\timg\\0.jpg", "b\timg\\1.jpg", "b\timg\\2.jpg", "a\timg\\3.jpg", name="x.tsv")
    )
    assert "by x.tsv (columns 2, 1)" in pictures.layout


@pytest.mark.parametrize(
    ("start", "end"),
    [("", ""), ("./", ""), ("data/", ""), ("{root}/", ""), ("data\\", ""), ("other/../", ""), ("", " ")],
)
def test_names_relative_to_the_table_absolute_and_as_windows_writes_them(four, start, end):
    rows = [f"{start.format(root=four)}{row.replace(',', f'{end},')}" for row in ROWS]
    assert labels(pictures_of(table(four, "file,label", *rows)))["3.jpg"] == ("a", "train")


@pytest.mark.parametrize("name", ["/etc/passwd", "../img/0.jpg", "img/../../0.jpg", "C:\\img\\0.jpg", "..\\..\\x.jpg"])
def test_a_name_outside_the_tables_folder_is_refused(four, name):
    (four.parent / "0.jpg").write_bytes(b"picture")
    shown = name.replace("\\", "\\\\")
    assert f"line 4: '{shown}' lies outside {four}; valid: files below it" in refusal(
        table(four, "file,label", *ROWS[:2], f"{name},a")
    )


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([*ROWS, "img/1.jpg,a"], "line 6: img/1.jpg is a, but b in line 3; valid: one label"),
        (ROWS[:3], "img/3.jpg has no row in labels.csv; valid: a row for each"),
        (ROWS[:2], "img/2.jpg has no row in labels.csv, and neither have 1 others"),
        ([*ROWS, "img/9.jpg,a", "8.jpg,b"], "line 6: 'img/9.jpg' is no file below"),
        ([*ROWS[:3], "img/3.jpg,"], "line 5: img/3.jpg has no label"),
        ([*ROWS, ",a"], "line 6: no file name"),
        ([f"img/{index}.jpg,a" for index in range(4)], "has one class only, a"),
        (["x.jpg,a", "y.jpg,b"], "names no file below"),
        ([*ROWS, "img/1.jpg,b,c"], "line 6: 3 cells, but the first row has 2"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused_in_one_line(four, rows, text):
    path = table(four, "file,label", *rows)
    assert text in refusal(path)


def test_a_row_that_is_repeated_is_used_once_and_said(four):
    pictures = pictures_of(table(four, "file,label", *ROWS, ROWS[1], "0,a"))
    assert len(pictures.pictures) == 4
    assert pictures.notes == ("labels.csv repeats 2 rows: used once",)


def test_a_picture_in_two_parts_is_refused(four):
    rows = [f"{row},train" for row in ROWS]
    assert "is b in the test part, but b in the train part in line 3" in refusal(
        table(four, "file,label,split", *rows, "img/1.jpg,b,test")
    )


def test_a_name_of_several_files_is_refused(four):
    files(four, "more/0.jpg")
    assert "'0.jpg' may be img/0.jpg or more/0.jpg" in refusal(table(four, "file,label", "0.jpg,a", "img/1.jpg,b"))


def test_two_tables_of_labels_are_refused_and_one_can_be_named(four):
    path = table(four, "file,label", *ROWS)
    table(four, "file,label", *ROWS, name="others.csv")
    assert "has several tables of labels: labels.csv, others.csv; valid: --data TABLE" in refusal(four)
    assert len(pictures_of(path).pictures) == 4


@pytest.mark.parametrize(("content", "text"), [(b"\xff\xd8\xff\xe0" * 99, "not in UTF-8"), (b"a,b\n\0,\0\n", "binary")])
def test_a_table_that_is_none_is_named_if_there_are_no_class_folders(four, content, text):
    (four / "labels.csv").write_bytes(content)
    assert text in refusal(four)
    files(four, "cats/0.jpg", "dogs/0.jpg")
    assert pictures_of(four).classes == ("cats", "dogs", "img")


def test_a_label_for_each_picture_is_no_label(tmp_path):
    root = files(tmp_path, *(f"{index}.jpg" for index in range(30)))
    path = table(root, "id,label", *(f"{index},caption {index}" for index in range(30)))
    assert "30 pictures have 30 labels (caption 0, caption 1, caption 2, …)" in refusal(path)


def test_a_class_that_is_only_tested_is_refused(four):
    rows = [f"{row},{'test' if row.startswith('img/3') else 'train'}" for row in (*ROWS[:3], "img/3.jpg,B")]
    text = refusal(table(four, "file,label,split", *rows))
    assert "the test part has the class B, of which there is no picture to train with (there is b, which" in text


def test_columns_are_named_by_a_person(four):
    path = table(four, "pic,wrong,label,fold", *(f"{row},{row[4]},{row[4]}" for row in ROWS))
    assert pictures_of(path, Columns(file="pic", label="wrong")).classes == ("a", "b")
    assert "has no column 'x'; valid: pic, wrong, label, fold" in refusal(path, Columns(label="x"))
    assert "'0' is no part" in refusal(path, Columns(part="fold"))


def test_labels_of_numbers(four):
    rows = [f"img/{index}.jpg,{label}" for index, label in enumerate(("10.0", "2.0", "2.0", "10.0"))]
    assert pictures_of(table(four, "file,label", *rows)).classes == ("2", "10")


def test_every_part_that_a_table_gives_is_counted(tmp_path):
    """A table may lack a train part only if it has one part alone."""
    root = files(tmp_path, "0.jpg", "1.jpg", "2.jpg", "3.jpg")
    rows = [f"{row.removeprefix('img/')}" for row in ROWS]
    path = table(root, "file,label", *rows, name="test.csv")
    assert Counter(one.part for one in pictures_of(path).pictures) == {"train": 4}
    path = table(
        root, "file,label,split", *(f"{row},{part}" for row, part in zip(rows, ("val", "test") * 2, strict=True))
    )
    assert "has no pictures of the train part" in refusal(path)


def test_class_folders_to_train_and_a_table_to_test(tmp_path):
    """What the note on flat pictures in test/ says that one can do."""
    root = files(
        tmp_path, *(f"train/{name}/{index}.jpg" for name in "ab" for index in range(3)), "test/0.jpg", "test/1.jpg"
    )
    table(root, "file,label", "0.jpg,b", "1.jpg,a", name="test_labels.csv")
    pictures = pictures_of(root)
    assert pictures.layout == (
        "2 classes (a, b), a folder each and by test_labels.csv (columns file, label); train 6, test 2"
    )
    assert [(one.label, one.path.name) for one in pictures.pictures if one.part == "test"] == [
        (0, "1.jpg"),
        (1, "0.jpg"),
    ]
    assert not pictures.notes


def test_traffic_signs_as_kaggle_has_them(tmp_path):
    """Train.csv repeats the folders, Test.csv labels flat pictures, Meta.csv has a picture for each class."""
    root = files(tmp_path, *(f"Meta/{index}.png" for index in range(22)))
    files(
        root,
        *(f"Train/{index}/{index}_{n}.png" for index in range(22) for n in (0, 1)),
        *(f"Test/{n}.png" for n in range(44)),
    )
    train = [f"{index},Train/{index}/{index}_{n}.png" for index in range(22) for n in (0, 1)]
    table(root, "ClassId,Path", *train, name="Train.csv")
    table(root, "ClassId,Path", *(f"{n % 22},Test/{n}.png" for n in range(44)), name="Test.csv")
    table(root, "Path,ClassId,ShapeId", *(f"Meta/{index}.png,{index},1" for index in range(22)), name="Meta.csv")
    pictures = pictures_of(root)
    assert pictures.classes == tuple(map(str, range(22)))
    assert "; train 44, test 44" in pictures.layout
    assert "not used: 22 pictures in Meta/, without a label in" in pictures.notes[0]


def test_columns_that_are_named_make_a_table_count_that_repeats_the_folders(tmp_path):
    root = files(tmp_path, "a/0.jpg", "b/1.jpg")
    table(root, "file,label,kind", "a/0.jpg,a,x", "b/1.jpg,b,y")
    assert pictures_of(root).classes == ("a", "b")
    assert pictures_of(root, Columns(label="kind")).classes == ("x", "y")
