"""A real sweep on three hosts, from a laptop that is closed meanwhile: a raylet, a link and the driver are lost.

Nothing is shared between the hosts: the data set, checkpoints and logs travel through Ray. `pytest -s` prints how long
it took until work went on.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from ray_cluster import PROJECT, Cluster, wait_until

from records.read import read
from tuning.past import METRICS

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

SWEEP = (
    "--set", "optimizer=adam,sgd", "--seeds", "3", "--images", "500", "--epochs", "10", "--scheduler", "none",
    "--checkpoint-every", "5s",
)  # fmt: skip
TRIALS, EPOCHS = 6, 10
EPOCH = ("trial_id", "epoch")


class Swept:
    """The sweep's records on the head, as this machine sees them, and the laptop's commands."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.results = cluster.hosts.root("h1") / "layersweep" / "results"
        self.said = cluster.hosts.root("laptop") / "said.txt"

    def command(self) -> "subprocess.Popen[str]":
        """The laptop's command, which is always the same."""
        path = f"{self.cluster.environment}/bin:{os.environ['PATH']}"
        with self.said.open("a") as said:
            return self.cluster.hosts.popen(
                "laptop",
                ["python", str(PROJECT / "sweeps" / "optimizers.py"), "--cluster", self.cluster.file, *SWEEP],
                env={"PATH": path, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def epochs(self) -> pl.DataFrame:
        if not self.results.is_dir():
            return pl.DataFrame({"trial_id": [], "epoch": []})
        return read(self.results, "epochs", columns=EPOCH)

    def more(self, number: int, what: str, seconds: float = 150.0) -> None:
        """Waits for so many epochs more, and notes how long that took."""
        before = self.epochs().height
        took = wait_until(lambda: self.epochs().height >= before + number, seconds=seconds)
        self.cluster.seconds[what] = took

    def gone_on(self) -> int:
        """How many losses of a slot were followed by an epoch of the same trial."""
        lost = read(self.results, "trials").filter(pl.col("outcome") == "failed").select("trial_id", "ended_at")
        later = read(self.results, "epochs").join(lost, on="trial_id").filter(pl.col("at") > pl.col("ended_at"))
        return later.select("trial_id", "ended_at").n_unique()

    def goes_on(self, number: int, what: str, seconds: float = 150.0) -> None:
        """Waits until so many trials that lost their slot go on, and notes how long that took."""
        self.cluster.seconds[what] = wait_until(lambda: self.gone_on() >= number, seconds=seconds)

    def hosts(self) -> set[str]:
        return set(read(self.results, "trials", columns=("host",))["host"].drop_nulls())

    def kill(self, host: str, pattern: str) -> None:
        """Kills what runs on a host, which sees no process of others."""
        assert self.cluster.hosts.run(host, ["pkill", "-KILL", "-f", pattern]).returncode == 0


@pytest.fixture(scope="module")
def swept(cluster: Cluster, fashion_mnist_files: Path):
    """Everything that happens, in order; the laptop is closed before the first fault and opened at the end."""
    swept = Swept(cluster)
    there = cluster.hosts.root("h1") / ".keras" / "datasets" / "fashion-mnist"
    shutil.copytree(fashion_mnist_files, there)  # the head's user has the files; no other host has
    assert cluster.timed("ray up", "laptop", "ray", "up", "-y", cluster.file).returncode == 0
    raylets = lambda: sum("/raylet/raylet" in line for i in (1, 2, 3) for line in cluster.hosts.processes(i))  # noqa: E731
    cluster.seconds["three hosts"] = wait_until(lambda: raylets() == 3, seconds=90)
    assert cluster.doctor("doctor", "--wait", "30").returncode == 0
    laptop = swept.command()
    swept.more(6, "six epochs from the laptop's command")
    laptop.send_signal(signal.SIGKILL)  # closed
    laptop.wait()
    swept.kill("h2", "raylet/raylet")
    swept.goes_on(1, "a raylet killed, its trial goes on")
    cluster.hosts.cut(3)
    swept.goes_on(2, "a link cut, its trial goes on")
    cluster.hosts.mend(3)
    swept.kill("h1", "sweeps/optimizers.py")
    with swept.command() as again:
        swept.more(2, "two epochs from the same command, the driver killed")
        again.wait(400)
    swept.code = again.returncode
    print(swept.said.read_text())
    return swept


def test_it_ends_well_on_the_laptop_with_the_study(swept):
    assert swept.code == 0
    said = swept.said.read_text()
    assert said.count("submitted layersweep-optimizers-") == 2  # the second after the driver was killed
    assert f"on the cluster layersweep: root@{swept.cluster.hosts.outside}, records in /root/layersweep/results" in said
    here = swept.cluster.hosts.root("laptop") / "results"
    assert (here / "studies" / "optimizers.html").is_file()
    assert read(here, "epochs").height == TRIALS * EPOCHS


def test_each_epoch_is_recorded_once_whatever_was_lost(swept):
    epochs = swept.epochs()
    assert epochs.height == epochs.unique().height == TRIALS * EPOCHS
    assert set(read(swept.results, "epochs")["attempt"]) == {0}


def test_trials_ran_on_all_hosts(swept):
    assert swept.hosts() == {"h1", "h2", "h3"}


def test_the_result_is_that_of_one_machine_in_every_digit(swept, tmp_path):
    results = tmp_path / "results"
    command = [sys.executable, PROJECT / "sweeps" / "optimizers.py", "--results", results, *SWEEP]
    subprocess.run(command, check=True, capture_output=True, timeout=400)
    one, many = (read(folder, "epochs", columns=(*EPOCH, *METRICS)).sort(EPOCH) for folder in (results, swept.results))
    assert one.equals(many.select(one.columns))


def test_nothing_stays_on_the_hosts(swept):
    for i in (2, 3):
        assert not list(swept.cluster.hosts.tmp(f"h{i}").glob("layersweep-slot-*"))
    assert not list((swept.results / ".state" / "checkpoints").iterdir())
