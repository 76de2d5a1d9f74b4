"""Parquet and Arrow files: rows by group, in bounded memory, and damaged ones."""

import os

import columnar
import pyarrow as pa
import pytest
from pyarrow import parquet

from trainables.data.pictures import columnar_files
from trainables.data.pictures.columnar_files import column_values, features, row_bytes, row_groups, schema
from trainables.errors import DataError

KINDS = ["parquet", "arrow", "feather"]


@pytest.fixture(params=KINDS)
def file(request, tmp_path):
    return columnar.write(tmp_path / f"f.{request.param}", columnar.table([0, 1] * 5, ["cat", "dog"]))


def test_rows_come_in_groups_each_with_its_bytes(file):
    assert row_groups(file) == [range(4), range(4, 8), range(8, 10)]
    assert column_values(file, "label") == [0, 1] * 5
    assert features(schema(file))["label"]["names"] == ["cat", "dog"]
    expected = columnar.table([0, 1] * 5, ["cat", "dog"])["image"].to_pylist()
    assert list(row_bytes(file, [9, 0, 5, 5], "image")) == [(row, expected[row]["bytes"]) for row in (0, 5, 9)]
    assert [row for row, _ in row_bytes(file, range(10), "image")] == list(range(10))


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_without_a_structure_and_rows_without_a_picture(tmp_path, kind):
    rows = pa.table({"a.b": pa.array([b"x", None], pa.large_binary()), "image": pa.array([None, None], columnar.IMAGE)})
    path = columnar.write(tmp_path / f"f.{kind}", rows)
    assert list(row_bytes(path, range(2), "a.b")) == [(0, b"x"), (1, None)]
    assert list(row_bytes(path, range(2), "image")) == [(0, None), (1, None)]
    assert features(schema(path)) == {}


def test_only_groups_with_wanted_rows_are_read(tmp_path, monkeypatch):
    path = columnar.write(tmp_path / "f.parquet", columnar.table([0, 1] * 50, ["cat", "dog"]), batch=10)
    groups = []
    read = columnar_files._batches

    def counting(*arguments):
        for first, batch in read(*arguments):
            groups.append(first // 10)
            yield first, batch

    monkeypatch.setattr(columnar_files, "_batches", counting)
    assert [row for row, _ in row_bytes(path, [3, 77], "image")] == [3, 77]
    assert {*groups} == {0, 7}


def test_memory_does_not_grow_with_the_group(tmp_path):
    """A group of 64 MB in pages of 1 MB is read some rows at a time."""
    rows = pa.table({"image": pa.array([os.urandom(1 << 20) for _ in range(64)], pa.binary())})
    parquet.write_table(rows, tmp_path / "f.parquet", write_batch_size=1, use_dictionary=False)
    del rows
    pool = pa.default_memory_pool()
    before, peak = pool.bytes_allocated(), 0
    for _ in row_bytes(tmp_path / "f.parquet", range(64), "image"):
        peak = max(peak, pool.bytes_allocated() - before)
    assert 0 < peak < 32 << 20


def read_all(file):
    schema(file)
    row_groups(file)
    list(row_bytes(file, range(10), "image"))
    column_values(file, "label")


@pytest.mark.parametrize("cut", [0, 1, 4, 40, 300, -9])
def test_a_damaged_file_is_refused_in_one_line(file, cut):
    content = file.read_bytes()
    file.write_bytes(content[: cut or None][::-1] if not cut else content[:cut])
    with pytest.raises(DataError) as error:
        read_all(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_that_there_is_not(file):
    with pytest.raises(DataError, match="has no column 'x'"):
        list(row_bytes(file, [0], "x"))
