"""The study as a user runs it: table, answer, page, picture, errors."""

import io
import re
import subprocess
import sys
from pathlib import Path

import page_content
import pytest
from places import ROOT
from recorded_sweep import Sweep

from layersweep.cli import main
from layersweep.records.errors import ResultsError
from layersweep.studies.figures.style import arms_above_gap, spread_apart
from layersweep.studies.study import write_study
from layersweep.terminal import Console

EVIL = "<script>alert(1)</script> & $x_1"


def fill(sweep: Sweep) -> Path:
    finals = {"nadam": 0.930, "adam": 0.918, "sgd": 0.914, "ftrl": 0.1, EVIL: 0.925}
    for arm, final in finals.items():
        for seed in (1, 2, 3):
            sweep.trial(arm, seed, [final / 2, final * 0.9, final + seed * 0.001], test=final, latency_ms_median=3.5,
                        latency_busy_slots=2)  # fmt: skip
    sweep.trial("adamax", 1, [0.2], "stopped", rung=1, cutoff=0.4)
    sweep.trial("broken", 1, [], "failed", error_type="ValueError", error_message="<b>bad</b>")
    sweep.run()
    return sweep.write()


def printed(results: Path, out: Path | None = None) -> str:
    file = io.StringIO()
    write_study(results, "optimizers", console=Console(file=file, width=100), out=out)
    return file.getvalue()


def test_the_table_fits_100_columns_and_names_every_arm(sweep: Sweep) -> None:
    text = printed(fill(sweep))
    assert max(map(len, text.splitlines()[:12])) <= 100
    assert all(arm in text for arm in ("nadam", "adam", "sgd", "ftrl", "adamax", "broken"))
    assert ".9320 ± .0010 (3)" in text
    assert "nadam is best" in text
    assert "screened out at" in text


def test_the_page_is_self_contained_and_escaped(sweep: Sweep, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    printed(fill(sweep), out=out)
    page = (out / "optimizers.html").read_text()
    assert page.count("<script") == 5
    assert "<b>bad" not in page
    assert "<script>alert(1)</script> & $x_1" in page_content.values(page)["styles"]
    assert not re.search(r"https?:|//|@import|src=", page_content.elements(page))
    assert not re.search(r"<(script|link|img|iframe)[^>]* (src|href)=", page)
    shown = page_content.text(page)
    for text in ("python sweeps/optimizers.py --seeds 3", "0123abc", "keras 3.15", "alder", "54,000 to train",
                 "3.50 (3.50–3.50; n = 3; 2 slots busy)", "latency between them are noise",
                 "4.0 MB", "Games and Howell 1976", "ValueError: <b>bad"):  # fmt: skip
        assert text in shown, text
    assert sorted(path.name for path in out.iterdir()) == ["optimizers.html", "optimizers.png"]
    assert (out / "optimizers.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes((out / "optimizers.png").read_bytes()[16:20]) == 1600


def test_nothing_but_a_failure_still_makes_a_page(sweep: Sweep) -> None:
    sweep.trial("broken", 1, [], "failed", error_type="ValueError", error_message="bad")
    text = printed(sweep.write())
    assert "nothing to compare yet" in text
    page = (sweep.results / "studies" / "optimizers.html").read_text()
    assert page_content.values(page)["sources"]["seeds"]["key"] == []
    assert "nothing to compare yet" in page_content.text(page)


def test_no_results_names_the_path_and_the_sweeps(sweep: Sweep, tmp_path: Path) -> None:
    results = fill(sweep)
    with pytest.raises(ResultsError, match=r"no results of sweep 'nope' in .*; recorded sweeps: optimizers"):
        write_study(results, "nope")
    with pytest.raises(ResultsError, match="no sweep is recorded there"):
        write_study(tmp_path / "empty", "optimizers")


def test_the_command_exits_2_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "optimizers", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path) in error


def test_it_is_a_part_of_the_command(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "layersweep", "study", "optimizers", "--results", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: no results of sweep 'optimizers'")


def test_reading_and_drawing_need_neither_ray_nor_keras(sweep: Sweep) -> None:
    code = (
        "import sys; from pathlib import Path; from layersweep.studies.study import write_study;"
        "early = set(sys.modules);"
        f"write_study(Path({str(fill(sweep))!r}), 'optimizers');"
        "heavy = {'ray', 'tensorflow', 'keras', 'sklearn', 'matplotlib.pyplot', 'layersweep.tuning', 'trainables'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "assert not {'matplotlib', 'scipy', 'polars', 'numpy', 'rich'} & early"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_leaders_are_those_above_the_last_wide_gap() -> None:
    finals = {"nadam": 0.9305, "adamax": 0.9299, "rmsprop": 0.9257, "adam": 0.9183, "sgd": 0.914}
    weak = {"adagrad": 0.8747, "adadelta": 0.758, "ftrl": 0.1}
    assert arms_above_gap(finals | weak) == set(finals)
    assert arms_above_gap(finals) == set(finals)
    assert arms_above_gap({"a": 0.93, "b": 0.92, "c": 0.91, "d": 0.1, "e": 0.1}) == {"a", "b", "c"}


def test_labels_are_moved_apart_and_stay_inside() -> None:
    assert spread_apart([0.5, 0.5, 0.9], 0.1, 0.0, 1.0) == pytest.approx([0.45, 0.55, 0.9])
    assert spread_apart([1.0, 0.99, 0.98], 0.1, 0.0, 1.0) == pytest.approx([1.0, 0.9, 0.8])


def test_prepare_imports_all_that_the_study_needs(sweep: Sweep, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from layersweep.studies import study; "
    code += "study.import_modules([]); before = set(sys.modules); "
    code += "study.write_study(Path(sys.argv[1]), 'optimizers', out=Path(sys.argv[2])); "
    code += "print('late:', *(set(sys.modules) - before))"
    result = subprocess.run(
        [sys.executable, "-c", code, str(fill(sweep)), str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    late = result.stdout.splitlines()[-1].split()[1:]
    assert not [name for name in late if name.partition(".")[0] in ("matplotlib", "scipy", "polars", "layersweep")]
