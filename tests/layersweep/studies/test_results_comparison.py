"""Two results folders side by side, through the command."""

import page_content
import pytest
from recorded_sweep import Sweep

from layersweep.records.errors import ResultsError
from layersweep.studies.study import main


def record(folder, finals, arms=("adam", "sgd")):
    sweep = Sweep(folder, "optimizers")
    for arm in arms:
        for seed, final in enumerate(finals, 1):
            sweep.trial(arm, seed, [0.5, 0.7, final - 0.2 * (arm == "sgd")])
    return sweep.write()


def test_the_difference_of_each_arm_is_printed_and_both_are_on_one_page(tmp_path, capsys):
    old, new = record(tmp_path / "old", (0.90, 0.902, 0.904)), record(tmp_path / "new", (0.93, 0.932, 0.934))
    assert main(["optimizers", "--compare", str(old), str(new)]) == 0
    printed = capsys.readouterr().out
    assert "first is old, second is new" in printed
    (line,) = (line for line in printed.splitlines() if " adam " in line)
    assert line.split()[1:4] == [".9020", ".9320", "+.030"]
    assert line.split()[-1] == "higher"
    page = (new / "studies" / "optimizers_compared.html").read_text()
    assert set(page_content.values(page)["styles"]) == {
        f"{name}: {arm}" for name in ("old", "new") for arm in ("adam", "sgd")
    }
    assert "+.030" in page_content.text(page)


def test_bad_input_is_said(tmp_path):
    old, new = record(tmp_path / "old", (0.9, 0.91)), record(tmp_path / "new", (0.9, 0.91), arms=("lion",))
    with pytest.raises(ResultsError, match=r"no arm of 'optimizers' has a mean in both .*old and .*new"):
        main(["optimizers", "--compare", str(old), str(new)])
    with pytest.raises(ResultsError, match="--markdown is not for --compare"):
        main(["optimizers", "--markdown", "--compare", str(old), str(old)])
    with pytest.raises(ResultsError, match=r"no results of sweep 'optimizers' in .*nowhere"):
        main(["optimizers", "--compare", str(old), str(tmp_path / "nowhere")])
