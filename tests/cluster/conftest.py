"""A cluster of three hosts on this machine, made once, by `ray up` with the project's cluster.yaml; what comes when."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_cluster
from ray_cluster import PATIENCE_SECONDS, Cluster, wait_until
from swept import Swept

ORDER = (
    "test_hosts",
    "test_prometheus",
    "test_cluster",
    "test_strangers",
    "test_own_script",
    "test_sweep",
    "test_other_users",
    "test_head",
    "test_down",
)
"""Of the modules: one cluster goes through all of them, to `ray down`; others come before it starts."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the modules of this folder into their order, behind all others."""
    here = Path(__file__).parent
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.parent == here else -1)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """The cluster behind `ray up`; its third host refuses the key. `ray down` is not run: the hosts end."""
    if reason := ray_cluster.problem():
        pytest.skip(reason)
    with ray_cluster.hosts(tmp_path_factory.mktemp("environment")) as made:
        made.hosts.lock_out(3)
        assert made.up("ray up").returncode == 0
        made.seconds["second host"] = wait_until(lambda: made.raylets(2) == 1, seconds=PATIENCE_SECONDS)
        yield made
        print("\n== seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in made.seconds.items()))


@pytest.fixture(scope="session")
def joined(cluster: Cluster) -> Cluster:
    """The cluster with all its hosts."""
    cluster.hosts.let_in(3)
    cluster.seconds["third host"] = wait_until(lambda: cluster.raylets(3) == 1, seconds=PATIENCE_SECONDS)
    return cluster


@pytest.fixture(scope="session")
def swept(joined: Cluster, fashion_mnist_files: Path) -> Swept:
    """Everything that happens, in order; the laptop is closed before the first fault and opened at the end."""
    swept = Swept(joined)
    there = joined.hosts.root("h1") / ".keras" / "datasets" / "fashion-mnist"
    shutil.copytree(fashion_mnist_files, there, dirs_exist_ok=True)  # the head's user has the files; no other host has
    laptop = swept.command()
    swept.begun(3, "an epoch of three trials from the laptop's command")
    swept.kill("laptop", "sweeps/optimizers.py")  # closed
    assert laptop.wait(PATIENCE_SECONDS) != 0
    swept.lose("a training process killed, its trial goes on", lambda: swept.kill("h3", "trainables[.]", newest=True))
    swept.lose("a raylet killed, its trial goes on", lambda: swept.kill("h2", "raylet/raylet"))
    swept.lose("a link cut, its trial goes on", lambda: joined.hosts.cut(3))
    swept.doctor = joined.doctor("doctor, a cable cut", "--wait", "0")
    joined.hosts.mend(3)
    swept.driver_lost()
    again = swept.command()
    swept.more(2, "two epochs from the same command, the driver killed")
    swept.code = again.wait(PATIENCE_SECONDS)
    print(swept.said.read_text())
    return swept
