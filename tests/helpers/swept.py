"""A sweep on the hosts' cluster, begun and followed from the laptop by one command, which is always the same."""

import os
import subprocess
from collections.abc import Callable, Sequence

import polars as pl
from ray_cluster import PATIENCE_SECONDS, PROJECT, Cluster, wait_until

from layersweep.records.read import read

EPOCH = ("trial_id", "epoch")
TRIALS, EPOCHS = 8, 24  # long enough that a trial still runs on each host when the third fault comes
SWEEP = (
    "--set", "optimizer=adam,sgd", "--seeds", "4", "--images", "500", "--epochs", str(EPOCHS), "--scheduler", "none",
    "--checkpoint-every", "5s",
)  # fmt: skip


class Swept:
    """The sweep's records on the head, as this machine sees them, and the laptop's command.

    Args:
        cluster: on which it runs.
        flags: of `sweeps/optimizers.py`.

    Attributes:
        code: the exit code of the laptop's last command.
        doctor: what the doctor said while a host's cable was cut.
    """

    def __init__(self, cluster: Cluster, flags: Sequence[str] = SWEEP) -> None:
        self.cluster = cluster
        self.flags = flags
        self.code: int | None = None
        self.doctor: subprocess.CompletedProcess[str] | None = None
        self.results = cluster.hosts.root("h1") / "layersweep" / "results"
        self.said = cluster.hosts.root("laptop") / "said.txt"

    def command(self) -> "subprocess.Popen[str]":
        """The laptop's command."""
        path = f"{self.cluster.environment}/bin:{os.environ['PATH']}"
        with self.said.open("a") as said:
            return self.cluster.hosts.popen(
                "laptop",
                ["python", str(PROJECT / "sweeps" / "optimizers.py"), "--cluster", self.cluster.file, *self.flags],
                env={"PATH": path, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def driver_lost(self) -> None:
        """Kills the job's driver, and waits until Ray has noticed: until then the same command would follow it."""
        self.kill("h1", "sweeps/optimizers.py")
        listed = ["ray", "job", "list", "--address", "http://127.0.0.1:8265"]
        self.cluster.seconds["the driver killed, its job has failed"] = wait_until(
            lambda: "FAILED" in self.cluster.on("h1", *listed, RAY_AUTH_MODE="token").stdout, seconds=PATIENCE_SECONDS
        )

    def epochs(self) -> pl.DataFrame:
        """Trial and epoch of each recorded epoch."""
        if not self.results.is_dir():
            return pl.DataFrame({name: [] for name in EPOCH})
        return read(self.results, "epochs", columns=EPOCH)

    def more(self, number: int, what: str) -> None:
        """Waits for so many epochs more, and notes how long that took."""
        before = self.epochs().height
        took = wait_until(lambda: self.epochs().height >= before + number, seconds=PATIENCE_SECONDS)
        self.cluster.seconds[what] = took

    def begun(self, number: int, what: str) -> None:
        """Waits until so many trials have made an epoch, and notes how long that took."""
        took = wait_until(lambda: self.epochs()["trial_id"].n_unique() >= number, seconds=PATIENCE_SECONDS)
        self.cluster.seconds[what] = took

    def losses(self) -> pl.DataFrame:
        """The losses of a slot: which trial, and when."""
        return read(self.results, "trials").filter(pl.col("outcome") == "failed").select("trial_id", "ended_at")

    def gone_on(self) -> int:
        """How many losses were followed by an epoch of the same trial."""
        later = read(self.results, "epochs").join(self.losses(), on="trial_id")
        return later.filter(pl.col("at") > pl.col("ended_at")).select("trial_id", "ended_at").n_unique()

    def lose(self, what: str, fault: Callable[[], object]) -> None:
        """Lets a fault happen by which a trial loses its slot; waits until it goes on, and notes how long that took."""
        before = self.losses().height
        fault()
        self.cluster.seconds[what] = wait_until(lambda: self.gone_on() > before, seconds=PATIENCE_SECONDS)

    def hosts(self) -> set[str]:
        """The hosts on which trials have ended, or were lost."""
        return set(read(self.results, "trials", columns=("host",))["host"].drop_nulls())

    def last_hosts(self) -> set[str]:
        """Those of the last command."""
        last = read(self.results, "runs", columns=("run", "at")).sort("at")["run"][-1]
        trials = read(self.results, "trials", columns=("run", "host"))
        return set(trials.filter(pl.col("run") == last)["host"].drop_nulls())

    def kill(self, host: str, pattern: str, *, newest: bool = False) -> None:
        """Kills what runs on a host, which sees no process of others; all of it, or what began last."""
        command = ["pkill", "-KILL", *(["--newest"] if newest else []), "-f", pattern]
        assert self.cluster.hosts.run(host, command).returncode == 0
