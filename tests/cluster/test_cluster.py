"""`ray up cluster.yaml`, the doctor, a stranger and `ray down`, on three hosts; each test goes on from the one before.

Five minutes on two cores. `pytest -s` prints what each command said and how long it took.
"""

import itertools
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from ray_cluster import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

REQUEST = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None)
print("in")
"""
"""The least that the GCS's port is asked."""

WALK = """
import http.client, socket, sys
address, ports = sys.argv[1], sys.argv[2].split(",")
for port in ports:
    for path in ("/", "/metrics", "/api/jobs/", "/api/job_agent/jobs/", "/api/v0/logs", "/logs", "/nodes?view=summary"):
        try:
            connection = http.client.HTTPConnection(address, int(port), timeout=3)
            connection.request("GET", path)
            answer = connection.getresponse()
            print(port, path, answer.status, len(answer.read()))
        except (OSError, http.client.HTTPException):
            pass
"""
"""Asks every port for every page."""

PAGE = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def raylets(cluster: Cluster, i: int) -> int:
    return sum("/raylet/raylet" in line for line in cluster.hosts.processes(i))


def test_a_worker_that_refuses_the_key_is_named_though_ray_up_ends_well(cluster):
    cluster.hosts.lock_out(3)
    assert cluster.timed("ray up", "laptop", "ray", "up", "-y", cluster.file).returncode == 0
    cluster.seconds["second host"] = wait_until(lambda: raylets(cluster, 2) > 0, seconds=60)
    done = cluster.doctor("doctor, a key refused")
    assert done.returncode == 1
    assert "10.77.0.13" in done.stdout
    assert "key refused" in done.stdout
    assert "authorized_keys of root@10.77.0.13" in re.sub(r"\s*│\n│[ │]*", " ", done.stdout)
    assert "failure: 1," in done.stdout, "the other worker has joined"


def test_it_joins_once_the_key_is_right_and_the_doctor_is_content(cluster):
    cluster.hosts.let_in(3)
    cluster.seconds["third host"] = wait_until(lambda: raylets(cluster, 3) > 0, seconds=60)
    done = cluster.doctor("doctor, all well", "--wait", "30")
    assert done.returncode == 0
    assert "3 nodes with 3 slots, the head 10.77.0.11" in done.stdout
    assert "all 3 nodes" in done.stdout
    assert "a stranger's request was refused" in done.stdout
    assert "failure: 0," in done.stdout
    again = cluster.on("h1", "python", "-m", "tuning.doctor", RAY_AUTH_MODE="token")
    assert again.returncode == 0, "on the head, without the file: it knows the machines from what `ray up` left"
    assert "3 nodes with 3 slots" in again.stdout


def test_the_doctor_names_a_node_with_other_code(cluster):
    cluster.hosts.run("h2", ["sh", "-c", "echo >> layersweep/tuning/plan.py; rm layersweep/tuning/slot.py"])
    try:
        done = cluster.doctor("doctor, other code")
    finally:
        cluster.hosts.run("h1", ["sh", "-c", f"{COPY} tuning/plan.py tuning/slot.py 10.77.0.12:layersweep/tuning/"])
    assert done.returncode == 1
    assert "differs from the head's: tuning/plan.py; missing: tuning/slot.py" in re.sub(
        r"\s*│\n│[ │]*", " ", done.stdout
    )


COPY = (
    "cd layersweep && rsync -a -e 'ssh -i /root/ray_bootstrap_key.pem -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'"
)


def driver(address: str) -> list[str]:
    return ["python", "-c", f"import ray; ray.init({address!r}); print('in', ray.nodes())"]


GCS, DASHBOARD, JOB = "10.77.0.11:6379", "http://10.77.0.11:8265", ["ray", "job"]
REFUSED = "InvalidAuthToken"
NOT_REACHED = "Failed to connect"
NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
WRONG_TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}


ATTEMPTS = {
    "ray status": (["ray", "status", "--address", GCS], REFUSED),
    "GCS port": (["python", "-c", REQUEST, GCS], REFUSED),
    "logs": (["ray", "logs", "cluster", "--address", GCS], REFUSED),
    "driver": (driver(GCS), NOT_REACHED),
    "Ray client": (driver("ray://10.77.0.11:10001"), "ray client connection timeout"),
    "submit": ([*JOB, "submit", "--address", DASHBOARD, "--", "true"], NOT_REACHED),
    "job's logs": ([*JOB, "logs", "--address", DASHBOARD, "raysubmit_x"], NOT_REACHED),
    "dashboard": (["python", "-c", PAGE, DASHBOARD], "Connection refused"),
}
"""What a stranger tries, and what the refusal says."""

