"""The lines of docs/analysis.md run as they stand, and give what the page says; the obvious lines there are wrong."""

import glob
import re
from pathlib import Path
from typing import Any, NamedTuple

import analysis_results
import duckdb
import pandas as pd
import polars as pl
import pytest

from layersweep.studies.recorded_comparison import load

PAGE = Path(__file__).parents[1] / "docs" / "analysis.md"
EXPECTED = {1: 0.59, 2: 2 / 3, 3: 0.5, 4: 0.11, 5: 24.0, 6: 960.0, 7: 0.8, 8: 0.79, 9: 0.7, 10: 0.69}
"""What is right, from how the sweeps were recorded."""


class Lines(NamedTuple):
    """A block of the page: what it runs, and the row and the number that it says it gives."""

    question: int
    is_right: bool
    code: str
    row: str
    number: float


def blocks() -> list[Lines]:
    """The blocks of the questions, in order."""
    every = []
    for part in re.split(r"^## (?=\d+\. )", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        question = int(part.partition(".")[0])
        for kind, code in re.findall(r"^```python (right|wrong)\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            row, number = re.fullmatch(r"# (.+): ([\d.]+)", code.splitlines()[-1]).groups()
            every.append(Lines(question, kind == "right", code, row, float(number)))
    return every


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results that the page is about."""
    folder = tmp_path_factory.mktemp("analysis")
    analysis_results.record(folder / "results")
    return folder


@pytest.fixture
def names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the first lines of the page define, in that folder."""
    monkeypatch.chdir(folder)
    first = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    scope: dict[str, Any] = {}
    exec(first[1], scope)
    return scope


def number(answer: Any, row: str) -> float:
    """The first number, other than a count, of the answer's row that has this name."""
    if isinstance(answer, pd.DataFrame):
        answer = answer.reset_index().iloc[:, :3]
        rows = list(answer.itertuples(index=False))
    else:
        rows = answer.rows() if isinstance(answer, pl.DataFrame) else answer.fetchall()
    (match,) = [one for one in rows if row in one]
    return next(value for value in match if isinstance(value, float))


def test_there_are_ten_questions_each_with_a_wrong_line():
    kinds = [(lines.question, lines.is_right) for lines in blocks()]
    assert {question for question, _ in kinds} == set(range(1, 11))
    assert all((question, is_right) in kinds for question in range(1, 11) for is_right in (True, False))


@pytest.mark.parametrize("lines", blocks(), ids=lambda one: f"{one.question}-{'right' if one.is_right else 'wrong'}")
def test_the_lines_give_what_the_page_says(names, lines):
    statements = [one for one in lines.code.splitlines() if one and not one.startswith(("import", "#"))]
    assert len(statements) <= 3
    first_right = next(one for one in blocks() if one.question == lines.question)
    if not lines.is_right:
        exec(first_right.code, names)  # it may go on from there
    exec(lines.code, names)
    given = number(names["answer"], lines.row)
    assert f"{given:.3f}" == f"{lines.number:.3f}"
    assert (given == pytest.approx(EXPECTED[lines.question])) == lines.is_right


def test_the_first_answer_is_the_studys(names, folder):
    comparison, _ = load(folder / "results", "optimizers")
    means = dict(names["last"].filter(sweep="optimizers").group_by("arm").agg(pl.mean("val_accuracy")).rows())
    arms = {row["arm"]: row for row in comparison.compared_arms}
    assert set(means) == set(arms)
    assert {arm: means[arm] for arm in ("adam", "sgd", "adam tuned")} == {
        arm: pytest.approx(arms[arm]["mean"]) for arm in ("adam", "sgd", "adam tuned")
    }


@pytest.mark.parametrize(
    ("tool", "problem"), [("polars", "extra column"), ("pandas", None), ("DuckDB", "schema mismatch")]
)
def test_one_line_reads_all_sweeps_in_each_tool_and_the_short_one_does_not(names, tool, problem):
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {tool} |")]
    right, wrong = re.findall(r"`([^`]+)`", row)
    scope = {"glob": glob, "pl": pl, "pd": pd, "duckdb": duckdb}
    frame = eval(right, scope)
    assert {"width", "learning_rate"} <= set(frame.columns)
    count = frame.count("*").fetchall()[0][0] if tool == "DuckDB" else len(frame)
    assert count == len(names["trials"]) > 0
    if problem is None:
        assert not {"width", "learning_rate"} <= set(eval(wrong, scope).columns)
    else:
        with pytest.raises(Exception, match=problem):
            len(eval(wrong, scope).fetchall() if tool == "DuckDB" else eval(wrong, scope))


def test_a_key_with_another_type_in_another_sweep_is_read_by_each_line(tmp_path, monkeypatch):
    for name, kind, value in (("a", int, 3), ("b", str, "3x3")):
        sweep = analysis_results.Sweep(tmp_path / "results", name)
        sweep.config_types = {"kernel": kind}
        sweep.trial("arm", 1, [0.1, 0.2, 0.3], config={"kernel": value})
        sweep.write()
    monkeypatch.chdir(tmp_path)
    for tool in ("polars", "pandas", "DuckDB"):
        (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {tool} |")]
        frame = eval(re.findall(r"`([^`]+)`", row)[0], {"glob": glob, "pl": pl, "pd": pd, "duckdb": duckdb})
        values = frame.select("kernel").fetchall() if tool == "DuckDB" else zip(frame["kernel"])
        assert sorted(str(value) for (value,) in values) == ["3", "3x3"], tool
