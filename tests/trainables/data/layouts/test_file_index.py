"""Which file a table means by a name."""

import pytest

from trainables.data.layouts.file_index import FileIndex
from trainables.data.layouts.folder_tree import read_tree


@pytest.fixture
def index(tmp_path):
    root = tmp_path / "data"
    for name in ("a/1.jpg", "a/1.txt", "b/2.jpg", "train/3.png", "test/3.png", "x.tar.png", "odd\\name.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"other")
    return FileIndex.of(read_tree(root))


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("a/1.jpg", ["a/1.jpg"]),
        ("1.jpg", ["a/1.jpg"]),
        ("1", ["a/1.jpg"]),
        ("b/2", ["b/2.jpg"]),
        ("./b//2.jpg", ["b/2.jpg"]),
        ("data/b/2.jpg", ["b/2.jpg"]),
        ("b\\2.jpg", ["b/2.jpg"]),
        ("odd\\name.png", ["odd\\name.png"]),
        ("x.tar", ["x.tar.png"]),
        ("3", ["train/3.png"]),
        ("test/3", ["test/3.png"]),
        ("B\\2.JPG", ["b/2.jpg"]),
        ("X.tar.PNG", ["x.tar.png"]),
        ("A/1", ["a/1.jpg"]),
        ("c/1.jpg", []),
        ("", []),
    ],
)
def test_files(index, name, files):
    assert list(index.files(index.cleaned(name))) == files


def test_the_part_of_a_row_chooses_the_folder(index):
    assert list(index.files("3.png", "test")) == ["test/3.png"]
    assert sorted(index.files("3.png", "validation")) == ["test/3.png", "train/3.png"]


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/../../x", "/etc/passwd", "C:\\x.png", "c:/x.png", "\\\\host\\share\\x.png"]
)
def test_names_outside(index, name):
    assert index.cleaned(name) is None


def test_an_absolute_name_inside(index):
    assert index.cleaned(f"{index.root}/b/../a/1.jpg") == "a/1.jpg"
    assert index.cleaned(f"{index.root}x/1.jpg") is None
