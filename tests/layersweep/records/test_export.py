"""An exported file holds what was recorded, whole."""

import csv
import json
import math

import polars as pl
import pytest
from recorded_rows import record, trial, two_sweeps

from layersweep.escaping import from_csv
from layersweep.records.errors import ResultsError
from layersweep.records.export import export
from layersweep.records.read import read

READERS = {
    ".csv": pl.read_csv,
    ".parquet": pl.read_parquet,
    ".json": lambda path: pl.DataFrame(json.loads(path.read_text())),
    ".ndjson": lambda path: pl.DataFrame([json.loads(line) for line in path.read_text().splitlines()]),
}


@pytest.mark.parametrize("suffix", READERS)
def test_every_row_is_exported(results, tmp_path, suffix):
    two_sweeps(results)
    out = tmp_path / f"big{suffix}"
    assert export(results, "big", "trials", out) == 6
    columns = ["trial_id", "attempt", "continuation", "outcome", "best_val_accuracy", "filters", "traceback"]
    assert READERS[suffix](out).select(columns).rows() == read(results, "trials", "big").select(columns).rows()
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_lists_are_json_in_csv_and_lists_elsewhere(results, tmp_path):
    row = {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test"}
    lists = [[7, 0, 3], [], None]
    record(results, "s", classes=[row | {"class_index": k, "predicted": p} for k, p in enumerate(lists)])
    export(results, "s", "classes", tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="") as file:
        assert [r["predicted"] for r in csv.DictReader(file)] == ["[7, 0, 3]", "[]", ""]
    export(results, "s", "classes", tmp_path / "c.json")
    assert [r["predicted"] for r in json.loads((tmp_path / "c.json").read_text())] == lists


def test_what_is_no_number_is_valid_json(results, tmp_path):
    record(results, "s", trials=[trial("t", "diverged", last_loss=math.nan, last_val_loss=math.inf)])
    export(results, "s", "trials", tmp_path / "t.json")
    (row,) = json.loads((tmp_path / "t.json").read_text(), parse_constant=pytest.fail)
    assert (row["last_loss"], row["last_val_loss"]) == (None, None)


def test_a_spreadsheet_computes_no_text_and_every_text_comes_back(results, tmp_path):
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "'=1", "'", "＝1", 'a,b\n"c"', "ok", "", None]
    row = {"trial_id": "t", "attempt": 0, "epoch": 1, "set_name": "test", "precision": -0.5}
    record(results, "s", classes=[row | {"class_index": k, "class_name": n} for k, n in enumerate(names)])
    export(results, "s", "classes", tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [from_csv(r["class_name"]) for r in rows] == [name or "" for name in names]
    assert [r["class_name"] for r in rows[:8]] == [f"'{name}" for name in names[:8]]
    assert {r["precision"] for r in rows} == {"-0.5"}
    assert pl.read_csv(tmp_path / "c.csv")["class_name"][-2:].to_list() == ["", None]


@pytest.mark.parametrize("name", ["t.xlsx", "t", ".csv"])
def test_an_unknown_suffix_is_refused_and_the_valid_ones_are_listed(results, tmp_path, name):
    two_sweeps(results)
    with pytest.raises(ResultsError, match=r"unknown suffix .*; valid: \.csv, \.parquet, \.json, \.ndjson"):
        export(results, "big", "trials", tmp_path / name)


def test_unknown_sweeps_and_tables_are_refused(results, tmp_path):
    two_sweeps(results)
    with pytest.raises(ResultsError, match="recorded sweeps: big, small"):
        export(results, "medium", "trials", tmp_path / "t.csv")
    with pytest.raises(ResultsError, match="unknown table 'weights'; valid: "):
        export(results, "big", "weights", tmp_path / "t.csv")
    assert list(tmp_path.glob("t.*")) == []


def test_a_file_is_overwritten_only_by_force(results, tmp_path):
    two_sweeps(results)
    out = tmp_path / "t.csv"
    out.write_text("mine")
    with pytest.raises(ResultsError, match=r"t\.csv exists: give another --out, or --force"):
        export(results, "big", "trials", out)
    assert out.read_text() == "mine"
    export(results, "big", "trials", out, force=True)
    assert READERS[".csv"](out).height == 6


def test_an_export_that_fails_leaves_the_file_as_it_was(results, tmp_path, monkeypatch):
    two_sweeps(results)
    out = tmp_path / "t.csv"
    out.write_text("mine")

    def fill_the_disk(self, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_csv", fill_the_disk)
    with pytest.raises(ResultsError, match=r"cannot write .*t\.csv: No space left"):
        export(results, "big", "trials", out, force=True)
    assert (out.read_text(), len([*tmp_path.glob("*t.csv*")])) == ("mine", 1)
    with pytest.raises(ResultsError, match=r"cannot write .*nowhere/t\.ndjson: No such file"):
        export(results, "big", "trials", tmp_path / "nowhere" / "t.ndjson")
