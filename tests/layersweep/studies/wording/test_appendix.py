"""The study as Markdown, read by a Markdown parser."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from recorded_sweep import Sweep

from layersweep.studies.recorded_comparison import load
from layersweep.studies.study import main
from layersweep.studies.wording.appendix import appendix

ODD = "a|b `c`\nd <b>*e*</b> | f"


def tables(text: str) -> list[list[list[str]]]:
    """The cells of all tables, as they are shown."""
    result: list[list[list[str]]] = []
    is_inside = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("table_open", "table_close"):
            is_inside = token.type == "table_open"
            result += [[]] * is_inside
        elif token.type == "tr_open":
            result[-1].append([])
        elif token.type == "inline" and is_inside:
            result[-1][-1].append("".join(child.content for child in token.children or ()))
    return result


def record(sweep: Sweep, *names: str) -> None:
    for place, name in enumerate(names):
        for seed in (1, 2, 3):
            value = 0.9 + seed / 1000 - place / 50
            config = {"optimizer": "adam", "learning_rate": 0.1**place}
            sweep.trial(name, seed, [0.5, 0.7, value], test=value, config=config, trial_id=f"{place}-{seed}")


@pytest.mark.parametrize("name", ["sgd", ODD, "# title", "1. list", "|---:|", "[x](y)", "\N{EN DASH}"])
def test_all_rows_have_the_cells_of_their_heading(sweep: Sweep, name: str) -> None:
    record(sweep, "adam", name)
    comparison, runs = load(sweep.write(), sweep.name)
    text = appendix(comparison, question="What | now?", runs=runs)
    results, costs = tables(text)
    for table in (results, costs):
        assert len(table) == 3
        assert {len(row) for row in table} == {len(table[0])}
        assert " ".join(table[2][0].split()) == " ".join(name.split())
    assert results[0][:3] == ["arm", "learning rate", "at 3 epochs"]
    assert results[1][2] == ".9020 ± .0010 (3)"


def test_the_file_is_beside_its_figures_and_tells_how_to_repeat_it(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    record(sweep, "adam", ODD)
    sweep.run(command="sweeps/optimizers.py --set 'name=a|b ``` c'")
    results = sweep.write()
    assert main(["optimizers", "--results", str(results), "--markdown"]) == 0
    assert "optimizers.md" in capsys.readouterr().out
    folder: Path = results / "studies"
    text = (folder / "optimizers.md").read_text()
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    images = [child.attrs["src"] for token in tokens for child in token.children or () if child.type == "image"]
    assert images
    assert all((folder / str(name)).exists() for name in images)
    (code,) = [token.content for token in tokens if token.type == "fence"]
    assert code == "sweeps/optimizers.py --set 'name=a|b ``` c'\n"
    for fact in ("Seeds", "1, 2, 3", "keras 3.15", "0123abc", "Games and Howell", "adam is best with"):
        assert fact in text, fact


def test_without_the_flag_there_is_no_such_file(sweep: Sweep) -> None:
    record(sweep, "adam", "sgd")
    assert main(["optimizers", "--results", str(sweep.write())]) == 0
    assert not (sweep.results / "studies" / "optimizers.md").exists()


def test_a_study_without_an_answer_yet_has_its_tables(sweep: Sweep) -> None:
    sweep.trial("adam", 1, [], None)
    comparison, runs = load(sweep.write(), sweep.name)
    text = appendix(comparison, question="What?", runs=runs)
    assert all({len(row) for row in table} == {len(table[0])} for table in tables(text))
    assert "Nothing was tested." in text
