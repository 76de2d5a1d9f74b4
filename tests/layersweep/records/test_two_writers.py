"""Two commands write one sweep, where the lock of one host does not hold on the other: none loses what it recorded.

The lock is left out here: each test opens two writers.
"""

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from epoch_rows import epochs, flush, numbers

from layersweep.records import read as read_module
from layersweep.records import write
from layersweep.records.errors import ResultsError
from layersweep.records.read import part_range, parts, read, read_part, superseded
from layersweep.records.write import Writer

TOLD = "another command writes the sweep 's' too, perhaps on another machine.*run this command again"


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP], ids=["hard links", "EPERM", "EOPNOTSUPP"])
def hard_links(request, monkeypatch):
    """Acts as a file system that has hard links, and as two that say in their own ways that they have none."""

    def refuse(*arguments, **options):
        raise OSError(request.param, os.strerror(request.param))

    if request.param:
        monkeypatch.setattr(os, "link", refuse)


def names(results, table="epochs"):
    return [path.name for path in sorted((results / table / "s").iterdir())]


def temporaries(results):
    return list((results / ".state" / "parts").iterdir())


@pytest.mark.usefixtures("hard_links")
def test_the_second_of_two_writers_is_told_and_overwrites_nothing(results):
    one, other = Writer(results, "s"), Writer(results, "s")
    flush(one, 1)
    other.append("epochs", epochs(2))
    other._next["epochs"] = 0  # it has looked before the first one wrote
    for _ in range(2):
        with pytest.raises(ResultsError, match=f"00000000-00000000.parquet exists: {TOLD}"):
            other.flush()
    assert numbers(results) == [1]
    assert other.pending == 1
    assert temporaries(results) == []
    flush(one, 3)
    assert numbers(results) == [1, 3]


@pytest.mark.usefixtures("hard_links")
def test_one_writer_alone_flushes_and_merges(results):
    writer = Writer(results, "s")
    for n in range(20):
        flush(writer, n)
    assert numbers(results) == list(range(20))
    assert len(names(results)) == 2 + 4
    assert temporaries(results) == []


def test_a_number_that_a_merger_of_the_other_has_used_up_is_not_free(results):
    """Its name is free again, but a reader would leave the part out, and the next command would delete it."""
    other = Writer(results, "s")
    flush(other, 0)
    one = Writer(results, "s")
    for n in range(1, 8):
        flush(one, n)
    assert names(results) == ["00000000-00000007.parquet"]
    with pytest.raises(ResultsError, match=f"00000000-00000007.parquet has been written meanwhile: {TOLD}"):
        flush(other, 100)
    assert names(results) == ["00000000-00000007.parquet"]
    assert numbers(results) == list(range(8))
    assert other.pending == 1


def test_both_merge_the_same_parts(results, monkeypatch):
    one, other = Writer(results, "s"), Writer(results, "s")
    for n in range(7):
        flush(one, n)
    put = Writer._put_in_place

    def put_after_the_other(self, temporary, final, sources):
        if sources:
            monkeypatch.setattr(Writer, "_put_in_place", put)
            other._merge("epochs")
        put(self, temporary, final, sources)

    monkeypatch.setattr(Writer, "_put_in_place", put_after_the_other)
    with pytest.raises(ResultsError, match=TOLD):
        flush(one, 7)
    assert numbers(results) == list(range(8))
    assert names(results) == ["00000000-00000007.parquet"]
    assert temporaries(results) == []


def test_sources_go_while_the_second_one_reads_them(results, monkeypatch):
    one, other = Writer(results, "s"), Writer(results, "s")
    for n in range(7):
        flush(one, n)

    def read_after_the_other(path, *arguments, **options):
        if part_range(path) == (3, 3):
            monkeypatch.setattr(write, "read_part", read_part)
            other._merge("epochs")
        return read_part(path, *arguments, **options)

    monkeypatch.setattr(write, "read_part", read_after_the_other)
    with pytest.raises(ResultsError, match=f"a part in .*/epochs/s is gone: {TOLD}"):
        flush(one, 7)
    assert numbers(results) == list(range(8))


def test_a_source_that_a_failed_merger_left_is_no_strangers(results, monkeypatch):
    writer, unlink = Writer(results, "s"), Path.unlink

    def refuse(path, *arguments, **options):
        if path.name == "00000003-00000003.parquet":
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    for n in range(7):
        flush(writer, n)
    with pytest.raises(ResultsError, match="Input/output error"):
        flush(writer, 7)
    for n in range(8, 64):
        flush(writer, n)  # the last one merges the merger, whose source is still there
    assert [part_range(path) for path in parts(results / "epochs" / "s")] == [(0, 63)]
    assert numbers(results) == list(range(64))


@pytest.mark.parametrize("first", ["flush", "rewriting"])
def test_rows_of_one_are_not_covered_by_new_columns_of_the_other(results, monkeypatch, first):
    """A rewriting takes the number of the next flush, so it must not take one under which the other has written."""

    def row(n):
        return {"trial_id": f"t{n}", "attempt": 0, "continuation": 0}

    with Writer(results, "s", config_types={"a": int}) as writer:
        writer.append("trials", [row(0)])
    one = Writer(results, "s", config_types={"a": int})
    one.append("trials", [row(1)])
    one._sequence("trials")
    put = Writer._put_in_place

    def put_later(self, temporary, final, sources):
        monkeypatch.setattr(Writer, "_put_in_place", put)
        if first == "flush":
            one.flush()
        put(self, temporary, final, sources)

    monkeypatch.setattr(Writer, "_put_in_place", put_later)
    if first == "flush":
        with pytest.raises(ResultsError, match=f"00000001-00000001.parquet has been written meanwhile: {TOLD}"):
            Writer(results, "s", config_types={"b": int})
        assert sorted(read(results, "trials")["trial_id"]) == ["t0", "t1"]
    else:
        Writer(results, "s", config_types={"b": int})
        with pytest.raises(ResultsError, match=f"00000000-00000001.parquet has been written meanwhile: {TOLD}"):
            one.flush()
        assert read(results, "trials")["trial_id"].to_list() == ["t0"]
        assert one.pending == 1


