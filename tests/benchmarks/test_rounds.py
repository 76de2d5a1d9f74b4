"""The order in which cases are measured, and the times when the table is written."""

import polars as pl
import pytest

from benchmarks.report import to_measurements
from benchmarks.rounds import Rounds, RoundsOptions, in_turn


def rows(readings):
    return [row for case, readings in readings.items() for row in to_measurements(case, readings)]


def test_each_round_begins_with_the_next_program():
    assert list(in_turn(["a", "b"], 3)) == [(1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "a"), (3, "b")]


def test_or_every_round_with_the_first():
    assert list(in_turn(["a", "b"], 2, rotating=False)) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]


def test_every_case_is_measured_once_a_round_in_an_empty_folder_that_goes(tmp_path):
    folders = []

    def once(case, number, folder):
        assert not any(folder.iterdir())
        folders.append(folder)
        return {("taken", "s"): number + len(case)}

    readings = Rounds(benchmark="made_up", title="t", cases=["a", "bb"], once=once, rows=rows).run(
        RoundsOptions(repeat=2, out=tmp_path)
    )
    assert readings == {
        "a": [{("taken", "s"): 2}, {("taken", "s"): 3}],
        "bb": [{("taken", "s"): 3}, {("taken", "s"): 4}],
    }
    assert pl.read_parquet(tmp_path / "made_up.parquet").select("case", "n", "max").rows() == [
        ("a", 2, 3),
        ("bb", 2, 4),
    ]
    assert len(set(folders)) == 4
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(("partial", "expected_rows"), [(False, [("a", 1), ("b", 1)]), (True, [("a", 2), ("b", 1)])])
def test_a_failure_loses_no_complete_round(tmp_path, partial, expected_rows):
    def once(case, number, _folder):
        if (case, number) == ("b", 2):
            raise RuntimeError("no")
        return {("taken", "s"): 1.0}

    rounds = Rounds(benchmark="made_up", title="t", cases=["a", "b"], once=once, rows=rows, partial=partial)
    with pytest.raises(RuntimeError, match="no"):
        rounds.run(RoundsOptions(out=tmp_path))
    assert pl.read_parquet(tmp_path / "made_up.parquet").select("case", "n").rows() == expected_rows
