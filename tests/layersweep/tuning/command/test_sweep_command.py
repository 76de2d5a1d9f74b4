"""The whole line with Ray, on trials that cost nothing: command in, records and exit code out."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import killable
import made_up_sweep
import polars as pl
import pyarrow.parquet as pq
import pytest
from places import HELPERS

from layersweep.exit_codes import FAILED
from layersweep.records import requests
from layersweep.records.derived.results_table import read_results
from layersweep.records.errors import ResultsError
from layersweep.records.read import read
from layersweep.records.requests import ADD_SEEDS, STOP_SWEEP, STOP_TRIAL
from layersweep.studies import study
from layersweep.tuning.command import sweep_command
from layersweep.tuning.command.sweep_command import broken_off
from layersweep.tuning.common.errors import BrokenOffError, BudgetSpentError
from layersweep.tuning.common.job import JOB
from layersweep.watch import child_server

SCRIPT = HELPERS / "made_up_sweep.py"
ASHA = ("--scheduler", "asha", "--grace", "1", "--reduction", "2", "--slots", "1")


def command(results, *arguments):
    return [sys.executable, str(SCRIPT), "--results", str(results), "--images", "10", "--slots", "2", *arguments]


def run(results, *arguments, cwd=None, environment=None):
    return subprocess.run(
        command(results, *arguments), check=False, capture_output=True, text=True, cwd=cwd, timeout=200,
        env=os.environ | (environment or {}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory, fashion_mnist):
    """4 arms x 2 seeds x 4 epochs without a scheduler, from another folder than the project's."""
    folder = tmp_path_factory.mktemp("compared")
    return folder / "results", run("results", cwd=folder)


@pytest.fixture(scope="module")
def screened(tmp_path_factory, fashion_mnist, joining):
    """The same under ASHA, one slot, so that the trials' order is that of the plan."""
    results = tmp_path_factory.mktemp("screened") / "results"
    return results, run(results, *ASHA, environment=joining)


@pytest.fixture(scope="module")
def misbehaved(tmp_path_factory, fashion_mnist, joining):
    """Trials that raise, are killed, grow, exit, diverge and end early, beside a good one."""
    results = tmp_path_factory.mktemp("misbehaved") / "results"
    misdeeds = "misdeed=none,raise,kill,exit,nan,early"
    arguments = ("--set", "quality=0.5", "--set", misdeeds, "--seeds", "1", "--retries", "0")
    return results, run(results, *arguments, environment=joining)


def test_every_trial_is_recorded_once_and_the_command_ends_well(compared):
    results, ended = compared
    assert ended.returncode == 0, ended.stderr
    trials = read(results, "trials")
    assert trials["outcome"].to_list() == ["completed"] * 8
    assert set(trials.select("arm", "seed").iter_rows()) == {
        (a, s) for a in ("0.2", "0.4", "0.6", "0.8") for s in (1, 2)
    }
    epochs = read(results, "epochs")
    assert epochs.select("trial_id", "attempt", "epoch").n_unique() == len(epochs) == 8 * 4
    assert sorted(epochs["sequence"]) == list(range(32))


def test_what_is_recorded_is_what_the_trainings_yielded(compared):
    results, _ = compared
    trials, epochs = read(results, "trials"), read(results, "epochs")
    joined = epochs.join(trials.select("trial_id", "quality", "seed"), on="trial_id")
    expected = joined["quality"] * joined["epoch"] / (joined["epoch"] + 1) + joined["seed"] / 1000
    assert joined["val_accuracy"].to_list() == expected.to_list()
    assert read(results, "tests").height == 8
    assert read(results, "layers").height == 32
    assert read(results, "classes").height == 8


def test_the_plan_was_written_and_carried_out(compared):
    results, _ = compared
    plan, trials = read(results, "plan"), read(results, "trials")
    assert set(plan["trial_id"]) == set(trials["trial_id"])
    assert set(plan["question"]) == {"comparison"}


