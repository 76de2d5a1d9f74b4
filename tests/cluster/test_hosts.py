"""The hosts that the cluster's tests run on: apart from each other, and gone afterwards."""

import os
import subprocess
from pathlib import Path

import cluster_hosts
import pytest
from cluster_hosts import Hosts
from ray_cluster import wait_until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def possible():
    if reason := cluster_hosts.problem():
        pytest.skip(reason)


def namespaces() -> list[str]:
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [name for name in said.split() if name.startswith(f"layersweep-{os.getpid()}-")]


def ssh(hosts: Hosts, address: str, *command: str):
    options = ["-i", str(hosts.key), "-o", "BatchMode=yes", "-o", "ConnectTimeout=3", "-o", "StrictHostKeyChecking=no"]
    return hosts.run("laptop", ["ssh", *options, f"root@{address}", *command])


def test_hosts_are_apart_and_nothing_is_left_of_them(tmp_path):
    (tmp_path / "kept").write_text("kept")
    with Hosts(2, keep=[tmp_path]) as hosts:
        first = {place: (hosts.root(place), hosts.run(place, ["hostname"]).stdout.strip()) for place in hosts.places}
        assert {name for _, name in first.values()} == set(hosts.places) == {"h1", "h2", "laptop", "stranger"}
        assert hosts.run("h2", ["cat", str(tmp_path / "kept")]).stdout == "kept"
        assert hosts.run("h2", ["touch", str(tmp_path / "new")]).returncode != 0
        hosts.run("h1", ["sh", "-c", "echo 1 > /tmp/own; echo 2 > /dev/shm/own; echo 3 > /root/own"])
        assert hosts.run("h2", ["ls", "/tmp/own", "/dev/shm/own", "/root/own"]).stdout == ""
        assert hosts.run("h2", ["ls", *(str(folder) for folder, _ in first.values())]).stdout == ""
        assert not Path("/tmp/own").exists()
        sleeper = hosts.popen("h1", ["sleep", "1000"])
        wait_until(lambda: "sleep 1000" in hosts.processes(1), seconds=30)  # a shell begins it
        assert "sleep 1000" not in hosts.processes(2)
    assert sleeper.wait(5) != 0
    assert namespaces() == []
    assert not any(folder.exists() for folder, _ in first.values())
    assert "layersweep-hosts" not in Path("/proc/self/mountinfo").read_text()
    assert (tmp_path / "kept").read_text() == "kept"


def test_cables_keys_and_who_reaches_whom():
    with Hosts(2) as hosts:
        assert ssh(hosts, hosts.outside, "hostname").stdout == "h1\n"
        assert ssh(hosts, hosts.address(2), "hostname").returncode == 255, "the laptop reaches the head alone"
        connect = ["bash", "-c", f"timeout 2 bash -c '</dev/tcp/{hosts.address(2)}/22'"]
        assert hosts.run("h1", connect).returncode == 0
        assert hosts.run("stranger", connect).returncode == 0
        hosts.cut(2)
        assert hosts.run("h1", connect).returncode != 0
        hosts.mend(2)
        assert hosts.run("h1", connect).returncode == 0
        hosts.lock_out(1)
        refused = ssh(hosts, hosts.outside, "hostname")
        assert (refused.returncode, "Permission denied" in refused.stderr) == (255, True)
        hosts.let_in(1)
        assert ssh(hosts, hosts.outside, "hostname").returncode == 0


def test_a_command_that_takes_too_long_is_ended():
    with Hosts(1) as hosts:
        with pytest.raises(subprocess.TimeoutExpired):
            hosts.run("h1", ["sleep", "100"], timeout=0.5)
        assert "sleep 100" not in hosts.processes(1)
