"""The fuzzer's runner; skipped where atheris is not installed (`uv sync --group fuzz`)."""

import pytest

from tests.fuzz import run

TABLE = "tests.fuzz.faulty"


@pytest.fixture(autouse=True)
def atheris():
    pytest.importorskip("atheris")


def test_a_fault_is_reported_with_its_input_and_a_refusal_is_none(tmp_path, capsys):
    assert run.main(["--seconds", "2", "--findings", str(tmp_path)], TABLE) == 1
    output = capsys.readouterr().out
    assert "ZeroDivisionError: the fault" in output
    (finding,) = (tmp_path / "fault").iterdir()
    assert str(finding) in output
    assert finding.read_bytes()[0] % 2
    assert "refusal: " in output
    assert not list((tmp_path / "refusal").iterdir())


def test_inputs_that_reach_new_code_are_kept(tmp_path):
    findings, learned = tmp_path / "findings", tmp_path / "learned"
    assert run.main(["idx", "--seconds", "2", "--findings", str(findings), "--keep", str(learned)]) == 0
    assert list((learned / "idx").iterdir())


def test_an_unknown_target_is_refused_with_the_valid_ones(capsys):
    with pytest.raises(SystemExit):
        run.main(["fualt"], TABLE)
    assert "fualt is not a target; valid: fault, refusal" in capsys.readouterr().err
