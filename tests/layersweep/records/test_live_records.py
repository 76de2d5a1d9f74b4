"""The tables in memory are those on disk, whatever a writer has done since the last look."""

import shutil

import polars as pl
import pytest
from epoch_rows import flush
from recorded_rows import curve, plan, record, run, trial

from layersweep.records import live_records
from layersweep.records.errors import ResultsError
from layersweep.records.live_records import LiveRecords
from layersweep.records.read import parts, read, read_part
from layersweep.records.write import Writer

TABLES = ("plan", "runs", "trials", "epochs")


@pytest.fixture
def reads(monkeypatch):
    """The names of the parts that are read."""
    names = []

    def counting(path, results, **more):
        names.append(path.name)
        return read_part(path, results, **more)

    monkeypatch.setattr(live_records, "read_part", counting)
    return names


def assert_equal_to_disk(live, results, sweep):
    for name in TABLES:
        expected = read(results, name, sweep)
        assert live.tables[name].equals(expected.select(live.tables[name].columns)), name


def numbers(live):
    return live.tables["epochs"]["epoch"].to_list()


def test_nothing_is_recorded_yet(tmp_path):
    live = LiveRecords(tmp_path, "s")
    assert not live.refresh()
    assert all(table.is_empty() for table in live.tables.values())
    record(tmp_path, "s", plan=[plan("aa")])
    assert live.refresh()
    assert live.tables["plan"]["trial_id"].to_list() == ["aa"]


def test_only_new_parts_are_read(tmp_path, reads):
    live = LiveRecords(tmp_path, "s")
    with Writer(tmp_path, "s") as writer:
        flush(writer, 1, 2)
        assert live.refresh()
        assert not live.refresh()
        flush(writer, 3)
        assert live.refresh()
    assert reads == ["00000000-00000000.parquet", "00000001-00000001.parquet"]
    assert numbers(live) == [1, 2, 3]


def test_a_merge_of_parts_that_were_read_is_not_read(tmp_path, reads):
    live = LiveRecords(tmp_path, "s")
    with Writer(tmp_path, "s") as writer:
        for number in range(7):
            flush(writer, number)
        live.refresh()
        live.take_changes()
        reads.clear()
        flush(writer, 7)  # the eighth part: all are merged into one
        assert len(parts(tmp_path / "epochs" / "s")) == 1
        assert live.refresh()
        assert reads == ["00000000-00000007.parquet"]  # it has a row that was not read
        assert numbers(live) == [*range(8)]
        assert not live.refresh()
        flush(writer, 8)
        live.refresh()
        assert reads[1:] == ["00000008-00000008.parquet"]
    assert numbers(live) == [*range(9)]
    assert_equal_to_disk(live, tmp_path, "s")


def test_a_part_that_covers_old_and_new_rows_changes_the_trials_of_the_new_ones_alone(tmp_path):
    live = LiveRecords(tmp_path, "s")
    with Writer(tmp_path, "s") as writer:
        for number in range(7):
            writer.append("epochs", [{"trial_id": f"t{number}", "attempt": 0, "epoch": 1}])
            writer.flush()
        live.refresh()
        assert live.take_changes() == {f"t{number}" for number in range(7)}
        writer.append("epochs", [{"trial_id": "t7", "attempt": 0, "epoch": 1}])
        writer.flush()
        live.refresh()
    assert live.take_changes() == {"t7"}
    assert live.take_changes() == frozenset()


@pytest.mark.parametrize("step", [1, 3, 20])
def test_it_equals_the_disk_after_many_merges(tmp_path, step):
    live = LiveRecords(tmp_path, "s")
    with Writer(tmp_path, "s") as writer:
        for number in range(80):
            flush(writer, number)
            if number % step == 0:
                live.refresh()
    live.refresh()
    assert numbers(live) == [*range(80)]


def test_a_part_deleted_between_list_and_read(tmp_path, monkeypatch):
    """A writer merges parts after they were listed."""
    live = LiveRecords(tmp_path, "s")
    with Writer(tmp_path, "s") as writer:
        for number in range(7):
            flush(writer, number)

        def late(path, results, **more):
            if not merged:
                merged.append(path)
                flush(writer, 7)
            return read_part(path, results, **more)

        merged = []
        monkeypatch.setattr(live_records, "read_part", late)
        assert live.refresh()
    assert merged
    assert numbers(live) == [*range(8)]


def test_a_folder_that_never_stands_still(tmp_path, monkeypatch):
    record(tmp_path, "s", epochs=curve("aa", 0.5))
    live = LiveRecords(tmp_path, "s")

    def gone(path, results, **more):
        raise FileNotFoundError(path)

    monkeypatch.setattr(live_records, "read_part", gone)
    with pytest.raises(ResultsError, match="changed 100 times while it was read"):
        live.refresh()


