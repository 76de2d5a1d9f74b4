"""The measures by which hosts and one machine are compared."""

import os
import subprocess
import sys

import pytest

from benchmarks.hosts import CLUSTER, MACHINE, measurements


def readings(command, trial, busiest):
    return {("whole command", "s"): command, ("a trial", "ms"): trial, ("trials on the busiest host", "share"): busiest}


def test_each_round_of_the_cluster_is_held_against_the_machines_in_it():
    runs = {
        CLUSTER: [readings(60, 400, 0.4), readings(90, 500, 0.5)],
        MACHINE: [readings(40, 400, 0.4), readings(45, 400, 0.4)],
    }
    rows = {(row.case, row.measure): row.values for row in measurements(runs, readings(99, 500, 0.6))}
    assert rows[CLUSTER, "whole command"] == [60, 90]
    assert rows[CLUSTER, "trials on the busiest host"] == [0.4, 0.5]
    assert rows[CLUSTER, "trials on the busiest host, first sweep"] == [0.6]
    assert rows[MACHINE, "a trial"] == pytest.approx([400, 400])
    assert rows[f"{CLUSTER} / {MACHINE}", "whole command"] == pytest.approx([1.5, 2])
    assert rows[f"{CLUSTER} / {MACHINE}", "a trial"] == pytest.approx([1, 1.25])


def test_without_what_a_cluster_needs_one_line_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"LAYERSWEEP_CLUSTER_ENVIRONMENT": str(tmp_path / "empty")}
    command = [sys.executable, "-m", "benchmarks.hosts", "--out", str(tmp_path / "out")]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert process.returncode == 1
    assert process.stderr.strip() == (
        f"no cluster can be made here: {tmp_path / 'empty'} has no ray[default]: uv sync --group cluster"
    )