def test_what_it_compares_can_be_averaged_without_a_question(compared):
    results, _ = compared
    last = read_results(results, "made_up").filter("is_last")
    learned = read(results, "trials").filter(pl.col("quality") > 0.5)  # the others do not beat chance on few images
    rows = learned.select("arm", "seed", "last_val_accuracy", "parameters").rows()
    assert sorted(last.select("arm", "seed", "val_accuracy", "parameters").rows()) == sorted(rows)
    assert pq.read_schema(next(results.glob("trials/*/*.parquet"))).field("quality").metadata[b"description"]


def test_a_run_has_a_start_and_an_end_with_its_seconds_by_class(compared):
    results, _ = compared
    start, end = read(results, "runs").sort("at").to_dicts()
    assert (start["event"], end["event"], end["outcome"]) == ("start", "end", "ended")
    assert start["command"] == "made_up_sweep.py --results results --images 10 --slots 2"
    assert json.loads(start["versions_json"])["ray"]
    # made-up trainings say what they spent: 4 epochs of 1 s, 8 trials
    assert end["seconds_train"] == 32.0
    assert end["seconds_build"] == 8 * 0.75
    assert end["slots"] == 2
    assert end["seconds_wall"] > 1


def test_nothing_but_parquet_is_left(compared):
    results, _ = compared
    left = {p.relative_to(results).parts[0] for p in results.rglob("*") if p.is_file() and p.suffix != ".parquet"}
    assert left == {".state"}
    assert [p.name for p in (results / ".state").iterdir() if p.is_file()] == ["made_up.lock"]
    assert list((results / ".state" / "parts").iterdir()) == []


def test_the_page_is_served_meanwhile_and_a_log_has_no_token(compared):
    results, ended = compared
    file = results / ".state" / "watch" / "made_up.address"
    assert f"watch    the address is in {file}\n" in ended.stdout
    assert "token" not in ended.stdout
    assert not file.exists()  # the server has ended


def test_no_page_is_served_where_nobody_could_open_it(tmp_path, monkeypatch):
    served = []
    monkeypatch.setattr(child_server, "served_page", lambda *arguments: served.append(arguments))

    def page(*, finished=False, no_watch=False):
        settings = SimpleNamespace(no_watch=no_watch, results=tmp_path)
        request = SimpleNamespace(settings=settings, sweep=made_up_sweep.SWEEP)
        return sweep_command._page(SimpleNamespace(finished=finished, request=request), None)

    page()
    assert served == [(tmp_path, "made_up", None)]
    with page(no_watch=True), page(finished=True):
        monkeypatch.setenv(JOB, "a job of Ray's on a cluster")
        with page():
            assert len(served) == 1


def test_it_says_where_it_runs_and_what_comes_out(compared):
    _, ended = compared
    assert "on this machine: 2 slots of one thread\ntime on 2 slots: unknown" in ended.stdout
    assert "8 trials (comparison: 4 arms on 2 seeds), up to 4 epochs each; 0 recorded already" in ended.stdout
    assert "8/8 trials · 8 completed · best val_accuracy 0.6420 (0.8, seed 2, epoch 4)" in ended.stdout
    assert ended.stderr == ""


def test_the_same_command_again_runs_nothing(compared):
    results, _ = compared
    again = run(results)
    assert again.returncode == 0
    assert "all 8 trials are recorded already: nothing to run" in again.stdout
    assert read(results, "trials").height == 8


def test_results_that_cannot_be_written_once_trials_run_are_no_bad_input():
    with pytest.raises(BrokenOffError, match="cannot write the study"), broken_off():
        raise ResultsError("cannot write the study")
    with pytest.raises(BudgetSpentError), broken_off():
        raise BudgetSpentError


