"""All questions that are recorded on one page, with the figure that answers each."""

import subprocess
import sys
from pathlib import Path

import pytest
from recorded_sweep import Sweep

from layersweep.records.errors import ResultsError
from layersweep.studies.gallery import write


def record(results: Path, name: str, **more: str) -> Path:
    sweep = Sweep(results, name)
    sweep.run(command=f"python sweeps/{name}.py --images 10000")
    for seed in (1, 2, 3):
        for arm, level in (("sgd", 0.6), ("adam", 0.4)):
            sweep.trial(
                arm,
                seed,
                [0.1, 0.3, level + seed / 100],
                test=level,
                config={"optimizer": arm},
                flops=int(1e6 * level),
                **more,
            )
    return sweep.write()


def test_each_question_has_its_figure_answer_command_and_scale(tmp_path: Path) -> None:
    record(tmp_path / "results", "optimizers")
    paths = list(write(record(tmp_path / "results", "architectures"), tmp_path / "docs" / "gallery.md"))
    figures = tmp_path / "docs" / "gallery"
    assert paths == [figures / "architectures_costs.png", figures / "optimizers.png", tmp_path / "docs/gallery.md"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[:2])
    text = paths[-1].read_text()
    first, second = text.index("## Which architecture does best"), text.index("## Which optimizer")
    assert first < second
    assert "(gallery/architectures_costs.png)" in text[first:second]
    assert "On the Pareto front of accuracy against FLOPs: adam, sgd." in text[first:second]
    section = text[second:]
    for text_part in (
        "(gallery/optimizers.png)",
        "**sgd is best with .620 after 3 epochs: it beats ",
        "Test accuracy of sgd: .6000",
        "    python sweeps/optimizers.py --images 10000\n",
        "- Images: 54,000 to train, 6,000 to validate, 10,000 to test",
        "- Commit: 0123abc",
    ):
        assert text_part in section


def test_the_sweeps_that_are_named_are_shown_in_that_order(tmp_path: Path) -> None:
    for name in ("depth", "optimizers", "resolution"):
        record(tmp_path / "results", name)
    *_, page = write(tmp_path / "results", tmp_path / "gallery.md", ["resolution", "optimizers"])
    titles = [line for line in page.read_text().splitlines() if line.startswith("## ")]
    assert [title.split()[2] for title in titles] == ["does", "optimizer"]


def test_a_sweep_without_a_study_is_compared_and_recorded_text_does_nothing(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "results", "mine")
    sweep.run()
    for seed in (1, 2):
        sweep.trial("<img src=x> [a](b) `c` *d*", seed, [0.1, 0.2, 0.3 + seed / 100], config={})
    *_, page = write(sweep.write(), tmp_path / "gallery.md")
    assert "## mine\n" in page.read_text()
    assert r"**\<img src=x\> \[a\](b) \`c\` \*d\* is the only arm" in page.read_text()


def test_nothing_to_show_is_an_error_that_names_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match="no sweep is recorded in"):
        list(write(tmp_path / "empty", tmp_path / "gallery.md"))
    results = record(tmp_path / "results", "optimizers")
    with pytest.raises(ResultsError, match=r"no results of sweep 'depth'.*recorded sweeps: optimizers"):
        list(write(results, tmp_path / "gallery.md", ["depth"]))
    command = [sys.executable, "-m", "layersweep", "gallery", "depth", "--results", str(results)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("error: no results of sweep 'depth'")