TOKENS = {"no token": NO_TOKEN, "wrong token": WRONG_TOKEN}


@pytest.fixture(scope="module")
def refusals(cluster):
    """What each attempt with each token ended with; a few at once, since two of them wait for half a minute."""

    def attempt(key: tuple[str, str]) -> subprocess.CompletedProcess[str]:
        what, token = key
        return cluster.timed(f"stranger: {what}, {token}", "stranger", *ATTEMPTS[what][0], timeout=120, **TOKENS[token])

    keys = list(itertools.product(ATTEMPTS, TOKENS))
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(keys, pool.map(attempt, keys), strict=True))


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_stranger_is_refused(refusals, what, token):
    done = refusals[what, token]
    assert done.returncode != 0
    assert ATTEMPTS[what][1] in done.stdout + done.stderr
    assert not done.stdout.startswith("in")


def test_who_has_the_token_is_not_refused(cluster):
    assert cluster.on("h1", "python", "-c", REQUEST, GCS, RAY_AUTH_MODE="token").stdout == "in\n"


def test_every_port_that_a_stranger_reaches_serves_metrics_or_nothing(cluster):
    listening = cluster.hosts.run("h1", ["ss", "-Hltn"]).stdout
    ports = {
        m[1] for m in re.finditer(r"^\S+\s+\d+\s+\d+\s+(?:\*|0\.0\.0\.0|\[::\]|10\.77\.\S+):(\d+)", listening, re.M)
    }
    said = cluster.on("stranger", "python", "-c", WALK, "10.77.0.11", ",".join(sorted(ports))).stdout
    print(f"\n{len(ports)} ports listen; answers to a stranger:\n{said}")
    got = [line.split() for line in said.splitlines()]
    open_ports = {port for port, _path, status, size in got if status == "200" and int(size)}
    assert "9464" in open_ports, "the walk sees what is open"
    assert open_ports <= {"9464", "44217", "44227"}


def test_the_heads_own_users_need_the_token_for_the_dashboard(cluster):
    page = ["python", "-c", PAGE, "http://127.0.0.1:8265/api/jobs/"]
    assert cluster.on("h1", *page).stdout == "401\n"


def test_a_sweep_looks_first_with_the_quick_part(cluster):
    program = (
        "import time, ray; ray.init(log_to_driver=False); from tuning.doctor import quick; began = time.monotonic(); "
        "[print(f.level, f.about, f.where) for f in quick()]; print(time.monotonic() - began)"
    )
    done = cluster.on("h1", "python", "-c", program, RAY_AUTH_MODE="token", RAY_ADDRESS=GCS)
    *findings, seconds = done.stdout.splitlines()
    assert findings == ["ok nodes cluster", "ok versions all 3 nodes", "ok code all 3 nodes"]
    cluster.seconds["quick"] = float(seconds)


def test_a_host_whose_cable_is_cut_is_named(cluster):
    cluster.hosts.cut(2)
    done = cluster.doctor("doctor, a cable cut", "--wait", "0")
    cluster.hosts.mend(2)
    assert done.returncode == 1
    assert "not joined: not reached" in done.stdout
    assert "port 22" in done.stdout


def test_ray_down_leaves_nothing_running(cluster):
    """Ray's agents wait for a minute for the head before they end: publish_error_to_driver(…, 60) in Ray 2.60."""
    assert cluster.timed("ray down", "laptop", "ray", "down", "-y", cluster.file).returncode == 0

    def workers() -> list[str]:
        return [line for i in (2, 3) for line in cluster.hosts.processes(i)]

    assert cluster.hosts.processes(1) == []
    cluster.seconds["no raylet left"] = wait_until(lambda: not any("raylet" in line for line in workers()), seconds=60)
    rest = wait_until(lambda: workers() == [], seconds=80)
    cluster.seconds["nothing left"] = cluster.seconds["no raylet left"] + rest


def test_a_ray_without_a_token_is_a_failure_and_so_are_workers_without_ray(cluster):
    """By hand on the head, as it is after `ray down`; ssh reaches the workers, on which no Ray runs."""
    start = ["ray", "start", "--head", "--include-dashboard=false", "--include-log-monitor=false", "--num-cpus=1"]
    assert cluster.timed("an open ray start", "h1", *start, RAY_AUTH_MODE="disabled").returncode == 0
    done = cluster.timed("doctor, open", "h1", "python", "-m", "tuning.doctor", "--wait", "0")
    assert done.returncode == 1
    assert "Ray answers without a token" in done.stdout
    assert "not joined: ray not started" in done.stdout
    assert "failure: 4," in done.stdout, "two workers, an open port, and how it was started"
