"""Folders that cannot be read to their end: links in circles, no permission, names that are not UTF-8, pipes."""

import os

import pytest

from trainables.data.layouts import folder_tree
from trainables.data.layouts.folder_tree import read_tree
from trainables.errors import DataError


@pytest.fixture
def root(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "0.jpg").write_bytes(b"picture")
    return tmp_path / "data"


def refusal(root):
    with pytest.raises(DataError) as error:
        read_tree(root)
    text = str(error.value)
    text.encode()  # it can be printed
    assert "\n" not in text
    assert "valid: " in text
    return text


def test_a_tree_has_pictures_other_files_and_what_is_hidden_in_natural_order(root):
    for name in ("10.png", "2.png", "list.csv", ".hidden.png"):
        (root / "a" / name).write_bytes(b"")
    tree = read_tree(root)
    assert [(one.name, one.pictures, one.others, one.hidden) for one in tree.every_folder()] == [
        ("data", [], [], []),
        ("a", ["0.jpg", "2.png", "10.png"], ["list.csv"], [".hidden.png"]),
        ("b", ["0.jpg"], [], []),
    ]
    assert tree.picture_count == 4
    assert tree.every_other() == [root / "a" / "list.csv"]


def test_links_to_files_and_folders_are_followed(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.jpg").write_bytes(b"picture")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "a" / "1.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    assert {folder.name: folder.picture_count for folder in read_tree(root).folders} == {"a": 2, "b": 1, "c": 1}


def test_links_in_circles_are_refused(root):
    (root / "a" / "again").symlink_to(root)
    assert refusal(root).startswith(f"{root}/a/again is a link to a folder that it lies in")


def test_two_links_to_each_other_are_refused(root):
    (root / "a" / "to_b").symlink_to(root / "b")
    (root / "b" / "to_a").symlink_to(root / "a")
    assert "a/to_b/to_a is a link to a folder that it lies in" in refusal(root)


def test_a_link_to_itself_or_to_nothing_is_refused(root):
    (root / "a" / "x.jpg").symlink_to("x.jpg")
    assert refusal(root).startswith(f"{root}/a/x.jpg is a link to nothing")
    (root / "a" / "x.jpg").unlink()
    (root / "a" / "y.jpg").symlink_to("missing.jpg")
    assert refusal(root).startswith(f"{root}/a/y.jpg is a link to nothing")


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"\xff"])
def test_a_name_that_is_not_utf_8_is_refused(root, name):
    path = root / "b" / os.fsdecode(name)
    path.mkdir() if b"." not in name else path.write_bytes(b"")
    assert "its name is not UTF-8" in refusal(root)


def test_pipes_are_not_opened(root):
    os.mkfifo(root / "a" / "1.jpg")
    assert read_tree(root).folders[0].others == ["1.jpg"]


@pytest.mark.parametrize("folder", [True, False])
def test_what_may_not_be_read_is_refused(root, folder, monkeypatch):
    """Root may read everything: the system's answer is replaced."""
    scandir, access = os.scandir, os.access

    def refusing(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    if folder:
        monkeypatch.setattr(folder_tree.os, "scandir", refusing)
        assert refusal(root).startswith(f"{root}/b cannot be read: Permission denied")
    else:
        monkeypatch.setattr(
            folder_tree.os, "access", lambda path, mode: path != root / "b/0.jpg" and access(path, mode)
        )
        assert refusal(root).startswith(f"{root}/b/0.jpg may not be read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_person_who_is_not_root_is_refused(root):
    (root / "b").chmod(0)
    assert "cannot be read" in refusal(root)
    (root / "b").chmod(0o700)
    (root / "b" / "0.jpg").chmod(0)
    assert "may not be read" in refusal(root)


def test_folders_without_end_are_refused(root):
    deep = root
    for _ in range(60):
        deep /= "d"
    deep.mkdir(parents=True)
    assert "lies too deep" in refusal(root)


def test_many_links_to_the_same_folders_end(root, monkeypatch):
    """Each doubles the number of paths: 2 ** 30 without a limit."""
    monkeypatch.setattr(folder_tree, "_MOST_FOLDERS", 500)
    for level in range(30):
        (root / f"level{level}").mkdir()
        for link in ("left", "right"):
            (root / f"level{level}" / link).symlink_to(root / f"level{level + 1}")
    (root / "level30").mkdir()
    assert "too many folders" in refusal(root)
