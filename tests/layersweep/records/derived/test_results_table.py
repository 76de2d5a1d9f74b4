"""The table `results` is written whole or not at all, and goes with its sweep."""

import errno
import os

import polars as pl
import pytest
from recorded_rows import curve, plan, record, trial

from layersweep.records import files as record_files
from layersweep.records import maintenance, overview
from layersweep.records.command import main
from layersweep.records.derived import results_table
from layersweep.records.derived.results_table import is_written, read_results, write_results
from layersweep.records.errors import ResultsError
from layersweep.records.lock import sweep_lock
from layersweep.records.tables import RESULTS
from layersweep.records.write import Writer


def rows(*accuracies):
    empty = pl.DataFrame(pl.from_arrow(RESULTS.schema.empty_table())).cast({pl.Categorical: pl.String})
    values = [{"arm": "adam", "trial_id": "aa11", "epoch": n, "val_accuracy": a} for n, a in enumerate(accuracies, 1)]
    return pl.concat([empty, pl.DataFrame(values)], how="diagonal_relaxed").drop("sweep")


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    record(folder, "s", plan=[plan("aa11")], epochs=curve("aa11", 0.5, 0.75), trials=[trial("aa11")])
    return folder


def files(results):
    return sorted(path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file())


def test_a_later_study_replaces_what_an_earlier_one_wrote(results):
    before = files(results)
    write_results(results, "s", rows(0.5, 0.75))
    write_results(results, "s", rows(0.25))
    frame = read_results(results, "s")
    assert frame.select("sweep", "arm", "epoch", "val_accuracy").rows() == [("s", "adam", 1, 0.25)]
    assert frame.columns == RESULTS.schema.names
    assert sorted({*files(results)} - {*before}) == ["results/s/00000000-00000000.parquet"]


@pytest.mark.parametrize(("module", "call"), [(record_files, "sync"), (results_table, "write_parquet")])
def test_what_cannot_be_written_leaves_the_table_of_before_and_nothing_else(results, monkeypatch, module, call):
    write_results(results, "s", rows(0.5))
    before = files(results)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, call, refuse)
    with pytest.raises(ResultsError, match=r"cannot write .*results/s/.*No space left"):
        write_results(results, "s", rows(0.25))
    assert files(results) == before
    assert read_results(results, "s")["val_accuracy"].to_list() == [0.5]


def test_without_a_study_the_reader_says_which_command_writes_it(results, tmp_path, capsys):
    with pytest.raises(ResultsError, match=r"no study of sweep 's' has written .* run `layersweep study s` first"):
        read_results(results, "s")
    out = tmp_path / "out.csv"
    assert main(["export", "s", "--table", "results", "--out", str(out), "--results", str(results)]) == 2
    assert "`layersweep study s`" in capsys.readouterr().err
    assert not out.exists()


def test_it_is_exported_and_counts_in_the_size_of_its_sweep(results, tmp_path):
    before = overview.summaries(results)[0].size_bytes
    write_results(results, "s", rows(0.5, 0.75))
    size = (results / "results" / "s" / "00000000-00000000.parquet").stat().st_size
    assert overview.summaries(results)[0].size_bytes == before + size
    out = tmp_path / "out.csv"
    assert main(["export", "s", "--table", "results", "--out", str(out), "--results", str(results)]) == 0
    assert pl.read_csv(out)["val_accuracy"].to_list() == [0.5, 0.75]


def test_it_is_deleted_with_its_sweep_before_any_other_table(results, monkeypatch):
    write_results(results, "s", rows(0.5))
    tables = [group.name for group in maintenance.deletable_files(results, "s") if group.name.startswith("table")]
    assert tables == ["table results", "table trials", "table epochs", "table plan"]
    with sweep_lock(results, "s"):
        maintenance.delete(results, "s")
    assert not is_written(results, "s")
    assert overview.names(results) == []


def test_prune_removes_it_where_its_sweep_is_gone_and_leaves_it_where_a_command_runs(results):
    for name in ("s", "gone", "starting"):
        write_results(results, name, rows(0.5))
    with sweep_lock(results, "starting"):
        groups = maintenance.prune(results).groups
    assert [path.name for group in groups if "not recorded" in group.name for path in group.paths] == ["gone"]
    assert [is_written(results, name) for name in ("s", "gone", "starting")] == [True, False, True]


def test_a_writer_of_the_sweep_leaves_it_alone_and_takes_away_what_a_killed_study_left(results, monkeypatch):
    write_results(results, "s", rows(0.5))
    left = results / ".state" / "parts" / f"s.{'0' * 32}.tmp"
    left.write_bytes(b"half")
    with Writer(results, "s", config_types={"filters": int}) as writer:
        writer.append("epochs", curve("aa11", 0.875, first=3))
    assert read_results(results, "s")["val_accuracy"].to_list() == [0.5]
    assert not left.exists()
