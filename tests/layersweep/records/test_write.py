"""Rows come back as they were appended, whatever happens to the writer in between."""

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from epoch_rows import epochs, flush, numbers
from version_1 import version_1_trial, write_version_1

import layersweep.records.write
from layersweep.records.errors import ResultsError
from layersweep.records.export import export
from layersweep.records.lock import sweep_lock
from layersweep.records.maintenance import delete, prune
from layersweep.records.read import DamagedPartWarning, read
from layersweep.records.write import Writer


def folder(results, table="epochs"):
    return results / table / "s"


def names(results, table="epochs"):
    return sorted(path.name for path in folder(results, table).iterdir())


def trial(trial_id, **columns):
    return {"trial_id": trial_id, "attempt": 0, "continuation": 0, **columns}


# What is written


def test_configuration_types_nulls_and_times_come_back(results):
    config = {"learning_rate": float, "filters": int, "pooling": bool, "optimizer": str}
    cairo = timezone(timedelta(hours=2))
    rows = [
        trial(
            "t1", learning_rate=0.1, filters=32, pooling=True, optimizer="nadam", reason="größer 🙂",
            size_bytes=3_221_225_472, last_loss=float("nan"),
            started_at=datetime(2026, 11, 3, 11, 30, 0, 123456, tzinfo=cairo),
        ),
        trial("t2", filters=None, pooling=False, last_loss=float("inf"), cutoff=-0.0),
    ]  # fmt: skip
    with Writer(results, "s", config_types=config) as writer:
        writer.append("trials", rows)
    first, second = read(results, "trials").to_dicts()
    assert (first["sweep"], first["trial_id"], first["attempt"]) == ("s", "t1", 0)
    assert [first[key] for key in config] == [0.1, 32, True, "nadam"]
    assert (first["size_bytes"], first["reason"]) == (3_221_225_472, "größer 🙂")
    assert first["started_at"] == datetime(2026, 11, 3, 9, 30, 0, 123456, tzinfo=UTC)
    assert first["last_loss"] != first["last_loss"]  # NaN is a value, null is none
    assert [second[key] for key in config] == [None, None, False, None]
    assert (second["started_at"], second["last_loss"], str(second["cutoff"])) == (None, float("inf"), "-0.0")


