"""`ray down`, and what is left then; meanwhile one machine trains what the cluster has trained."""

import subprocess
import sys

import polars as pl
import pytest
from ray_cluster import PATIENCE_SECONDS, PROJECT, wait_until
from swept import EPOCH, EPOCHS, TRIALS

from layersweep.records.read import read
from layersweep.tuning.storage.recorded_attempt import METRICS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def one_machine(swept, tmp_path_factory):
    """The same sweep on this machine, which goes on meanwhile, and its results folder."""
    folder = tmp_path_factory.mktemp("one")
    command = [sys.executable, PROJECT / "sweeps" / "optimizers.py", "--results", folder / "results", *swept.flags]
    with (folder / "said.txt").open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        yield process, folder
        process.kill()


def test_ray_down_leaves_nothing_running(joined, one_machine):
    """Ray's agents wait for a minute for the head before they end: publish_error_to_driver(…, 60) in Ray 2.60."""
    assert joined.timed("ray down", "laptop", "ray", "down", "-y", joined.file).returncode == 0

    def workers() -> list[str]:
        return [line for i in (2, 3) for line in joined.hosts.processes(i)]

    assert joined.hosts.processes(1) == []
    no_raylet = wait_until(lambda: not any("raylet" in line for line in workers()), seconds=PATIENCE_SECONDS)
    rest = wait_until(lambda: workers() == [], seconds=PATIENCE_SECONDS)
    joined.seconds |= {"no raylet left": no_raylet, "nothing left": no_raylet + rest}


def test_the_result_is_that_of_one_machine_in_every_digit(swept, one_machine):
    process, folder = one_machine
    assert process.wait(2 * PATIENCE_SECONDS) == 0, (folder / "said.txt").read_text()
    results = folder / "results"
    one, many = (read(folder, "epochs", columns=(*EPOCH, *METRICS)).sort(EPOCH) for folder in (results, swept.results))
    assert one.height == TRIALS * EPOCHS
    same = many.filter(pl.col("trial_id").is_in(one["trial_id"].unique().to_list()))  # test_head.py adds others
    assert one.equals(same.select(one.columns))


def test_a_ray_without_a_token_is_a_failure_and_so_are_workers_without_ray(joined):
    """By hand on the head, as it is after `ray down`; ssh reaches the workers, on which no Ray runs."""
    start = ["ray", "start", "--head", "--include-dashboard=false", "--include-log-monitor=false", "--num-cpus=1"]
    environment = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": "/tmp/layersweep-0"}
    assert joined.timed("an open ray start", "h1", *start, **environment).returncode == 0
    done = joined.timed("doctor, open", "h1", "python", "-m", "layersweep", "doctor", "--wait", "0")
    assert done.returncode == 1
    assert "Ray answers without a token" in done.stdout
    assert "not joined: ray not started" in done.stdout
    assert "failure: 4," in done.stdout, "two workers, an open port, and how it was started"
