"""Reading is exact: while a sweep writes, beside damaged parts, and over sweeps that differ."""

import errno
import os
import resource
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from epoch_rows import epochs, flush, numbers
from version_1 import version_1_trial, write_version_1

from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.read import DamagedPartWarning, part_name, part_range, parts, read, read_part, sweeps
from layersweep.records.tables import EPOCHS
from layersweep.records.write import Writer


def write_part(results, first, last, *numbers, version=b"2"):
    """A part with any range, as a merger or a later program would leave it."""
    path = results / "epochs" / "s" / part_name(first, last)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"sweep": "s", **row} for row in epochs(*numbers)]
    content = pa.Table.from_pylist(rows, schema=EPOCHS.schema)
    pq.write_table(content.replace_schema_metadata({b"schema_version": version}), path, write_page_checksum=True)
    return path


# What is read


def test_an_unknown_table_is_refused_and_the_valid_ones_are_listed(results):
    with pytest.raises(ResultsError, match="unknown table 'weights'; valid: ") as refused:
        read(results, "weights")
    valid = str(refused.value).split("valid: ")[1].split(", ")
    assert sorted(valid) == ["classes", "epochs", "exports", "layers", "plan", "results", "runs", "tests", "trials"]


@pytest.mark.parametrize("sweep", [None, "s"])
def test_without_results_the_frame_is_empty_and_has_the_columns(results, sweep):
    frame = read(results, "tests", sweep)
    assert dict(frame.schema) == {
        "sweep": pl.String, "trial_id": pl.String, "attempt": pl.Int32, "epoch": pl.Int32, "loss": pl.Float64,
        "accuracy": pl.Float64, "balanced_accuracy": pl.Float64, "macro_f1": pl.Float64, "images": pl.Int64,
        "at": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    assert len(frame) == 0
    assert sweeps(results) == []
    assert not results.exists()


def test_sweeps_with_other_configurations_are_united(results):
    written = {"b": ({"filters": int}, {"filters": 32}), "a": ({"optimizer": str, "rate": float}, {"optimizer": "sgd"})}
    for name, (types, values) in written.items():
        with Writer(results, name, config_types=types) as writer:
            writer.append("trials", [{"trial_id": f"t-{name}", "attempt": 0, "continuation": 0, **values}])
    with Writer(results, "c") as writer:
        writer.append("epochs", epochs(1))
    assert sweeps(results) == ["a", "b"]
    assert sweeps(results, "epochs") == ["c"]
    frame = read(results, "trials")
    columns = ["sweep", "trial_id", "optimizer", "rate", "filters"]
    assert frame.select(columns).rows() == [("a", "t-a", "sgd", None, None), ("b", "t-b", None, None, 32)]
    assert frame.columns[-3:] == columns[-3:]
    assert (frame.schema["filters"], frame.schema["optimizer"]) == (pl.Int64, pl.String)
    assert "filters" not in read(results, "trials", "a").columns


def test_names_are_strings_however_often_they_repeat(results):
    writer = Writer(results, "s")
    for n in range(3):  # each part has a dictionary of its own
        writer.append("layers", [{"trial_id": f"t{n}", "attempt": 0, "epoch": 1, "index": 0, "kind": "Conv2D"}])
        writer.flush()
    frame = read(results, "layers")
    assert frame["kind"].dtype == pl.String
    assert frame.select("trial_id", "kind").rows() == [("t0", "Conv2D"), ("t1", "Conv2D"), ("t2", "Conv2D")]


def test_other_readers_see_the_same_values(results):
    with Writer(results, "s") as writer:
        writer.append("epochs", [{**row, "val_loss": 0.5} for row in epochs(1, 2)])
    folder = results / "epochs" / "s"
    query = f"select sweep, trial_id, epoch, val_loss, loss from '{folder}/*.parquet' order by epoch"
    assert duckdb.sql(query).fetchall() == [("s", "t", 1, 0.5, None), ("s", "t", 2, 0.5, None)]
    frame = pd.read_parquet(folder)
    assert frame["epoch"].tolist() == [1, 2]
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"


# Columns


def test_only_the_columns_that_are_asked_for_are_read_in_their_order(results):
    with Writer(results, "s") as writer:
        writer.append("epochs", epochs(1, 2))
    frame = read(results, "epochs", columns=["epoch", "trial_id"])
    assert (frame.columns, frame.rows()) == (["epoch", "trial_id"], [(1, "t"), (2, "t")])
    whole = read(results, "epochs")
    for name in whole.columns:
        assert read(results, "epochs", columns=[name]).equals(whole.select(name)), name


@pytest.mark.parametrize("sweep", [None, "s"])
def test_columns_of_no_rows_have_their_types(results, sweep):
    frame = read(results, "tests", sweep, columns=["at", "trial_id"])
    assert dict(frame.schema) == {"at": pl.Datetime("us", "UTC"), "trial_id": pl.String}


def test_a_configuration_key_that_only_some_sweeps_have_is_null_elsewhere(results):
    for name, types in (("a", {"filters": int}), ("b", {})):
        with Writer(results, name, config_types=types) as writer:
            writer.append("trials", [{"trial_id": name, "attempt": 0, "continuation": 0, **dict.fromkeys(types, 32)}])
    assert read(results, "trials", columns=["filters"]).rows() == [(32,), (None,)], "no row is lost"
    assert read(results, "trials", columns=["filters", "trial_id"]).rows() == [(32, "a"), (None, "b")]
    with pytest.raises(ResultsError, match=r"table 'trials' has no column 'filters'; valid: sweep, .* and the config"):
        read(results, "trials", "b", columns=["trial_id", "filters"])


def test_an_unknown_column_is_refused_and_the_valid_ones_are_listed(results):
    with pytest.raises(ResultsError, match=r"table 'tests' has no column 'f1', 'size'; valid: sweep, .*, images, at$"):
        read(results, "tests", columns=["epoch", "f1", "size"])


def test_what_version_1_did_not_know_is_filled_in_where_few_columns_are_read(results):
    write_version_1(results, "old", "trials", [version_1_trial("a"), version_1_trial("b", attempt=1)])
    assert read(results, "trials", columns=["continuation"]).rows() == [(0,), (0,)]
    assert read(results, "trials", columns=["warning"]).rows() == [(None,), (None,)]
    names = ["continuation", "trial_id", "attempt"]
    assert read(results, "trials", columns=names).equals(read(results, "trials").select(names))


def test_damage_is_named_by_whoever_reads_the_damaged_column(results):
    write_part(results, 0, 0, 1)
    damaged = write_part(results, 1, 1, 2)
    damaged.write_bytes(flip(damaged.read_bytes(), in_a_data_page(damaged)))
    assert read(results, "epochs", columns=["trial_id"]).rows() == [("t",), ("t",)]
    with pytest.warns(DamagedPartWarning):
        assert read(results, "epochs", columns=["epoch"]).rows() == [(1,)]
    damaged.write_bytes(b"torn")
    with pytest.warns(DamagedPartWarning):
        assert read(results, "epochs", columns=["trial_id"]).rows() == [("t",)]


# Parts


def test_a_parts_name_is_its_range():
    assert part_name(8, 15) == "00000008-00000015.parquet"


@pytest.mark.parametrize(
    ("name", "span"),
    [
        ("00000008-00000015.parquet", (8, 15)),
        ("00000008-00000015.parquet.tmp", None),
        ("8-15.parquet", None),
        ("part-0.parquet", None),
    ],
)
def test_a_range_is_read_off_a_name(tmp_path, name, span):
    assert part_range(tmp_path / name) == span


def test_a_covered_part_is_ignored(results):
    write_part(results, 0, 0, 1)
    write_part(results, 1, 1, 2)
    write_part(results, 2, 2, 3)
    merged = write_part(results, 0, 1, 1, 2)
    assert [path.name for path in parts(merged.parent)] == [part_name(0, 1), part_name(2, 2)]
    assert numbers(results) == [1, 2, 3]
    write_part(results, 0, 2, 1, 2, 3)
    assert numbers(results) == [1, 2, 3]


def test_parts_come_in_the_order_of_their_flushes(results):
    for n in (10, 2, 100, 1):
        write_part(results, n, n, n)
    assert numbers(results) == [1, 2, 10, 100]


def test_files_of_others_are_ignored(results):
    folder = write_part(results, 0, 0, 1).parent
    (folder / "notes.txt").write_text("mine")
    (folder / "copy.parquet").write_bytes(b"mine")
    assert numbers(results) == [1]
    assert (folder / "copy.parquet").exists()


def test_a_newer_schema_is_not_guessed_at(results):
    write_part(results, 0, 0, 1)
    newer = write_part(results, 1, 1, 2, version=b"3")
    with pytest.raises(
        ResultsError, match=f"{newer} has schema version 3, but this program reads up to version 2: use a"
    ):
        numbers(results)
    assert newer.exists()


# Schema version 1


def test_the_trials_of_version_1_have_ended_once_an_attempt(results):
    write_version_1(results, "old", "trials", [version_1_trial("a"), version_1_trial("b", attempt=1)])
    with Writer(results, "new") as writer:
        writer.append("trials", [{"trial_id": "c", "attempt": 0, "continuation": 2, "warning": "slow"}])
    columns = ["sweep", "trial_id", "attempt", "continuation", "warning"]
    rows = [("new", "c", 0, 2, "slow"), ("old", "a", 0, 0, None), ("old", "b", 1, 0, None)]
    assert read(results, "trials").select(columns).rows() == rows
    old = read(results, "trials", "old")
    assert old["continuation"].to_list() == [0, 0]
    assert old.schema["continuation"] == pl.Int32


def test_what_version_1_did_not_know_is_null(results):
    write_version_1(results, "old", "plan", [{"run": "r", "trial_id": "a", "question": "comparison"}])
    assert "candidate" not in pl.read_parquet(results / "plan" / "old").columns
    assert read(results, "plan").select("trial_id", "candidate", "config_json").rows() == [("a", None, None)]


# Damage


def flip(content, position):
    return content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]