def test_lists_come_back(results):
    row = {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test"}
    with Writer(results, "s") as writer:
        for k, predicted in enumerate([[7, 0, 3], [], None]):
            writer.append("classes", [row | {"class_index": k, "predicted": predicted}])
    assert read(results, "classes")["predicted"].to_list() == [[7, 0, 3], [], None]


def test_a_part_is_named_by_its_flush_and_each_table_counts_its_own(results):
    writer = Writer(results, "s")
    flush(writer, 1)
    flush(writer, 2, 3)
    writer.append("tests", epochs(3))
    writer.flush()
    writer.flush()  # nothing waits: nothing is written
    assert names(results) == ["00000000-00000000.parquet", "00000001-00000001.parquet"]
    assert names(results, "tests") == ["00000000-00000000.parquet"]


def test_metadata_encoding_and_compression(results):
    writer = Writer(results, "s", versions={"keras": "3.15.0", "numpy": "2.1"})
    for n in range(8):  # the eighth flush merges
        flush(writer, n)
        (part, *_) = folder(results).iterdir()
        file = pq.ParquetFile(part)
        assert file.schema_arrow.metadata[b"schema_version"] == b"2"
        assert json.loads(file.schema_arrow.metadata[b"versions"]) == {"keras": "3.15.0", "numpy": "2.1"}
        group = file.metadata.row_group(0)
        assert {group.column(c).compression for c in range(group.num_columns)} == {"ZSTD"}
        assert file.schema_arrow.field("trial_id").type == pa.dictionary(pa.int32(), pa.string())
        assert file.schema_arrow.field("at").type == pa.timestamp("us", tz="UTC")
    assert names(results) == ["00000000-00000007.parquet"]


ENCODINGS = {
    "loss": "BYTE_STREAM_SPLIT", "seconds_train": "BYTE_STREAM_SPLIT", "sequence": "DELTA_BINARY_PACKED",
    "at": "DELTA_BINARY_PACKED", "trial_id": "RLE_DICTIONARY", "accuracy": "RLE_DICTIONARY",
}  # fmt: skip
DIGITS = [0.1, 2 / 3, 5e-324, 1.7976931348623157e308, -0.0, float("inf"), float("nan"), 1 / 49]


def test_parts_and_mergers_have_the_encodings_of_their_columns_and_lose_no_digit(results):
    writer = Writer(results, "s")
    for n, loss in enumerate(DIGITS):  # the eighth flush merges
        at = datetime(2026, 11, 3, 11, tzinfo=UTC) - timedelta(microseconds=n)
        row = {"trial_id": "t", "attempt": 0, "epoch": n, "sequence": 7 - n, "at": at, "seconds_train": loss}
        writer.append("epochs", [row | dict.fromkeys(("loss", "val_loss", "accuracy"), loss)])
        writer.flush()
        group = pq.ParquetFile(max(folder(results).iterdir())).metadata.row_group(0)
        rows = {group.column(c).path_in_schema: set(group.column(c).encodings) for c in range(group.num_columns)}
        assert all(encoding in rows[name] for name, encoding in ENCODINGS.items()), rows
    assert names(results) == ["00000000-00000007.parquet"]
    plain = {
        "polars": pl.read_parquet(folder(results)).to_dict(as_series=False),
        "pandas": pd.read_parquet(folder(results)).to_dict("list"),
        "duckdb": duckdb.sql(f"select * from '{folder(results)}/*.parquet'").arrow().read_all().to_pydict(),
    }
    for reader, rows in plain.items():
        assert rows["sequence"] == [7, 6, 5, 4, 3, 2, 1, 0], reader
        for name in ("loss", "val_loss", "accuracy", "seconds_train"):
            assert list(map(repr, rows[name])) == list(map(repr, DIGITS)), (reader, name)


def test_what_is_written_in_dictionaries_includes_lists(results):
    row = {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test", "class_index": 0, "predicted": [7, 7, 7]}
    with Writer(results, "s") as writer:
        writer.append("classes", [row])
    (part,) = folder(results, "classes").iterdir()
    group = pq.ParquetFile(part).metadata.row_group(0)
    (predicted,) = (
        c for i in range(group.num_columns) if (c := group.column(i)).path_in_schema.startswith("predicted")
    )
    assert "RLE_DICTIONARY" in predicted.encodings


def test_a_part_is_synced_before_it_gets_its_name_and_its_folder_after(results, monkeypatch):
    synced = []

    def sync(path):
        synced.append((path.relative_to(results).parts[:2], folder(results).exists() and names(results)))

    part, file = "00000000-00000000.parquet", (".state", "parts")
    writer = Writer(results, "s")
    monkeypatch.setattr(layersweep.records.write, "sync", sync)
    flush(writer, 1)
    assert synced == [(file, []), (("epochs", "s"), [part])]
    synced.clear()
    flush(writer, 2)
    assert synced == [(file, [part]), (("epochs", "s"), [part, part.replace("0000.", "0001.").replace("0-", "1-")])]


def test_nothing_but_parts_lies_below_a_tables_folder(results, monkeypatch):
    seen = set()
    monkeypatch.setattr(layersweep.records.write, "sync", lambda path: seen.update(results.rglob("*.*")))
    writer = Writer(results, "s")
    for n in range(20):
        flush(writer, n)
    outside = {path.relative_to(results).as_posix() for path in seen if ".state" not in path.parts}
    assert len(outside) == 22  # 20 flushes and 2 mergers
    assert all(re.fullmatch(r"epochs/s/\d{8}-\d{8}\.parquet", path) for path in outside)
    assert [path for path in (results / ".state").rglob("*") if path.is_file()] == []


def test_the_unknown_is_refused_at_once(results):
    writer = Writer(results, "s", config_types={"filters": int})
    with pytest.raises(KeyError, match=r"table 'epochs' has no column \['filters', 'size'\]"):
        writer.append("epochs", [{"epoch": 1, "size": 3, "filters": 32}])
    with pytest.raises(KeyError, match="weights"):
        writer.append("weights", [{}])
    assert writer.pending == 0


@pytest.mark.parametrize(
    ("table", "row", "missing"),
    [
        ("epochs", {"attempt": 0}, ["trial_id", "epoch"]),
        ("trials", {"trial_id": "t", "attempt": 0}, ["continuation"]),
        ("trials", {"trial_id": None, "attempt": 0, "continuation": 0}, ["trial_id"]),
        ("plan", {"run": "r", "trial_id": "t"}, ["question"]),
    ],
)
def test_a_row_without_its_key_is_refused_at_once(results, table, row, missing):
    writer = Writer(results, "s")
    with pytest.raises(KeyError, match=re.escape(f"a row of table {table!r} lacks {missing} of its key")):
        writer.append(table, [ROWS[table], row])
    assert writer.pending == 0


def test_a_killed_writers_files_go_and_another_sweeps_stay(results, monkeypatch):
    for sweep in ("s", "s.t"):

        def die(path, sync=layersweep.records.write.sync):
            if path.is_file():
                raise KeyboardInterrupt
            sync(path)

        with monkeypatch.context() as patch:
            patch.setattr(layersweep.records.write, "sync", die)
            writer = Writer(results, sweep)
            with pytest.raises(KeyboardInterrupt):
                flush(writer, 1)
    parts = results / ".state" / "parts"
    assert [path.name.rsplit(".", 2)[0] for path in sorted(parts.iterdir())] == ["s", "s.t"]
    Writer(results, "s")
    assert [path.name.rsplit(".", 2)[0] for path in parts.iterdir()] == ["s.t"]


def test_leaving_the_writer_flushes_also_after_an_error(results):
    writer = Writer(results, "s")
    writer.append("epochs", epochs(1, 2))
    assert writer.pending == 2
    with pytest.raises(ZeroDivisionError), writer:
        raise ZeroDivisionError
    assert writer.pending == 0
    assert numbers(results) == [1, 2]


# Merging


@pytest.mark.parametrize(("flushes", "left"), [(1, 1), (7, 7), (8, 1), (63, 14), (64, 1)])
def test_as_many_parts_are_left_as_the_octal_digits_add_up_to(results, flushes, left):
    writer = Writer(results, "s")
    for n in range(flushes):
        flush(writer, n)
    assert len(names(results)) == left
    assert numbers(results) == list(range(flushes))


def test_300_flushes_never_leave_50_parts_and_lose_nothing(results):
    writer = Writer(results, "s")
    most = 0
    for n in range(300):
        flush(writer, 2 * n, 2 * n + 1)
        most = max(most, len(names(results)))
    assert most == 7 + 7 + 3  # after 255 flushes: 0o377
    assert numbers(results) == list(range(600))
    spans = [(0, 63), (64, 127), (128, 191), (192, 255)]  # 300 is 0o454
    spans += [
        (256, 263),
        (264, 271),
        (272, 279),
        (280, 287),
        (288, 295),
        (296, 296),
        (297, 297),
        (298, 298),
        (299, 299),
    ]
    assert names(results) == [f"{first:08d}-{last:08d}.parquet" for first, last in spans]
    plain = pl.read_parquet(folder(results))
    assert sorted(plain["epoch"]) == list(range(600))


def test_a_second_writer_goes_on_with_the_sequence(results):
    for n in range(10):
        with Writer(results, "s") as writer:
            writer.append("epochs", epochs(n))
    assert names(results) == [
        f"{name}.parquet" for name in ("00000000-00000007", "00000008-00000008", "00000009-00000009")
    ]
    assert numbers(results) == list(range(10))


def test_sweeps_share_results_but_no_parts(results):
    one, other = Writer(results, "s"), Writer(results, "other")
    for n in range(9):
        flush(one, n)
        flush(other, 100 + n)
    assert read(results, "epochs", "s")["epoch"].to_list() == list(range(9))
    assert read(results, "epochs", "other")["epoch"].to_list() == list(range(100, 109))
    assert set(read(results, "epochs", "other")["sweep"]) == {"other"}


def test_a_merger_that_failed_is_made_up_for(results, monkeypatch):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    write, calls = pq.write_table, itertools.count()

    def fill_the_disk_for_mergers(content, *args, **options):
        if len(content) > 1:
            next(calls)
            raise OSError(errno.ENOSPC, "No space left on device")
        write(content, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(layersweep.records.write.pq, "write_table", fill_the_disk_for_mergers)
        for n in range(7, 60):
            with pytest.raises(ResultsError, match="No space left"):
                flush(writer, n)
            assert writer.pending == 0  # the rows themselves are safe
    assert next(calls) == 53
    assert len(names(results)) == 60
    flush(writer, 60)
    assert names(results) == ["00000000-00000060.parquet"]
    assert numbers(results) == list(range(61))


def test_a_damaged_part_is_left_out_of_a_merger_with_a_warning(results):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    (folder(results) / "00000003-00000003.parquet").write_bytes(b"torn")
    with pytest.warns(DamagedPartWarning, match="00000003-00000003"):
        flush(writer, 7)
    assert names(results) == ["00000000-00000007.parquet"]
    assert numbers(results) == [0, 1, 2, 4, 5, 6, 7]


# A crash: whatever was not written yet is lost, nothing else


class Crash(BaseException):
    """The process dies here."""


def crash_at(monkeypatch, step, action):
    """Runs an action until just before its `step`-th touch of the disk; whether it came so far."""
    count = itertools.count()

    def dying(touch):
        def wrapped(*args, **options):
            if next(count) == step:
                raise Crash
            return touch(*args, **options)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "mkdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(os, "link", dying(os.link))
        patch.setattr(layersweep.records.write.pq, "write_table", dying(pq.write_table))
        patch.setattr(layersweep.records.write, "sync", dying(layersweep.records.write.sync))
        try:
            action()
        except Crash:
            return True
    return False


def test_a_crash_at_any_step_of_a_flush_and_its_merger(results, monkeypatch):
    for step in itertools.count():
        case = results / str(step)
        writer = Writer(case, "s")
        for n in range(7):
            flush(writer, n)
        crashed = crash_at(monkeypatch, step, lambda writer=writer: flush(writer, 7))
        before = numbers(case)
        assert before in ([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6, 7])
        again = Writer(case, "s")
        flush(again, 100)
        assert numbers(case) == [*before, 100]
        assert sorted(pl.read_parquet(folder(case))["epoch"]) == [*before, 100]  # no row twice for a plain reader
        assert len(names(case)) <= 2
        if not crashed:
            break
    assert step >= 2 * (2 + 4) + 8  # flush and merger: two folders, write, sync, rename, sync; eight sources go


def test_after_a_crash_a_trial_that_has_ended_has_all_its_rows(results, monkeypatch):
    for step in itertools.count():
        case = results / str(step)
        writer = Writer(case, "s")
        writer.append("trials", [trial("t")])
        writer.append("tests", epochs(2))
        writer.append("epochs", epochs(1, 2))
        crashed = crash_at(monkeypatch, step, writer.flush)
        ended, tested, trained = (len(read(case, table)) for table in ("trials", "tests", "epochs"))
        assert (ended, tested, trained) == (1, 1, 2) or ended == 0
        if not crashed:
            break
    assert step >= 3 * 6  # two folders, write, sync, rename, sync for each table, at least


def test_a_crash_at_any_step_of_a_rewriting(results, monkeypatch):
    for step in itertools.count():
        case = results / str(step)
        for n in range(3):
            with Writer(case, "s", config_types={"a": int}) as writer:
                writer.append("trials", [trial(f"t{n}", a=n)])
        crashed = crash_at(monkeypatch, step, lambda case=case: Writer(case, "s", config_types={"b": str}))
        assert read(case, "trials")["a"].to_list() == [0, 1, 2]
        with Writer(case, "s", config_types={"b": str}) as writer:
            writer.append("trials", [trial("t3", b="new")])
        assert read(case, "trials").select("trial_id", "a", "b").rows() == [
            ("t0", 0, None), ("t1", 1, None), ("t2", 2, None), ("t3", None, "new"),
        ]  # fmt: skip
        assert len(pl.read_parquet(folder(case, "trials"))) == 4
        if not crashed:
            break
    assert step >= 2 + 2 + 4 + 3  # the folder is tried, two folders, write, sync, rename, sync; three sources go


def test_sources_that_a_crash_left_are_kept_while_their_merger_is_damaged(results):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    shutil.copytree(folder(results), results / "copy")
    flush(writer, 7)
    shutil.copytree(results / "copy", folder(results), dirs_exist_ok=True)
    (folder(results) / "00000000-00000007.parquet").write_bytes(b"torn")
    with sweep_lock(results, "s"), pytest.warns(DamagedPartWarning, match="00000000-00000007"):
        Writer(results, "s")
    assert numbers(results) == [0, 1, 2, 3, 4, 5, 6]


def test_kill_9_amid_flushes_loses_only_what_was_not_flushed(results, endless_writer):
    durable = -1
    for n in range(25):
        with endless_writer.running(results, first=durable + 1) as written_numbers:
            time.sleep(0.0037 * n)
        rows = numbers(results)  # a torn part would warn, and warnings are errors
        assert rows == list(range(len(rows)))
        assert len(rows) in (
            written_numbers[-1] + 1,
            written_numbers[-1] + 4,
        )  # the last flush may not have come to tell
        durable = rows[-1]
    flush(Writer(results, "s"), durable + 1)
    assert numbers(results) == list(range(durable + 2))
    assert sorted(pl.read_parquet(folder(results))["epoch"]) == list(range(durable + 2))
    assert len(names(results)) <= 50


# The configuration's columns


def test_a_new_key_gives_all_parts_of_trials_one_schema(results):
    for n in range(3):
        with Writer(results, "s", config_types={"optimizer": str}) as writer:
            writer.append("trials", [trial(f"t{n}", optimizer="sgd")])
    with Writer(results, "s", config_types={"momentum": float, "optimizer": str}) as writer:
        assert names(results, "trials") == ["00000000-00000003.parquet"]
        writer.append("trials", [trial("t3", optimizer="adam", momentum=0.9)])
    assert names(results, "trials") == ["00000000-00000003.parquet", "00000004-00000004.parquet"]
    expected = [("t0", "sgd", None), ("t1", "sgd", None), ("t2", "sgd", None), ("t3", "adam", 0.9)]
    plain = pl.read_parquet(folder(results, "trials")).sort("trial_id")
    assert plain.select(pl.col("trial_id", "optimizer").cast(pl.String), "momentum").rows() == expected
    frame = pd.read_parquet(folder(results, "trials")).sort_values("trial_id")
    assert frame["optimizer"].tolist() == ["sgd", "sgd", "sgd", "adam"]
    assert frame["momentum"].isna().tolist() == [True, True, True, False]
    assert read(results, "trials").select("trial_id", "optimizer", "momentum").rows() == expected


def test_a_key_that_is_gone_keeps_its_column(results):
    with Writer(results, "s", config_types={"optimizer": str, "momentum": float}) as writer:
        writer.append("trials", [trial("t0", optimizer="sgd", momentum=0.9)])
    with Writer(results, "s", config_types={"optimizer": str}) as writer:
        writer.append("trials", [trial("t1", optimizer="adam")])
    assert read(results, "trials").select("optimizer", "momentum").rows() == [("sgd", 0.9), ("adam", None)]
    assert len(pl.read_parquet(folder(results, "trials"))) == 2


def test_the_same_keys_rewrite_nothing(results):
    for _ in range(2):
        with Writer(results, "s", config_types={"optimizer": str}) as writer:
            writer.append("trials", [trial("t0", optimizer="sgd")])
    before = {path: path.stat().st_ino for path in folder(results, "trials").iterdir()}
    Writer(results, "s", config_types={"optimizer": str})
    assert {path: path.stat().st_ino for path in folder(results, "trials").iterdir()} == before
    assert len(before) == 2


def test_another_type_for_a_recorded_key_is_refused(results):
    with Writer(results, "s", config_types={"filters": int}) as writer:
        writer.append("trials", [trial("t0", filters=32)])
    with pytest.raises(ResultsError, match=r"trials/s has a column whose type has changed .*filters.*--results"):
        Writer(results, "s", config_types={"filters": str})
    assert read(results, "trials")["filters"].to_list() == [32]


# Other schemas


ROWS = {
    "plan": {"run": "r", "trial_id": "t", "question": "comparison"},
    "runs": {"run": "r", "event": "start"},
    "trials": trial("t"),
    "epochs": {"trial_id": "t", "attempt": 0, "epoch": 1},
    "layers": {"trial_id": "t", "attempt": 0, "epoch": 1, "index": 0},
    "tests": {"trial_id": "t", "attempt": 0, "epoch": 1},
    "classes": {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test", "class_index": 0},
}


@pytest.mark.parametrize("table", ROWS)
def test_a_writer_refuses_a_newer_schema_in_any_table_of_its_sweep_and_touches_nothing(results, monkeypatch, table):
    write_version_1(results, "s", "plan", [ROWS["plan"] | {"trial_id": "old"}])
    with monkeypatch.context() as patch:
        patch.setattr(layersweep.records.write, "SCHEMA_VERSION", 3)
        patch.setattr(Writer, "_adopt_columns", lambda self, table: None)
        with Writer(results, "s") as writer:
            writer.append(table, [ROWS[table]])
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*.parquet")}
    with pytest.raises(
        ResultsError, match=f"{table}/s/.* has schema version 3, but this program reads up to version 2"
    ):
        Writer(results, "s")
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.parquet")} == before
    Writer(results, "another")


def test_opening_reads_no_rows_of_parts_that_have_todays_columns(results, monkeypatch):
    with Writer(results, "s", config_types={"filters": int}) as writer:
        for table, row in ROWS.items():
            writer.append(table, [row])

    def refuse(*arguments):
        raise AssertionError(arguments)

    monkeypatch.setattr(layersweep.records.write, "read_part", refuse)
    with Writer(results, "s", config_types={"filters": int}) as writer:
        writer.append("trials", [trial("t2")])


def test_a_writer_brings_version_1_up_to_date(results):
    momentum = pa.field("momentum", pa.float64())
    for n in range(3):
        write_version_1(results, "s", "trials", [version_1_trial(f"t{n}", momentum=n / 10)], number=n, keys=[momentum])
        write_version_1(results, "s", "plan", [ROWS["plan"] | {"trial_id": f"t{n}"}], number=n)
    write_version_1(results, "s", "epochs", epochs(1))
    before = {path: path.stat().st_ino for path in folder(results).iterdir()}
    with Writer(results, "s", config_types={"filters": int}) as writer:
        writer.append("trials", [trial("t2", continuation=1, filters=32)])
        writer.append("plan", [ROWS["plan"] | {"trial_id": "t3", "candidate": 4}])
    assert {path: path.stat().st_ino for path in folder(results).iterdir()} == before  # nothing to bring up
    assert names(results, "trials") == ["00000000-00000003.parquet", "00000004-00000004.parquet"]
    columns = ["trial_id", "continuation", "filters", "momentum"]
    rows = [("t0", 0, None, 0.0), ("t1", 0, None, 0.1), ("t2", 0, None, 0.2), ("t2", 1, 32, None)]
    for frame in (read(results, "trials"), pl.read_parquet(folder(results, "trials"))):
        assert frame.with_columns(pl.col("trial_id").cast(pl.String)).select(columns).rows() == rows
    assert not any(pq.read_schema(p).field("continuation").nullable for p in folder(results, "trials").iterdir())
    assert pl.read_parquet(folder(results, "plan"))["candidate"].to_list() == [None, None, None, 4]


def test_parts_of_version_1_are_merged_with_todays(results):
    for n in range(6):
        write_version_1(results, "s", "trials", [version_1_trial(f"t{n}")], number=n)
    with Writer(results, "s") as writer:  # one part of seven flushes by now
        for n in range(6, 14):
            writer.append("trials", [trial(f"t{n}", continuation=n)])
            writer.flush()
        assert len(names(results, "trials")) < 8
    assert read(results, "trials")["continuation"].to_list() == [0] * 6 + list(range(6, 14))


# A disk that refuses


@pytest.mark.parametrize("refused", ["a file/results", "/proc/results"])
def test_results_that_cannot_be_written_are_named(tmp_path, refused):
    (tmp_path / "a file").write_text("not a folder")
    with pytest.raises(ResultsError, match=f"cannot write to the results folder .*{refused}: "):
        Writer(tmp_path / refused, "s")


@pytest.mark.parametrize("failing", ["write_table", "sync"])
def test_rows_stay_pending_when_the_disk_is_full(results, monkeypatch, failing):
    writer = Writer(results, "s")
    flush(writer, 1)

    def refuse(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            layersweep.records.write.pq if failing == "write_table" else layersweep.records.write, failing, refuse
        )
        with pytest.raises(
            ResultsError, match=r"cannot write .*/epochs/s/00000001-00000001.*No space left.*free the disk"
        ):
            flush(writer, 2)
    assert writer.pending == 1
    assert numbers(results) == [1]
    flush(writer, 3)
    assert writer.pending == 0
    assert numbers(results) == [1, 2, 3]
    assert list((results / ".state" / "parts").iterdir()) == []


@pytest.mark.parametrize("refused", ["", "epochs", "epochs/s"])
def test_rows_are_written_once_when_a_folder_could_not_be_synced(results, monkeypatch, refused):
    writer, sync = Writer(results, "s"), layersweep.records.files.sync

    def refuse_folder(path):
        if path == results / refused:
            raise OSError(errno.EIO, "Input/output error")
        sync(path)

    with monkeypatch.context() as patch:
        for module in (layersweep.records.files, layersweep.records.write):
            patch.setattr(module, "sync", refuse_folder)
        for _ in range(2):
            with pytest.raises(ResultsError, match="Input/output error; check the disk and run again"):
                flush(writer, 1)
    assert writer.pending == 2  # the part is there, but is not known to last
    flush(writer, 2)
    assert numbers(results) == [1, 1, 2]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small disk takes root")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_disk_that_fills_up_and_is_freed(small_disk):
    filler = small_disk / "other data"
    writer = Writer(small_disk / "results", "s")
    flush(writer, 1)
    filler.write_bytes(bytes(900 << 10))  # some of the part still fits
    noise = [{"trial_id": f"{n * 7919:x}" * 40, "attempt": 0, "epoch": n, "loss": n / 7} for n in range(2, 20_000)]
    writer.append("epochs", noise)
    for _ in range(2):
        with pytest.raises(ResultsError, match="No space left on device; free the disk"):
            writer.flush()
    assert writer.pending == 19_998
    assert numbers(small_disk / "results") == [1]
    filler.unlink()
    writer.flush()
    assert numbers(small_disk / "results") == list(range(1, 20_000))
    assert list((small_disk / "results/.state/parts").iterdir()) == []


def test_a_disk_that_turns_read_only(small_disk):
    results = small_disk / "results"
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for _ in range(2):
        with pytest.raises(
            ResultsError, match=r"cannot write .*: Read-only file system; make the disk writable and run"
        ):
            flush(writer, 7)
    assert numbers(results) == list(range(7))
    refusals = {
        "cannot write to the results folder": lambda: Writer(results, "s"),
        "cannot lock the sweep 's'": lambda: sweep_lock(results, "s").__enter__(),
        "cannot delete the sweep 's'": lambda: delete(results, "s"),
        r"cannot write .*/rows\.csv": lambda: export(results, "s", "epochs", results / "rows.csv"),
        "cannot lock the sweep": lambda: prune(results),
    }
    for message, action in refusals.items():
        with pytest.raises(ResultsError, match=f"{message}.*: Read-only file system; make the disk writable and run"):
            action()
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    writer.flush()
    assert numbers(results) == [*range(7), 7, 7]
    assert names(results) == ["00000000-00000007.parquet"]


CALLS = {
    "mkdir": (Path, errno.EROFS), "is_dir": (Path, errno.EIO), "glob": (Path, errno.ESTALE),
    "unlink": (Path, errno.EROFS), "write_table": (pq, errno.EDQUOT), "sync": (layersweep.records.write, errno.EIO),
    "link": (os, errno.EROFS),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_whatever_the_system_refuses_is_an_error_of_the_results(results, monkeypatch, name):
    """Each call of a flush and its merger fails from some time on, and works again later."""
    place, number = CALLS[name]
    whole, messages = getattr(place, name), []
    for working in range(3):
        case, count = results / str(working), itertools.count()
        writer = Writer(case, "s")
        for n in range(7):
            flush(writer, n)

        def refuse(*arguments, count=count, working=working, **options):
            if next(count) >= working:
                raise OSError(number, os.strerror(number))
            return whole(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(place, name, refuse)
            try:
                flush(writer, 7)
            except ResultsError as error:
                messages.append(str(error))
        flush(writer, 8)
        assert numbers(case) == list(range(9))
        Writer(case, "s")
        assert sorted(pl.read_parquet(folder(case))["epoch"]) == list(range(9))
    assert messages
    assert all(f": {os.strerror(number)}; " in message for message in messages)


@pytest.mark.parametrize("written", range(4))
def test_a_kill_between_two_tables_never_leaves_an_end_without_what_it_stands_for(tmp_path, monkeypatch, written):
    """A trial that is recorded as ended is not run again: its epochs and test must be safe before its end is."""
    writer = Writer(tmp_path, "s")
    ids = {"trial_id": "a", "attempt": 0}
    writer.append("trials", [ids | {"continuation": 0}])
    writer.append("tests", [ids | {"epoch": 1}])
    writer.append("epochs", [ids | {"epoch": 1}])
    writer.append("layers", [ids | {"epoch": 1, "index": 0}])
    left = iter(range(written))
    whole = Writer._write

    def write_some(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt  # as a kill: nothing after this is written
        whole(self, *arguments)

    monkeypatch.setattr(Writer, "_write", write_some)
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    assert read(tmp_path, "trials").is_empty()
    assert sum(not read(tmp_path, table).is_empty() for table in ("epochs", "layers", "tests")) == written


def test_a_folder_whose_name_is_not_utf_8_is_written_and_read_and_nothing_is_set_aside(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    for n in range(3):
        with sweep_lock(folder, "s"), Writer(folder, "s") as writer:
            writer.append("epochs", [{"trial_id": "t", "attempt": 0, "epoch": n}])
    assert read(folder, "epochs")["epoch"].to_list() == [0, 1, 2]
    assert not (folder / ".state" / "damaged").exists()
    for suffix in (".csv", ".parquet", ".json", ".ndjson"):
        assert export(folder, "s", "epochs", folder / f"e{suffix}") == 3
