"""The epochs of a job, by trial: each part is read once, and in pieces."""

import itertools
from datetime import timedelta

import polars as pl
import pytest
import recorded_rows as rows
from hypothesis import given, settings
from hypothesis import strategies as st

from layersweep.records import read
from layersweep.records.read import DamagedPartWarning
from layersweep.tuning.cluster import job_epochs
from layersweep.tuning.cluster.job_epochs import JobEpochs


def epoch(trial, attempt, number, value, *, second, rung=None, loss=1.0):
    ids = {"trial_id": trial, "attempt": attempt, "epoch": number, "val_accuracy": value, "val_loss": 1.0}
    cutoff = None if rung is None else rung / 8
    return ids | {"loss": loss, "rung": rung, "cutoff": cutoff, "at": rows.START + timedelta(seconds=second)}


def record(results, *flushes):
    for flush in flushes:
        rows.record(results, "made_up", epochs=flush)


def epochs_of(results, mode="max"):
    return JobEpochs(results, "made_up", metric="val_accuracy", mode=mode)


def test_a_trial_is_a_row_with_its_last_epoch_its_last_rung_and_its_best(tmp_path):
    first = [epoch("b", 0, 1, 0.25, second=1, rung=1), epoch("a", 0, 1, 0.5, second=2)]
    second = [epoch("b", 0, 2, 0.75, second=3), epoch("b", 0, 3, 0.5, second=4, loss=float("nan"))]
    record(tmp_path, first, second)
    b, a = epochs_of(tmp_path).by_trial(rows.START, None).to_dicts()
    assert (b["trial_id"], b["recorded"], b["epoch"], b["value"]) == ("b", 3, 3, 0.5)
    assert (b["rung"], b["cutoff"], b["best"], b["best_epoch"]) == (1, 0.125, 0.75, 2)
    assert (a["trial_id"], a["recorded"], a["rung"], a["best"]) == ("a", 1, None, 0.5)


def test_epochs_before_the_command_do_not_count(tmp_path):
    record(tmp_path, [epoch("a", 0, 1, 0.75, second=1), epoch("a", 0, 2, 0.5, second=9)])
    job_epochs_ = epochs_of(tmp_path)
    assert job_epochs_.by_trial(rows.START + timedelta(seconds=5), None)["recorded"].to_list() == [1]
    assert job_epochs_.by_trial(rows.START, None)["recorded"].to_list() == [2]


def test_the_number_of_the_first_epoch_decides_whatever_the_clock_says(tmp_path):
    epochs = [epoch("a", 0, number, 0.5, second=9 - number) | {"sequence": number} for number in (1, 2, 3)]
    record(tmp_path, epochs[:2], epochs[2:])
    job_epochs_ = epochs_of(tmp_path)
    late = rows.START + timedelta(hours=1)
    assert [job_epochs_.by_trial(late, first)["recorded"].to_list() for first in (0, 2, 3, 4)] == [[3], [2], [1], []]


def test_a_part_is_read_once_also_if_others_come(tmp_path, monkeypatch):
    calls = []
    map_part = read.map_part
    monkeypatch.setattr(
        job_epochs, "map_part", lambda path, *a, **k: calls.append(path.name) or map_part(path, *a, **k)
    )
    job_epochs_ = epochs_of(tmp_path)
    for number in range(12):  # more than are merged
        record(tmp_path, [epoch(f"t{number}", 0, 1, 0.5, second=number)])
        assert job_epochs_.by_trial(rows.START, None).height == number + 1
    assert len(calls) == len(set(calls)) == 12
    job_epochs_.by_trial(rows.START, None)
    assert len(calls) == 12


def test_a_damaged_part_is_left_out_and_left_where_it_is(tmp_path):
    record(tmp_path, [epoch("a", 0, 1, 0.5, second=1)], [epoch("b", 0, 1, 0.5, second=1)])
    part = tmp_path / "epochs" / "made_up" / read.part_name(0, 0)
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.warns(DamagedPartWarning, match="left out"):
        assert epochs_of(tmp_path).by_trial(rows.START, None)["trial_id"].to_list() == ["b"]
    assert part.exists()


@pytest.mark.parametrize("column", ["at", "trial_id", "epoch"])
def test_a_column_of_another_type_is_damage(tmp_path, column):
    record(tmp_path, [epoch("a", 0, 1, 0.5, second=1)])
    part = tmp_path / "epochs" / "made_up" / read.part_name(0, 0)
    content = pl.read_parquet(part).with_columns(pl.lit([1.5, 2.5]).alias(column))
    content.write_parquet(part)
    with pytest.warns(DamagedPartWarning, match="left out"):
        assert epochs_of(tmp_path).by_trial(rows.START, None).is_empty()


def reference(epochs, mode):
    """As over all rows at once."""
    result = {}
    for row in epochs:
        result.setdefault(row["trial_id"], []).append(row)
    better = min if mode == "min" else max
    return {
        trial: (len(mine), mine[-1]["epoch"], mine[-1]["val_accuracy"], better(row["val_accuracy"] for row in mine))
        for trial, mine in result.items()
    }


@settings(max_examples=30, deadline=None)
@given(
    trials=st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    values=st.lists(st.integers(0, 8), min_size=30, max_size=30),
    cuts=st.sets(st.integers(1, 29), max_size=5),
    piece=st.integers(1, 7),
    mode=st.sampled_from(["min", "max"]),
)
def test_parts_and_pieces_make_no_difference(tmp_path_factory, trials, values, cuts, piece, mode):
    numbers = [trials[: n + 1].count(trial) for n, trial in enumerate(trials)]
    epochs = [
        epoch(trial, 0, number, values[n] / 8, second=n)
        for n, (trial, number) in enumerate(zip(trials, numbers, strict=True))
    ]
    results = tmp_path_factory.mktemp("results")
    edges = [0, *sorted(cut for cut in cuts if cut < len(epochs)), len(epochs)]
    record(results, *(epochs[a:b] for a, b in itertools.pairwise(edges)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_PIECE_ROWS", piece)
        table = epochs_of(results, mode).by_trial(rows.START, None)
    columns = table.select("trial_id", "recorded", "epoch", "value", "best").rows()
    assert {trial: tuple(rest) for trial, *rest in columns} == reference(epochs, mode)
    assert table["trial_id"].to_list() == list(dict.fromkeys(trials))
