"""`layersweep records`: what it prints, what it refuses, and its exit codes."""

import subprocess
import sys

import pytest
from recorded_rows import record, run, trial, two_sweeps

from layersweep.records import overview
from layersweep.records.command import main
from layersweep.records.lock import sweep_lock


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "layersweep", "records", *map(str, arguments)],
        check=False, capture_output=True, text=True, timeout=60, **options,
    )  # fmt: skip


@pytest.fixture
def say(results, capsys):
    """Runs a command on two sweeps; gives its exit code, output and errors."""
    two_sweeps(results)

    def call(*arguments):
        code = main([*map(str, arguments), "--results", str(results)])
        return (code, *capsys.readouterr())

    return call


def test_list_is_a_row_a_sweep(say):
    code, output, errors = say("list")
    assert (code, errors) == (0, "")
    head, big, small = (line.split() for line in output.splitlines() if line.strip() and "─" not in line)
    assert " ".join(head) == "sweep completed stopped failed unfinished epochs last run (UTC) its outcome size"
    assert big[:8] == ["big", "3", "1", "1", "1", "9", "2026-11-03", "10:00:00"]
    assert big[8:11] == ["running", "or", "killed"]
    assert small[:4] == ["small", "2", "0", "2"]
    assert small[6] == "interrupted"


def test_list_of_nothing(results, capsys):
    results.mkdir()
    assert main(["list", "--results", str(results)]) == 0
    assert "no sweep is recorded in" in capsys.readouterr().out


def test_show_is_a_row_a_trial(say):
    code, output, _ = say("show", "big")
    assert code == 0
    rows = [line.split() for line in output.splitlines()]
    assert ["aa11", "adam", "comparison", "1", "completed", "2", "0.75", "slow"] in rows
    assert ["ab22", "sgd", "comparison", "1", "failed", "2", "ValueError:", "no"] in rows
    assert ["ee55", "adam", "comparison", "3", "unfinished", "1", "0.25"] in rows


def test_show_tells_all_about_a_trial(say):
    code, output, _ = say("show", "big", "ab")
    assert code == 0
    assert "trial ab22: sgd, seed 1, comparison" in output
    assert (
        output.index("attempt 0, end 0: failed") < output.index("Trace\n[x]") < output.index("attempt 1, end 0: failed")
    )
    assert ["1", "2", "0.5", "0.5"] in [line.split() for line in output.splitlines()]
    assert "log  /gone/ab22.log" in output
    assert "has not ended: waiting" in say("show", "big", "ee")[1]
    assert "trained by sweep small" in say("show", "big", "ff66")[1]


def test_brackets_in_what_is_recorded_are_printed(results, capsys):
    wild = {"error_type": "E", "error_message": "[/red] [bold]", "reason": "E: [/red]", "warning": "[x]"}
    record(results, "s", trials=[trial("t", "failed", **wild)], runs=[run()])
    assert main(["show", "s", "t", "--results", str(results)]) == main(["show", "s", "--results", str(results)]) == 0
    output = capsys.readouterr().out
    assert "E: [/red] [bold]" in output
    assert output.count("[x]") == 2


def test_export_says_where_and_how_much(say, tmp_path):
    out = tmp_path / "[b].csv"
    code, output, _ = say("export", "big", "--out", out, "--table", "epochs")
    assert (code, output) == (0, f"{out}: 9 rows of epochs\n")
    assert out.read_text().count("\n") == 10
    assert say("export", "big", "--out", out)[0] == 2
    assert say("export", "big", "--out", out, "--force")[:2] == (0, f"{out}: 6 rows of trials\n")


def test_delete_says_what_goes_and_deletes_with_yes(say, results):
    code, output, _ = say("delete", "big", "--yes")
    assert code == 0
    assert "epochs" in output
    assert f"the files in {results / 'studies'} stay" in output.replace("\n", "")
    assert overview.names(results) == ["small"]


@pytest.mark.parametrize(
    ("answer", "code", "remaining_sweeps"), [("y", 0, ["small"]), ("", 1, ["big", "small"]), ("n", 1, None)]
)
def test_delete_asks(say, results, monkeypatch, answer, code, remaining_sweeps):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: answer)
    result, output, _ = say("delete", "big")
    assert result == code
    assert overview.names(results) == (remaining_sweeps or ["big", "small"])
    assert ("nothing was deleted" in output) == (code == 1)


def test_delete_without_a_terminal_needs_yes(results):
    two_sweeps(results)
    result = command("delete", "big", "--results", results, stdin=subprocess.DEVNULL)
    assert (result.returncode, result.stderr) == (
        2,
        "error: cannot ask for confirmation without a terminal: give --yes\n",
    )
    assert overview.names(results) == ["big", "small"]


def test_delete_is_refused_while_a_command_runs(say, results):
    with sweep_lock(results, "big"):
        code, _, errors = say("delete", "big", "--yes")
    assert (code, errors) == (2, f"error: another command is running the sweep 'big' in {results}: wait for it\n")
    assert overview.names(results) == ["big", "small"]


def test_prune_says_what_it_frees(say, results):
    (results / "logs").mkdir()
    (results / "logs" / "aa11.log").write_bytes(bytes(1500))
    with sweep_lock(results, "small"):
        assert "skipped, because a command is running it: small\nnothing to delete" in say("prune")[1]
    assert "would free 1.5 kB" in say("prune", "--dry-run")[1]
    assert "logs of trials that did not fail" in say("prune", "--dry-run")[1]
    assert "\nfreed 1.5 kB" in say("prune")[1]
    assert "nothing to delete" in say("prune")[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "medium"], "no results of sweep 'medium' in "),
        (["show", "big", "zz"], "no trial id of sweep 'big' starts with 'zz'; valid: aa11"),
        (["delete", "medium", "--yes"], "recorded sweeps: big, small"),
        (["export", "big", "--out", "x.xlsx"], "valid: .csv, .parquet, .json, .ndjson"),
        (["export", "big", "--out", "x.csv", "--table", "weights"], "unknown table 'weights'; valid: "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(say, arguments, words):
    code, output, errors = say(*arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("error: ")
    assert words in errors


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["show", "s"], ["export", "s", "--out", "x.csv"], ["delete", "s"], ["prune"], ["prune", "--dry-run"]],
)
def test_a_folder_that_does_not_exist_is_said(results, capsys, arguments):
    assert main([*arguments, "--results", str(results)]) == 2
    assert capsys.readouterr().err == f"error: there is no results folder {results}: set the right one with --results\n"
    assert not results.exists()


@pytest.mark.parametrize("arguments", [[], ["list"], ["show"], ["export"], ["delete"], ["prune"]])
def test_help_answers_without_the_packages_that_read(arguments):
    code = (
        "import sys; from layersweep.records.command import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    heavy = {'polars', 'pyarrow', 'numpy', 'filelock'} & set(sys.modules)\n"
        "    sys.exit(f'imports {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--help"], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "usage: layersweep records" in result.stdout


def test_the_module_is_a_command(results):
    two_sweeps(results)
    result = command("list", "--results", results)
    assert (result.returncode, result.stderr) == (0, "")
    assert "big" in result.stdout
