"""Trials that fail: the others complete, or the sweep ends where all fail alike. Through the real command and Ray."""

from pathlib import Path

import killable
import polars as pl
import pytest

from layersweep.records.read import read


@pytest.mark.slow
def test_trials_that_hang_or_lose_their_process_fail_and_the_others_complete(tmp_path, fashion_mnist, joining):
    results = tmp_path / "results"
    misdeeds = ("--set", "quality=0.5", "--set", "misdeed=none,hang,kill,talk", "--seeds", "1", "--epochs", "3")
    ended = killable.run(results, *misdeeds, "--trial-timeout", "4s", "--retries", "0", environment=joining)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    trials = {row["misdeed"]: row for row in read(results, "trials").iter_rows(named=True)}
    assert read(results, "trials").height == 4
    assert {m: (r["outcome"], r["error_type"], r["epochs"]) for m, r in trials.items()} == {
        "none": ("completed", None, 3),
        "talk": ("completed", None, 3),
        "hang": ("failed", "TimedOut", 1),
        "kill": ("failed", "ProcessKilled", 1),
    }
    assert trials["hang"]["reason"] == "TimedOut: the training took longer than --trial-timeout, 4 s"
    assert Path(trials["hang"]["log"]).parent == results / "logs"
    assert "failed 0.5 misdeed=hang, seed 1: TimedOut" in ended.stdout
    assert "tried again" not in ended.stdout


def test_trials_that_all_fail_alike_end_the_sweep(tmp_path, fashion_mnist, joining):
    results = tmp_path / "results"
    arguments = ("--set", "misdeed=at once", "--seeds", "8", "--fail-fast", "2")
    ended = killable.run(results, *arguments, environment=joining)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "trials all failed: RuntimeError: made to fail in epoch 1 (see the logs below the results" in line
    trials = read(results, "trials")
    assert set(trials["outcome"]) == {"failed"}
    assert 2 <= trials.height <= 6  # of 32
    assert read(results, "runs").filter(pl.col("event") == "end")["outcome"].to_list() == ["failed"]
