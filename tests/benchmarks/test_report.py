from datetime import UTC, datetime

import polars as pl
import pytest

from benchmarks.report import Circumstances, Measurement, Report, number, ratio
from layersweep.terminal import Console

CIRCUMSTANCES = Circumstances(
    machine="alder", cpu="EPYC", cores=2, memory_bytes=24 << 30, load=0.5, commit="0123abc", command="python -m x",
    at=datetime(2026, 11, 3, 9, tzinfo=UTC),
)  # fmt: skip
SECONDS = Measurement(case="ours", measure="whole process", unit="s", values=[3.0, 1.0, 2.5])
THEIRS = Measurement(case="theirs", measure="whole process", unit="s", values=[6.0, 4.0, 2.5])


def report(*measurements):
    return Report(benchmark="made_up", title="A title", circumstances=CIRCUMSTANCES, measurements=measurements)


def test_a_quantity_comes_with_n_and_spread():
    assert SECONDS.row == {
        "case": "ours", "measure": "whole process", "unit": "s", "n": 3, "median": 2.5, "min": 1.0, "max": 3.0,
    }  # fmt: skip


def test_a_quantity_that_was_never_measured_is_refused():
    with pytest.raises(ValueError, match="whole process of ours was never measured"):
        Measurement(case="ours", measure="whole process", unit="s", values=[])


def test_a_ratio_is_taken_round_by_round():
    result = ratio(SECONDS, THEIRS, case="ours / theirs")
    assert result.values == [0.5, 0.25, 1.0]  # not the ratio of the medians, 0.625
    assert (result.case, result.measure, result.unit) == ("ours / theirs", "whole process", "ratio")


def test_a_ratio_of_different_rounds_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratio(
            SECONDS, Measurement(case="theirs", measure="whole process", unit="s", values=[1.0]), case="ours / theirs"
        )


def test_the_parquet_file_says_where_and_of_what(tmp_path):
    report(SECONDS, THEIRS).write(tmp_path / "new")
    rows = pl.read_parquet(tmp_path / "new" / "made_up.parquet")
    assert rows["median"].to_list() == [2.5, 4.0]
    assert rows.select("benchmark", "machine", "cpu", "cores", "commit", "n", "unit").row(0) == (
        "made_up", "alder", "EPYC", 2, "0123abc", 3, "s",
    )  # fmt: skip
    assert rows["at"][0] == CIRCUMSTANCES.at


def test_the_markdown_page_holds_the_same_table(tmp_path):
    report(SECONDS).write(tmp_path)
    page = (tmp_path / "made_up.md").read_text()
    assert page.startswith("# A title\n\nalder: 2 cores of EPYC, 24 GiB, load 0.5 before; commit 0123abc; ")
    assert page.endswith("| ours | whole process | s | 3 | 2.50 | 1.00 | 3.00 |\n")


def test_the_terminal_shows_the_same_table():
    console = Console(width=120)
    with console.capture() as capture:
        report(SECONDS).show(console)
    assert ["ours", "whole", "process", "s", "3", "2.50", "1.00", "3.00"] in [
        line.split() for line in capture.get().splitlines()
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (1.0, "1.00"), (99.96, "100"), (1234.5, "1,234"), (-2.5, "-2.50")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_circumstances_are_those_of_this_machine():
    now = Circumstances()
    assert now.cores >= 1
    assert now.memory_bytes > 1 << 28
    assert now.command.startswith("python")