def in_a_data_page(path):
    """The last byte of the column `epoch`: of its only data page."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    (column,) = (c for i in range(group.num_columns) if (c := group.column(i)).path_in_schema == "epoch")
    start = column.dictionary_page_offset or column.data_page_offset
    return start + column.total_compressed_size - 1


DAMAGES = {
    "empty": lambda path: b"",
    "garbage": lambda path: b"this is no Parquet file " * 100,
    "cut in half": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "last byte lost": lambda path: path.read_bytes()[:-1],
    "zeros, as after a power cut": lambda path: bytes(path.stat().st_size),
    "a bit of a data page": lambda path: flip(path.read_bytes(), in_a_data_page(path)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_part_is_named_and_set_aside_and_the_rest_is_read(results, damage):
    writer = Writer(results, "s")
    for n in range(3):
        flush(writer, 10 * n, 10 * n + 1)
    damaged = results / "epochs" / "s" / part_name(1, 1)
    content = damage(damaged)
    damaged.write_bytes(content)
    aside = results / ".state" / "damaged" / "epochs" / "s" / part_name(1, 1)
    with pytest.warns(DamagedPartWarning, match=r"is damaged \(.*; left out"):
        assert numbers(results) == [0, 1, 20, 21]
    assert damaged.read_bytes() == content, "the sweep may run: only its own command may take a part from it"
    with sweep_lock(results, "s"), pytest.warns(DamagedPartWarning) as messages:
        assert numbers(results) == [0, 1, 20, 21]
    (warning,) = messages
    assert str(warning.message).startswith(f"{damaged} is damaged (")
    assert str(warning.message).endswith(f"; set aside as {aside}")
    assert aside.read_bytes() == content
    assert not damaged.exists()
    assert numbers(results) == [0, 1, 20, 21]  # without a warning, which would be an error
    assert sorted(pl.read_parquet(damaged.parent)["epoch"]) == [0, 1, 20, 21]
    flush(writer, 30)
    assert numbers(results) == [0, 1, 20, 21, 30]


def test_without_the_lock_a_damaged_part_is_left_where_it_is(results):
    for n in (1, 2):
        write_part(results, n, n, n)
    damaged = results / "epochs" / "s" / part_name(1, 1)
    damaged.write_bytes(b"torn")
    with sweep_lock(results, "another"), pytest.warns(DamagedPartWarning, match="left out"):
        rows = read(results, "epochs")
    assert rows["epoch"].to_list() == [2]
    assert damaged.exists()
    assert not (results / ".state" / "damaged").exists()


def test_where_all_parts_are_damaged_the_columns_remain(results):
    write_part(results, 0, 0, 1).write_bytes(b"")
    with pytest.warns(DamagedPartWarning):
        frame = read(results, "epochs")
    assert (len(frame), frame.columns) == (0, EPOCHS.schema.names)


def test_no_flipped_bit_stops_the_reader(results):
    """Data pages have checksums; the footer has none, and may still be read, but never ends in a foreign error."""
    path = write_part(results, 0, 0, *range(20))
    sound = path.read_bytes()
    assert len(sound) < 6000
    counts = {"sound": 0, "damaged": 0, "newer": 0, "unknown": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedPartWarning)
        for position in range(0, len(sound), 3):
            path.write_bytes(flip(sound, position))
            try:
                counts["damaged" if read_part(path, results) is None else "sound"] += 1
            except ResultsError as error:
                kind = "newer" if "schema version" in str(error) else "unknown"
                if kind == "unknown" and "Integers" not in str(error):
                    raise
                counts[kind] += 1  # the unknown may be of a later format, for all that one can tell: it stays
    assert counts["damaged"] > 100
    assert counts["unknown"] < counts["damaged"] / 20


def test_a_flipped_bit_in_the_names_of_the_footer_is_damage(results):
    path = write_part(results, 0, 0, 1)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"val_accuracy", b"\xffal_accuracy"))
    with pytest.warns(DamagedPartWarning, match="codec can't decode"):
        assert numbers(results) == []


# What is no damage


def test_a_part_that_the_system_refuses_to_open_stays_where_it_is(results):
    path = write_part(results, 0, 0, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(ResultsError, match=f"cannot read {path}: .*Too many open files"):
            read_part(path, results)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert numbers(results) == [1]


NO_DAMAGE = {
    "a codec is missing": pa.ArrowNotImplementedError("Support for codec 'zstd' not built"),
    "no memory": pa.ArrowMemoryError("malloc of size 64 failed"),
    "no permission": PermissionError(errno.EACCES, "Permission denied"),
    "a bad block": OSError(errno.EIO, "Input/output error"),
    "too many files": OSError(errno.ENFILE, "Too many open files in system"),
}


@pytest.mark.parametrize("error", NO_DAMAGE.values(), ids=NO_DAMAGE)
def test_what_is_no_damage_is_an_error_and_moves_nothing_even_under_the_lock(results, monkeypatch, error):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    before = sorted(results.rglob("*.parquet"))

    def refuse(*arguments, **options):
        raise error

    with monkeypatch.context() as patch, sweep_lock(results, "s"):
        patch.setattr(pq, "ParquetFile", refuse)
        with pytest.raises(ResultsError, match=r"cannot read .*/00000006-00000006.parquet: "):
            numbers(results)
        with pytest.raises(ResultsError, match=r"cannot read .*/00000000-00000000.parquet: "):
            flush(writer, 7)  # with the eighth part comes a merger: no source may be left out of it
        with pytest.raises(ResultsError, match="cannot read "):
            Writer(results, "s")
    assert sorted(results.rglob("*.parquet")) == [*before, results / "epochs" / "s" / part_name(7, 7)]
    assert numbers(results) == list(range(8))


def test_a_part_that_another_host_has_merged_away_is_gone_for_nfs_too(results, monkeypatch):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    whole = pq.ParquetFile

    def stale_once(*arguments, **options):
        monkeypatch.setattr(pq, "ParquetFile", whole)
        flush(writer, 7)
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(pq, "ParquetFile", stale_once)
    assert numbers(results) == list(range(8))


def test_a_folder_that_cannot_be_listed_is_an_error_of_the_results(results, monkeypatch):
    flush(Writer(results, "s"), 1)

    def refuse(folder):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("layersweep.records.read.parts", refuse)
    with pytest.raises(ResultsError, match=r"cannot read .*/epochs: Input/output error; check the disk"):
        numbers(results)


def test_a_part_that_is_gone_is_not_damaged(results):
    with pytest.raises(FileNotFoundError):
        read_part(results / "epochs" / "s" / part_name(0, 0), results)


@contextmanager
def a_stranger():
    """Acts as a user who owns nothing, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only(results):
    """Makes the results readable by all and writable by none."""

    def close():
        results.parent.chmod(0o755)
        for path in (results, *results.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        with a_stranger():
            if not os.access(results, os.R_OK, effective_ids=True):
                pytest.skip("without /dev/shm a stranger does not get to the results")

    yield close
    for path in (results, *results.rglob("*")):
        path.chmod(0o755)


def test_read_only_results_are_read(results, read_only):
    flush(Writer(results, "s"), 1, 2)
    read_only()
    with a_stranger():
        assert numbers(results) == [1, 2]
        with pytest.raises(ResultsError, match=f"cannot write to the results folder {results}: Permission denied"):
            Writer(results, "s")


def test_a_damaged_part_of_read_only_results_is_named_and_stays(results, read_only, monkeypatch):
    write_part(results, 0, 0, 1)
    damaged = write_part(results, 1, 1, 2)
    damaged.write_bytes(b"torn")
    read_only()
    with a_stranger(), pytest.warns(DamagedPartWarning, match="left out"):
        assert numbers(results) == [1]
    monkeypatch.setattr("layersweep.records.read.is_own", lambda *_: True)  # the disk turned read-only meanwhile
    with a_stranger(), pytest.warns(DamagedPartWarning) as messages:
        assert read_part(damaged, results) is None
    assert [str(w.message).startswith(str(damaged)) for w in messages] == [True, True]
    assert "cannot be moved" in str(messages[1].message)
    assert damaged.exists()


# While a sweep writes


@pytest.mark.parametrize("columns", [None, ["epoch"]])
def test_a_part_that_is_merged_away_while_reading_is_read_in_its_merger(results, monkeypatch, columns):
    writer = Writer(results, "s")
    for n in range(7):
        flush(writer, n)
    listed = []

    def list_then_merge(folder):
        rows = parts(folder)
        if not listed:
            flush(writer, 7)  # all that was listed is gone now
        listed.append(len(rows))
        return rows

    monkeypatch.setattr("layersweep.records.read.parts", list_then_merge)
    assert sorted(read(results, "epochs", columns=columns)["epoch"]) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert listed == [7, 1]


def test_the_newest_parts_are_read_first_for_they_are_the_first_to_be_merged_away(results, monkeypatch):
    writer = Writer(results, "s")
    for n in range(15):
        flush(writer, n)
    opened = []

    def open_then_merge(path, results, **options):
        opened.append(part_range(path))
        content = read_part(path, results, **options)
        if len(opened) == 2:
            flush(writer, 15)
        return content

    monkeypatch.setattr("layersweep.records.read.read_part", open_then_merge)
    assert numbers(results) == list(range(16))
    assert opened == [(14, 14), (13, 13), (12, 12), (8, 15), (0, 7)]


@pytest.mark.parametrize("remaining", [0, 1])
def test_a_listing_made_during_a_merge_lacks_nothing(results, monkeypatch, remaining):
    """A system may list neither the merged part, which came too late, nor those of its sources that went too early."""
    sources = [write_part(results, n, n, n) for n in range(2)]
    late = sources[:remaining]
    write_part(results, 0, 1, 0, 1)
    glob = Path.glob
    listings = [late]
    monkeypatch.setattr(Path, "glob", lambda path, pattern: listings.pop() if listings else glob(path, pattern))
    assert numbers(results) == [0, 1]


def test_a_folder_that_loses_parts_again_and_again_is_given_up(results, monkeypatch):
    numbered = iter(range(1000))
    monkeypatch.setattr(Path, "glob", lambda path, pattern: [path / part_name(number := next(numbered), number)])
    with pytest.raises(ResultsError, match="epochs/s changed 100 times while it was read; try again"):
        parts(results / "epochs" / "s")


def test_results_that_never_hold_still_are_given_up(results, monkeypatch):
    gone = write_part(results, 0, 0, 1)
    gone.unlink()
    monkeypatch.setattr("layersweep.records.read.parts", lambda folder: [gone])
    with pytest.raises(ResultsError, match="epochs/s changed 100 times while it was read; try again"):
        numbers(results)


PLAIN = {
    "polars": lambda folder: pl.read_parquet(folder)["epoch"].to_list(),
    "pandas": lambda folder: pd.read_parquet(folder)["epoch"].to_list(),
    "duckdb": lambda folder: [n for (n,) in duckdb.sql(f"select epoch from '{folder}/*.parquet'").fetchall()],
}


def test_reading_is_exact_while_a_writer_flushes_and_merges(results, endless_writer):
    until, reads, count = time.monotonic() + 3, 0, 0
    with endless_writer.running(results, rows=3) as written_numbers:
        while reads < 30 or time.monotonic() < until:
            rows = numbers(results)
            assert rows == list(range(len(rows)))
            assert len(rows) % 3 == 0
            assert len(rows) >= count
            count, reads = len(rows), reads + 1
    assert len(numbers(results)) in (written_numbers[-1] + 1, written_numbers[-1] + 4)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_reader_meets_no_torn_file_while_a_writer_flushes_and_merges(results, endless_writer, name):
    """It may meet a part that was merged away since it listed the folder, or a row in two parts."""
    read_plainly, folder = PLAIN[name], results / "epochs" / "s"
    until, reads, gone, doubled = time.monotonic() + 2, 0, 0, 0
    with endless_writer.running(results, rows=3):
        while reads < 10 or time.monotonic() < until:
            before = len(numbers(results))
            try:
                rows = read_plainly(folder)
            except (OSError, duckdb.IOException, pl.exceptions.ComputeError) as error:
                if "No such file" not in str(error):
                    raise
                gone += 1
                continue
            reads += 1
            doubled += len(rows) > len(set(rows))
            assert set(rows) >= set(range(before))
    print(f"{name}: {reads} reads, {gone} met a part that was merged away, {doubled} a row twice")
    assert sorted(set(read_plainly(folder))) == numbers(results)


@pytest.mark.parametrize("table", ["epochs", "trials"])
def test_a_part_of_another_table_or_of_other_types_is_left_out(tmp_path, table):
    """A damaged footer has no checksum, and a file from elsewhere may have any columns."""
    folder = tmp_path / table / "s"
    folder.mkdir(parents=True)
    keys = {"sweep": ["s"], "trial_id": ["a"], "attempt": pa.array([1], pa.int32())}
    for number, columns in enumerate(({"sweep": ["s"]}, {**keys, "epoch": ["one"], "epochs": ["one"]})):
        pq.write_table(pa.table(columns), folder / f"0000000{number}-0000000{number}.parquet")
    with pytest.warns(DamagedPartWarning, match="it has 0 columns|another type than its table's"):
        assert read(tmp_path, table).is_empty()