def test_a_study_that_cannot_be_written_breaks_the_command_off(tmp_path, monkeypatch, capsys):
    def refuse(results, sweep, *, console):
        raise ResultsError("cannot write the study")

    monkeypatch.setattr(study, "write_study", refuse)
    monkeypatch.setattr(sweep_command, "train", lambda *arguments: 0)
    monkeypatch.setattr(sweep_command, "plan_of", lambda *arguments: None)
    sweep = replace(made_up_sweep.SWEEP, question="How good?")
    with pytest.raises(SystemExit) as ended:
        sweep_command.main(sweep, ["--results", str(tmp_path), "--images", "10"])
    assert ended.value.code == FAILED
    assert capsys.readouterr().err == "made_up.py: error: cannot write the study\n"


def test_a_dry_run_says_what_is_missing_and_starts_nothing(compared):
    results, _ = compared
    said = run(results, "--seeds", "3", "--dry-run").stdout
    assert "12 trials (comparison: 4 arms on 3 seeds), up to 4 epochs each; 8 recorded already" in said
    assert said.count("comparison  ") == 4
    assert "time on 2 slots of this machine: at most about " in said
    assert "starting Ray" not in said
    assert read(results, "plan").height <= 16


def test_precision_auto_says_what_it_takes_and_why(compared):
    results, _ = compared
    said = run(results, "--precision", "auto", "--dry-run").stdout
    assert said.startswith("precision: float32; bfloat16 has not been checked for made_up; checked: fashion_cnn")
    assert "8 recorded already" in said  # float32 is what was recorded


