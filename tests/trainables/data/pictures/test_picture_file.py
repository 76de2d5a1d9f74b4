"""Files that would stop, mislead or flood a reader are named, each in one line."""

import os
import re
import stat

import pytest

from trainables.data.pictures import picture_file as module
from trainables.data.pictures.picture_file import NoRegularFileError, item_lists, picture_file, states, streams
from trainables.data.pictures.picture_list import Picture
from trainables.errors import DataError


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.png").write_bytes(b"content")
    return tmp_path / "a.png"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)  # to open it would wait for a writer
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(NoRegularFileError, match="it is no regular file"), picture_file(path):
        pass


def test_a_pipe_that_takes_a_files_place_is_not_waited_for(path, monkeypatch):
    regular = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(type(path), "stat", lambda _: regular)
    with pytest.raises(NoRegularFileError), picture_file(path):
        pass


def test_a_file_too_large_for_a_picture_is_not_read(tmp_path):
    with (tmp_path / "film.png").open("wb") as file:
        file.truncate(3 << 30)
    message = "it has 3,221,225,472 bytes; valid: at most 1,073,741,824"
    with pytest.raises(NoRegularFileError, match=message), picture_file(tmp_path / "film.png"):
        pass


@pytest.mark.parametrize("change", ["grows", "shrinks", "is written anew"])
def test_a_file_that_changes_while_it_is_read_is_refused(path, change):
    def reading():
        with picture_file(path) as file:
            file.read(3)
            if change == "grows":
                path.write_bytes(b"content and more")
            elif change == "shrinks":
                os.truncate(path, 2)
            else:
                os.utime(path, ns=(1, 1))

    with pytest.raises(DataError, match=r"a\.png changes while it is read; valid: files that stay"):
        reading()


def test_so_is_one_that_is_no_longer_what_it_was(path):
    before = states([Picture(path=path, label=0)])[0]
    path.write_bytes(b"another content")
    with pytest.raises(DataError, match="changes while it is read"), picture_file(path, before):
        pass


def test_a_file_that_may_not_be_read_is_named_with_what_to_do(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    message = rf"{re.escape(str(path))} may not be read \(Permission denied\); valid: .* chmod a\+r"
    with pytest.raises(DataError, match=message), picture_file(path):
        pass


def test_so_is_one_in_a_folder_that_may_not_be_entered(path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "stat", refuse)
    with pytest.raises(DataError, match="may not be read"), picture_file(path):
        pass


def test_a_read_takes_no_more_memory_than_the_file_has(path):
    with picture_file(path) as file:
        assert file.read(1 << 60) == b"content"
        assert file.read() == b""
        file.seek(3)
        assert file.read() == b"tent"


def test_pictures_come_in_lists_of_bounded_size(tmp_path, monkeypatch):
    monkeypatch.setattr("trainables.data.pictures.all_cores.MOST_BYTES", 100)
    monkeypatch.setattr("trainables.data.pictures.all_cores.MOST_FILES", 4)
    sizes = [10, 10, 10, 10, 10, 60, 60, 300, 10]
    for k, size in enumerate(sizes):
        (tmp_path / f"{k}.png").write_bytes(bytes(size))
    pictures = [Picture(path=tmp_path / f"{k}.png", label=0) for k in range(len(sizes))]
    lists = item_lists(pictures, states(pictures), range(len(sizes)))
    assert [[item.place for item in items] for items in lists] == [[0, 1, 2, 3], [4, 5], [6], [7], [8]]
    assert [item.row for items in lists for item in items] == list(range(len(sizes)))


def test_rows_of_a_file_come_in_the_order_of_the_file_and_files_keep_theirs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "row_bytes", lambda _path, rows, _column: ((row, b"%d" % row) for row in sorted(rows)))
    table = tmp_path / "a.parquet"
    table.write_bytes(bytes(100))
    for name in ("2.png", "1.png"):
        (tmp_path / name).write_bytes(name.encode())
    rows = [Picture(path=table, label=0, row=row, column="image") for row in (7, 2, 9, 0)]
    pictures = [*(Picture(path=tmp_path / name, label=0) for name in ("2.png", "1.png")), *rows]
    lists = item_lists(pictures, states(pictures), [0, 1, 2, 3, 4, 5])
    contents = {}
    for stream in streams([item for items in lists for item in items]):
        with stream.content as file:
            contents[stream.item.place] = (stream.item.row, file.read(), stream.name.rpartition("/")[2])
    assert contents == {
        0: (0, b"2.png", "2.png"), 1: (1, b"1.png", "1.png"), 5: (5, b"0", "a.parquet, row 0"),
        3: (3, b"2", "a.parquet, row 2"), 2: (2, b"7", "a.parquet, row 7"), 4: (4, b"9", "a.parquet, row 9"),
    }  # fmt: skip
    assert list(contents) == [0, 1, 5, 3, 2, 4]


def test_a_file_listed_twice_is_read_twice(path):
    pictures = [Picture(path=path, label=0), Picture(path=path, label=1)]
    (items,) = item_lists(pictures, states(pictures), [0, 1])
    assert [stream.item.place for stream in streams(items)] == [0, 1]


def test_a_file_of_rows_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    table = tmp_path / "a.parquet"
    table.write_bytes(b"PAR1")
    pictures = [Picture(path=table, label=0, row=0, column="image")]
    (items,) = item_lists(pictures, states(pictures), [0])
    monkeypatch.setattr(module, "row_bytes", lambda *_: iter([(0, None)]))
    table.write_bytes(b"PAR1 and more")
    with pytest.raises(DataError, match=r"a\.parquet changes while it is read"):
        list(streams(items))


def test_an_open_picture_is_not_inherited(path):
    with picture_file(path) as file:
        assert not os.get_inheritable(file.fileno())
        assert stat.S_ISREG(os.fstat(file.fileno()).st_mode)