def test_a_damaged_part_is_noted_until_it_is_whole_or_gone(tmp_path):
    with Writer(tmp_path, "s") as writer:
        flush(writer, 1)
        flush(writer, 2)
    first, second = parts(tmp_path / "epochs" / "s")
    content = first.read_bytes()
    first.write_bytes(b"no parquet")
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    assert numbers(live) == [2]
    assert len(live.notes) == 1
    assert "00000000-00000000.parquet is damaged" in live.notes[0]
    assert not live.refresh()
    assert live.notes  # a page that opens later shows it, too
    first.write_bytes(content)
    assert live.refresh()
    assert (numbers(live), live.notes) == ([1, 2], [])
    second.write_bytes(b"")
    first.write_bytes(b"")  # what was read stays until it is read again: the parts have the names of those read
    assert not live.refresh()
    first.unlink()
    second.unlink()
    assert live.refresh()
    assert numbers(live) == []


def test_a_damaged_part_that_is_set_aside_is_forgotten(tmp_path):
    record(tmp_path, "s", epochs=curve("aa", 0.5))
    (part,) = parts(tmp_path / "epochs" / "s")
    part.write_bytes(b"no parquet")
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    assert live.notes
    part.unlink()
    assert live.refresh()
    assert live.notes == []


def test_a_deleted_sweep_is_empty(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], epochs=curve("aa", 0.5))
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    live.take_changes()
    for table in TABLES:
        shutil.rmtree(tmp_path / table / "s", ignore_errors=True)
    assert live.refresh()
    assert all(table.is_empty() for table in live.tables.values())
    assert live.take_changes() == {"aa"}


def test_records_of_a_newer_schema(tmp_path, monkeypatch):
    live = LiveRecords(tmp_path, "s")
    record(tmp_path, "s", plan=[plan("aa")])
    live.refresh()
    with monkeypatch.context() as newer:
        newer.setattr("layersweep.records.write.SCHEMA_VERSION", 99)
        record(tmp_path, "s", epochs=curve("aa", 0.5))
    with pytest.raises(ResultsError, match="use a newer Layersweep"):
        live.refresh()
    assert live.tables["plan"].height == 1


def test_trials_of_another_sweep(tmp_path, reads):
    record(tmp_path, "other", plan=[plan("aa"), plan("bb")], epochs=[*curve("aa", 0.5, 0.6), *curve("bb", 0.1)])
    record(tmp_path, "other", trials=[trial("aa"), trial("bb")])
    record(tmp_path, "s", plan=[plan("aa"), plan("cc")], epochs=curve("cc", 0.7), runs=[run()])
    live = LiveRecords(tmp_path, "s")
    assert live.refresh()
    assert live.tables["trials"]["trial_id"].to_list() == ["aa"]
    assert live.tables["epochs"].select("sweep", "trial_id").rows() == [("other", "aa")] * 2 + [("s", "cc")]
    assert live.tables["plan"]["trial_id"].to_list() == ["aa", "cc"]
    live.take_changes()
    reads.clear()
    assert not live.refresh()
    assert reads == []
    record(tmp_path, "s", plan=[plan("bb")])  # a candidate that the other sweep has trained
    assert live.refresh()
    assert sorted(live.tables["trials"]["trial_id"]) == ["aa", "bb"]
    assert "bb" in live.take_changes()
    record(tmp_path, "other", epochs=curve("aa", 0.7, first=3))
    assert live.refresh()
    assert live.tables["epochs"].filter(pl.col("trial_id") == "aa")["epoch"].to_list() == [1, 2, 3]


def test_another_sweep_that_shares_nothing_costs_one_look(tmp_path, reads):
    record(tmp_path, "other", epochs=curve("zz", 0.5))
    record(tmp_path, "s", plan=[plan("aa")])
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    reads.clear()
    record(tmp_path, "s", plan=[plan("bb")])
    assert live.refresh()
    assert len(reads) == 1


def test_configuration_keys_that_join_later(tmp_path):
    record(tmp_path, "s", trials=[trial("aa", filters=8)])
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    with Writer(tmp_path, "s", config_types={"filters": int, "rate": float}) as writer:
        writer.append("trials", [trial("bb", filters=16, rate=0.5)])
    assert live.refresh()
    rows = live.tables["trials"].select("trial_id", "filters", "rate").rows()
    assert rows == [("aa", 8, None), ("bb", 16, 0.5)]
    assert_equal_to_disk(live, tmp_path, "s")


def test_long_texts_are_not_in_memory(tmp_path):
    record(tmp_path, "s", trials=[trial("aa", log="long", traceback="long")])
    live = LiveRecords(tmp_path, "s")
    live.refresh()
    assert not {"log", "traceback"} & {*live.tables["trials"].columns}


def test_what_an_error_interrupts_is_not_lost(tmp_path, monkeypatch):
    """The epochs were read when the plan could not be: the next look tells of them."""
    record(tmp_path, "s", plan=[plan("aa")], epochs=curve("aa", 0.5))
    live = LiveRecords(tmp_path, "s")
    (part,) = parts(tmp_path / "plan" / "s")
    with monkeypatch.context() as broken:

        def refusing(path, results, **more):
            if path == part:
                raise ResultsError("no permission")
            return read_part(path, results, **more)

        broken.setattr(live_records, "read_part", refusing)
        with pytest.raises(ResultsError, match="no permission"):
            live.refresh()
    assert live.refresh()
    assert live.tables["epochs"].height == 1
    assert live.take_changes() == {"aa"}
