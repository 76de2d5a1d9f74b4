"""A cluster of three hosts on this machine, for `ray up` with the project's cluster.yaml."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_cluster
from cluster_hosts import Hosts
from ray_cluster import Cluster


@pytest.fixture(scope="module")
def hosts_and_environment(tmp_path_factory) -> Iterator[tuple[Hosts, Path]]:
    """Three hosts, a laptop and a stranger, with an environment in which the project is at /root/layersweep."""
    if reason := ray_cluster.problem():
        pytest.skip(reason)
    environment = ray_cluster.make_environment(tmp_path_factory.mktemp("environment"), ray_cluster.source())
    keep = [ray_cluster.PROJECT, environment, ray_cluster.source(), Path(sys.base_prefix)]
    with Hosts(ray_cluster.HOSTS, keep=keep) as hosts:
        yield hosts, environment


@pytest.fixture(scope="module")
def cluster(hosts_and_environment) -> Iterator[Cluster]:
    """The hosts with the file for `ray up`, which has not been run; `ray down` is not, either: the hosts end."""
    hosts, environment = hosts_and_environment
    found = Cluster(hosts=hosts, environment=environment)
    text = (ray_cluster.PROJECT / "cluster.yaml").read_text()
    (hosts.root("laptop") / "cluster.yaml").write_text(ray_cluster.changed(text, hosts, environment))
    yield found
    print("\n== seconds: " + ", ".join(f"{step} {seconds:.1f}" for step, seconds in found.seconds.items()))