class Kill(BaseException):
    """The process dies here."""


@pytest.mark.usefixtures("hard_links")
def test_a_kill_at_any_step_is_no_second_writer(results, monkeypatch):
    """A killed writer leaves its file under two names, or under one of them."""
    for step in itertools.count():
        case, count = results / str(step), itertools.count()
        writer = Writer(case, "s")
        for n in range(7):
            flush(writer, n)

        def dying(touch, count=count, step=step):
            def wrapped(*arguments, **options):
                if next(count) == step:
                    raise Kill
                return touch(*arguments, **options)

            return wrapped

        killed = False
        with monkeypatch.context() as patch:
            for module, name in ((Path, "unlink"), (Path, "rename"), (os, "link"), (write, "sync")):
                patch.setattr(module, name, dying(getattr(module, name)))
            try:
                flush(writer, 7)
            except Kill:
                killed = True
        again = Writer(case, "s")
        for n in range(100, 110):
            flush(again, n)
        assert numbers(case)[-10:] == list(range(100, 110))
        assert len(pl.read_parquet(case / "epochs" / "s")) == len(numbers(case))
        if not killed:
            break
    assert step > 12


SCRIPT = """
import sys
from pathlib import Path
from layersweep.records.errors import ResultsError
from layersweep.records.write import Writer

name = sys.argv[1]
for line in sys.stdin:
    try:
        writer = Writer(Path(line.strip()), "s")
        for n in range(60):
            writer.append("epochs", [{"trial_id": name, "attempt": 0, "epoch": n}])
            writer.flush()
            print(n, flush=True)
    except ResultsError as error:
        assert "another command writes the sweep 's' too" in str(error), error
        print("told", flush=True)
    else:
        print("done", flush=True)
"""


def test_two_processes_at_once_lose_nothing_that_was_acknowledged(results):
    ends = []
    with (
        subprocess.Popen([sys.executable, "-c", SCRIPT, "a"], stdin=-1, stdout=-1, text=True) as one,
        subprocess.Popen([sys.executable, "-c", SCRIPT, "b"], stdin=-1, stdout=-1, text=True) as other,
    ):
        for case in (results / str(number) for number in range(12)):
            for writer in (one, other):
                writer.stdin.write(f"{case}\n")
                writer.stdin.flush()
            acknowledged = []
            for name, writer in (("a", one), ("b", other)):
                while (line := writer.stdout.readline().strip()).isdigit():
                    acknowledged.append((name, int(line)))
                ends.append(line)
            rows = read(case, "epochs").select("trial_id", "epoch").rows()
            assert len(rows) == len(set(rows))
            assert set(acknowledged) <= set(rows)
            Writer(case, "s")
            assert set(acknowledged) <= set(read(case, "epochs").select("trial_id", "epoch").rows())
    assert set(ends) <= {"told", "done"}
    assert "told" in ends


def before_each_listing_after_the_first(monkeypatch, act):
    """Something happens between two listings of a folder."""
    count, glob = itertools.count(), Path.glob

    def later(path, pattern):
        if pattern == "*.parquet" and next(count):
            monkeypatch.setattr(Path, "glob", glob)
            act()
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", later)


def test_a_part_that_appears_while_merged_parts_are_sought_is_none_of_them(results, monkeypatch):
    writer = Writer(results, "s")
    for n in range(8):
        flush(writer, n)
    folder = results / "epochs" / "s"
    (folder / "00000003-00000003.parquet").write_bytes(b"a source that a killed merger left")
    before_each_listing_after_the_first(monkeypatch, lambda: flush(writer, 8))
    assert [part_range(path) for path in superseded(folder, results)] == [(3, 3)]


def test_parts_that_go_while_merged_parts_are_sought_leave_it_to_who_took_them(results, monkeypatch):
    writer = Writer(results, "s")
    flush(writer, 0)
    folder = results / "epochs" / "s"
    (folder / "00000000-00000007.parquet").write_bytes((folder / "00000000-00000000.parquet").read_bytes())

    def gone(path, *arguments, **options):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    monkeypatch.setattr(read_module, "read_part", gone)
    assert superseded(folder, results) == []


def test_a_part_that_another_one_takes_away_is_a_conflict(results, monkeypatch):
    writer, put = Writer(results, "s"), write.link_into_place

    def put_and_lose(temporary, final):
        put(temporary, final)
        final.unlink()

    monkeypatch.setattr(write, "link_into_place", put_and_lose)
    with pytest.raises(ResultsError, match=f"00000000-00000000.parquet is gone: {TOLD}"):
        flush(writer, 0)
    assert writer.pending == 1


def test_a_writer_that_begins_while_another_one_merges_is_told(results, monkeypatch):
    flush(Writer(results, "s"), 0)

    def gone(path, *arguments, **options):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    monkeypatch.setattr(write, "read_schema", gone)
    with pytest.raises(ResultsError, match=f"00000000-00000000.parquet is gone: {TOLD}"):
        Writer(results, "s")