def test_folds_are_counted_and_said(compared):
    results, _ = compared
    said = run(results, "--folds", "3", "--dry-run").stdout
    assert "12 trials (comparison: 4 arms on 3 folds), up to 4 epochs each; 0 recorded already" in said
    refused = run(results, "--folds", "1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--folds 1 is not valid; valid: 2 or more" in refused.stderr


def test_another_data_set_that_there_is_not_is_refused_with_those_that_there_are(compared):
    results, _ = compared
    refused = run(results, "--dataset", "imdb")
    assert refused.returncode == 2
    assert (
        "data set 'imdb' is not known; valid: cifar10, cifar100, fashion_mnist, image_folder, mnist, npz"
        in refused.stderr
    )


def test_asha_screens_on_one_seed_and_compares_survivors_on_fresh_ones(screened):
    results, ended = screened
    assert ended.returncode == 0, ended.stderr
    trials = read(results, "trials")
    screening = trials.filter(pl.col("question") == "screening")
    assert set(screening["seed"]) == {0}
    assert sorted(screening["arm"]) == ["0.2", "0.4", "0.6", "0.8"]
    comparison = trials.filter(pl.col("question") == "comparison")
    survivors = set(screening.filter(pl.col("outcome") == "completed")["arm"]) | {"0.2"}  # 0.2 is the control
    assert set(comparison["arm"]) == survivors
    assert set(comparison["seed"]) == {1, 2}
    assert set(comparison["outcome"]) == {"completed"}
    assert "0.8" in survivors


def test_each_recorded_decision_follows_from_its_rung_and_cutoff(screened):
    results, _ = screened
    epochs = read(results, "epochs").join(read(results, "trials").select("trial_id", "question"), on="trial_id")
    judged = epochs.filter(pl.col("rung").is_not_null())
    assert set(judged["question"]) == {"screening"}
    assert judged.filter(pl.col("decision") == "stop").height >= 1
    for row in judged.iter_rows(named=True):
        behind = row["cutoff"] is not None and row["val_accuracy"] < row["cutoff"]
        assert row["decision"] == ("stop" if behind else "continue")
    stopped = read(results, "trials").filter(pl.col("outcome") == "stopped")
    assert (stopped["epochs"] == stopped["rung"]).all()
    assert stopped["seed"].to_list() == [0] * stopped.height


def test_failed_and_diverged_trials_are_rows_with_reasons_and_the_others_complete(misbehaved):
    results, ended = misbehaved
    assert ended.returncode == 1
    trials = {row["misdeed"]: row for row in read(results, "trials").iter_rows(named=True)}
    assert {m: r["outcome"] for m, r in trials.items()} == {
        "none": "completed", "nan": "diverged",
        "raise": "failed", "kill": "failed", "exit": "failed", "early": "failed",
    }  # fmt: skip
    assert trials["raise"]["reason"] == "ValueError: made to fail"
    assert "made_up.py" in trials["raise"]["traceback"]
    assert "made to fail" in Path(trials["raise"]["log"]).read_text()
    assert "SIGKILL" in trials["kill"]["reason"]
    assert "code 3" in trials["exit"]["reason"]
    assert trials["early"]["reason"] == "EndedEarly: the training ended after epoch 1 of 4"
    assert {m: r["epochs"] for m, r in trials.items()} == {
        "none": 4, "raise": 1, "kill": 1, "exit": 1, "nan": 2, "early": 1,
    }  # fmt: skip
    assert "failed 0.5 misdeed=raise, seed 1: ValueError: made to fail" in ended.stdout


@pytest.mark.slow
def test_a_slot_that_dies_is_a_row_and_the_others_complete(tmp_path, fashion_mnist):
    """Kills the Tune actor itself, as a lost node would."""
    results = tmp_path / "results"
    arguments = ("--set", "quality=0.5", "--set", "misdeed=none,hang", "--seeds", "1", "--retries", "0")
    with subprocess.Popen(command(results, *arguments), stdout=subprocess.PIPE, text=True) as process:
        trial_id, pid = wait_for_hang(results)
        os.kill(pid, signal.SIGKILL)
        said = process.communicate(timeout=120)[0]
    assert process.returncode == 1, said
    trials = {row["misdeed"]: row for row in read(results, "trials").iter_rows(named=True)}
    assert trials["none"]["outcome"] == "completed"
    assert (trials["hang"]["trial_id"], trials["hang"]["outcome"]) == (trial_id, "failed")
    assert trials["hang"]["error_type"] == "SlotDied"
    assert trials["hang"]["error_message"]


def wait_for_hang(results):
    """The trial that hangs after its first epoch, and the process of its slot (not that of its child)."""
    import psutil

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        time.sleep(0.3)
        epochs = read(results, "epochs")
        waiting = epochs.group_by("trial_id").len().filter(pl.col("len") == 1)["trial_id"].to_list()
        completed = read(results, "trials")["trial_id"].to_list()
        hanging = [t for t in waiting if t not in completed]
        if completed and hanging:
            logs = str(results / "logs" / f"{hanging[0]}.log")
            for child in psutil.process_iter():
                if killable.trains(child) and logs in opened(child):
                    return hanging[0], killable.slot_of(child).pid
    raise AssertionError("no trial hung")


def opened(process):
    return {str(Path(f"/proc/{process.pid}/fd/1").readlink())}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_every_finished_epoch_and_says_how_to_go_on(tmp_path, fashion_mnist, number):
    results = tmp_path / "results"
    slow = ("--set", "seconds=0.5", "--epochs", "40", "--seeds", "1")
    with subprocess.Popen(
        command(results, *slow), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while read(results, "epochs").height < 4:
            time.sleep(0.2)
        process.send_signal(number)
        said, complained = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "stopped; every finished epoch is kept. To continue: " in said
    assert "--set seconds=0.5 --epochs 40 --seeds 1" in said
    assert "Traceback" not in complained
    epochs = read(results, "epochs")
    assert 4 <= epochs.height < 4 * 40  # it did not go on to its end
    assert epochs.select("trial_id", "attempt", "epoch").n_unique() == epochs.height
    assert read(results, "runs").filter(pl.col("event") == "end")["outcome"].to_list() == ["interrupted"]


@pytest.mark.slow
def test_a_person_stops_a_trial_adds_a_seed_and_then_stops_the_sweep(tmp_path, fashion_mnist):
    """With Ray, which the same process starts twice."""
    results = tmp_path / "results"
    slow = ("--set", "quality=0.4,0.6", "--set", "seconds=0.4", "--epochs", "15", "--seeds", "1", "--slots", "1")
    with subprocess.Popen(command(results, *slow), stdout=subprocess.PIPE, text=True) as process:
        first = first_epoch(results, 0)
        requests.put(results, "made_up", STOP_TRIAL, trial_id=first)
        requests.put(results, "made_up", ADD_SEEDS, seeds=2)
        first_epoch(results, 2)
        requests.put(results, "made_up", STOP_SWEEP)
        said = process.communicate(timeout=200)[0]
    assert process.returncode == 3, said
    ends = read(results, "trials")
    assert ends["outcome"].to_list() == ["stopped", "completed", "completed"]
    assert (ends["trial_id"][0], ends["reason"][0]) == (first, "stopped on request")
    assert ends["epochs"][0] < 15
    runs = read(results, "runs")
    assert runs.filter(pl.col("event") == "end")["outcome"].to_list() == ["ended", "stopped on request"]
    assert runs.filter(pl.col("event") == "start")["command"][1].endswith("--slots 1 --seeds 3")
    assert runs["event"].cast(pl.String).str.starts_with("request ").sum() == 3
    assert requests.pending(results, "made_up") == []
    assert "request to stop after the running trials: no other trial starts" in said
    assert said.count("To continue: ") == 1


def first_epoch(results, ended):
    """Waits until so many trials have ended and the next has an epoch; returns its id."""
    while True:
        epochs, ends = read(results, "epochs"), set(read(results, "trials")["trial_id"])
        if len(ends) == ended and (running := [t for t in epochs["trial_id"] if t not in ends]):
            return running[0]
        time.sleep(0.2)


def test_a_cluster_that_cannot_be_reached_is_bad_input(tmp_path, fashion_mnist, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    ended = run(tmp_path / "results", "--seeds", "1")
    assert ended.returncode == 2
    assert "RAY_ADDRESS=127.0.0.1:1 does not answer" in ended.stderr


def test_a_second_command_on_the_same_sweep_says_so(tmp_path, fashion_mnist):
    import filelock

    results = tmp_path / "results"
    (results / ".state").mkdir(parents=True)
    with filelock.FileLock(results / ".state" / "made_up.lock"):
        ended = run(results)
    assert ended.returncode == 2
    assert ended.stderr.startswith("made_up.py: error: another command is running the sweep 'made_up'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "quality=3"], "quality=3.0 is not valid; valid: 0 to 1"),
        (["--set", "colour=red"], "unknown key 'colour'"),
        (["--flag"], "unknown flag: --flag"),
        (["--images", "50001"], "images=50001 is not valid for fashion_mnist; valid: 10 to 50,000"),
        (["--data", "/nowhere"], "/nowhere, given by --data, is not a folder"),
        (["--results", "/proc/results"], "cannot write to the results folder /proc/results"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, fashion_mnist, arguments, words):
    ended = run(tmp_path / "results", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert words in ended.stderr
    assert not (tmp_path / "results" / "trials").exists()


def test_help_imports_neither_ray_nor_keras(tmp_path):
    code = (
        "import sys, runpy\n"
        "sys.argv = ['x', '--help']\n"
        f"try:\n    runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'polars', 'pyarrow', 'matplotlib', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_a_word_that_is_not_utf8_is_refused_before_anything_else(capsys):
    """Ray passes the command line on as text; it would fail after the data are prepared."""
    with pytest.raises(SystemExit) as end:
        sweep_command.main(made_up_sweep.SWEEP, ["--data", "/tmp/caf\udce9"])
    assert end.value.code == 2
    assert "/tmp/caf\\udce9 is not UTF-8; valid: a link with another name" in capsys.readouterr().err
