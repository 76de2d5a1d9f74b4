"""Tables as text: delimiters, encodings, ends of lines, quotes, and what is no table."""

import os

import pytest

from trainables.data.layouts.label_tables import LARGEST_TABLE, read_table, usual_form
from trainables.errors import DataError

TEXT = 'file,label\n"a,1.png",cat\nb.png,"the ""dog"""\n'
ROWS = [["a,1.png", "cat"], ["b.png", 'the "dog"']]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (TEXT.encode(), "t.csv"),
        (TEXT.encode("utf-8-sig"), "t.csv"),
        (TEXT.encode("utf-16"), "t.csv"),
        (TEXT.replace("\n", "\r\n").encode(), "t.csv"),
        (TEXT.replace("\n", "\r").encode(), "t.csv"),
        (TEXT.replace("\n", "\n\n,\n").encode(), "t.csv"),
        (TEXT.replace(",", ";").replace("a;1", "a,1").encode(), "t.csv"),
        (TEXT.replace(",", "\t").replace("a\t1", "a,1").encode(), "t.tsv"),
        (TEXT.replace(",", "|").replace("a|1", "a,1").encode(), "t.txt"),
        (b'{"file": "a,1.png", "label": "cat"}\n\n{"label": "the \\"dog\\"", "file": "b.png"}\n', "t.jsonl"),
    ],
)
def test_any_usual_way_to_write_a_table(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    table = read_table(tmp_path / name)
    assert (table.names, [list(row) for row in table.rows]) == (("file", "label"), ROWS)


def test_words_between_blanks_as_in_lists_of_imagenet(tmp_path):
    (tmp_path / "val.txt").write_text("a.JPEG 65\nb.JPEG 970\n")
    table = read_table(tmp_path / "val.txt").without_names()
    assert (table.names, [list(row) for row in table.rows]) == (("1", "2"), [["a.JPEG", "65"], ["b.JPEG", "970"]])
    assert [table.place(row)[-6:] for row in (0, 1)] == ["line 1", "line 2"]


def test_lines_are_those_of_the_file(tmp_path):
    (tmp_path / "t.csv").write_text('file,label\n\n"a\nb",1\nc,2\n')
    table = read_table(tmp_path / "t.csv")
    assert [table.place(row).rpartition(", ")[2] for row in (0, 1)] == ["line 3", "line 5"]


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        (b"", "t.csv", "has 0 rows"),
        (b"file,label\n", "t.csv", "has 1 rows"),
        (b"file,label\na.png,K\xe4fer\n", "t.csv", "line 2: not in UTF-8; valid: a table of text, saved as UTF-8"),
        (b"\x89PNG\r\n", "t.csv", "line 1: not in UTF-8"),
        (b"PK\3\4\0\0,\0\n", "t.csv", "is no table but binary"),
        (b"file,label\na.png\n", "t.csv", "line 2: 1 cells, but the first row has 2"),
        (b'file,label\n"' + b"x" * 200_000 + b'",1\n', "t.csv", "field larger than field limit"),
        (b'{"file": 1}\n[1]\n', "t.jsonl", "line 2: no object"),
        (b'{"file": "a"\n', "t.jsonl", "line 1: Expecting"),
        (b"[" * 100_000 + b"\n", "t.jsonl", "line 1: "),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path, content, name, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        read_table(tmp_path / name)
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    assert "valid: " in str(error.value)


def test_a_table_of_two_gigabytes_is_not_read(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"file,label\n")
    os.truncate(tmp_path / "t.csv", 2 << 30)
    with pytest.raises(DataError, match=f"2,147,483,648 bytes; valid: tables of at most {LARGEST_TABLE:,}"):
        read_table(tmp_path / "t.csv")


def test_a_table_that_may_not_be_read(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["fileName", "File Name", " file_name ", "file-name", "FILE.NAME"])
def test_usual_form(name):
    assert usual_form(name) == "file_name"


def test_columns_by_name(tmp_path):
    (tmp_path / "t.csv").write_text("ID,Class Name,id\n1,2,3\n")
    table = read_table(tmp_path / "t.csv")
    assert (table.index("ID"), table.index("id"), table.index("class_name")) == (0, 2, 1)
    with pytest.raises(DataError, match="has 2 columns 'Id'; valid: ID, Class Name, id"):
        table.index("Id")
    assert table.usual(("class_name", "id")) == [1, 0, 2]
