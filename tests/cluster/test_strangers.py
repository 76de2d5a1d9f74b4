"""Who has no token, or a wrong one, is refused: from the cluster's network, and on the head itself, by its loopback.

`pytest -s` shows each refusal.
"""

import itertools
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

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

PAGES = """
import os, sys, urllib.error, urllib.request
for what in sys.argv[2:]:
    method, path = what.split(" ")
    asked = urllib.request.Request(sys.argv[1] + path, method=method, data=b"{}" if method == "POST" else None)
    asked.add_header("Content-Type", "application/json")
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        asked.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            print(answer.status, what)
    except urllib.error.HTTPError as error:
        print(error.code, what, error.read().decode())
"""
"""Asks the dashboard for pages, with the token if there is one."""


def driver(address: str) -> list[str]:
    return ["python", "-c", f"import ray; ray.init({address!r}); print('in', ray.nodes())"]


GCS, DASHBOARD, LOOPBACK, JOB = "10.77.0.11:6379", "http://10.77.0.11:8265", "http://127.0.0.1:8265", ["ray", "job"]
ASKED = (
    "GET /api/version", "GET /nodes?view=summary", "GET /logical/actors", "GET /api/cluster_status",
    "GET /api/jobs/", "POST /api/jobs/", "GET /api/jobs/raysubmit_x/logs", "GET /api/v0/nodes", "GET /api/v0/logs",
)  # fmt: skip
NOT_REACHED = "Failed to connect"
TOKENS = {
    "no token": {"RAY_AUTH_MODE": "disabled"},
    "wrong token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64},
}

ATTEMPTS = {
    ("stranger", "driver"): (driver(GCS), NOT_REACHED),
    ("stranger", "Ray client"): (driver("ray://10.77.0.11:10001"), "ray client connection timeout"),
    ("stranger", "GCS port"): (["python", "-c", REQUEST, GCS], "InvalidAuthToken"),
    ("stranger", "ray status"): (["ray", "status", "--address", GCS], "InvalidAuthToken"),
    ("stranger", "logs"): (["ray", "logs", "cluster", "--address", GCS], "InvalidAuthToken"),
    ("stranger", "submit"): ([*JOB, "submit", "--address", DASHBOARD, "--", "true"], NOT_REACHED),
    ("stranger", "job's logs"): ([*JOB, "logs", "--address", DASHBOARD, "raysubmit_x"], NOT_REACHED),
    ("stranger", "dashboard"): (["python", "-c", PAGES, DASHBOARD, "GET /"], "Connection refused"),
    ("h1", "GCS port"): (["python", "-c", REQUEST, "127.0.0.1:6379"], "InvalidAuthToken"),
    ("h1", "submit"): ([*JOB, "submit", "--address", LOOPBACK, "--", "true"], "AuthenticationError"),
    ("h1", "job's logs"): ([*JOB, "logs", "--address", LOOPBACK, "raysubmit_x"], "AuthenticationError"),
    ("h1", "nodes"): (["ray", "list", "nodes", "--address", LOOPBACK], "AuthenticationError"),
    ("h1", "logs"): (["ray", "logs", "cluster", "--address", "127.0.0.1:6379"], "InvalidAuthToken"),
}
"""What is tried, and what the refusal says; first those that wait for half a minute."""


@pytest.fixture(scope="module")
def refusals(joined):
    """What each attempt with each token ended with; a few at once."""

    def attempt(key: tuple[tuple[str, str], str]) -> subprocess.CompletedProcess[str]:
        (place, what), token = key
        command, refusal = ATTEMPTS[place, what]
        return joined.timed(f"{place}: {what}, {token}", place, *command, shown=refusal, **TOKENS[token])

    keys = list(itertools.product(ATTEMPTS, TOKENS))
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(keys, pool.map(attempt, keys), strict=True))


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=", ".join)
def test_a_stranger_is_refused(refusals, attempt, token):
    done = refusals[attempt, token]
    assert done.returncode != 0
    assert ATTEMPTS[attempt][1] in done.stdout + done.stderr
    assert not done.stdout.startswith("in")


@pytest.mark.parametrize("token", TOKENS)
def test_the_dashboard_refuses_the_heads_own_users(joined, token):
    """Its page comes to anyone, and is empty: it asks for the token, and fetches what it shows."""
    said = joined.timed(f"dashboard, {token}", "h1", "python", "-c", PAGES, LOOPBACK, *ASKED, **TOKENS[token]).stdout
    assert [line.split()[0] for line in said.splitlines()] == ["401" if token == "no token" else "403"] * len(ASKED)


def test_who_has_the_token_is_not_refused(joined):
    assert joined.on("h1", "python", "-c", REQUEST, GCS, RAY_AUTH_MODE="token").stdout == "in\n"
    token = (joined.hosts.root("h1") / ".ray" / "auth_token").read_text().strip()
    said = joined.on("h1", "python", "-c", PAGES, LOOPBACK, "GET /api/jobs/", RAY_AUTH_TOKEN=token).stdout
    assert said == "200 GET /api/jobs/\n"


def test_every_port_that_a_stranger_reaches_serves_metrics_or_nothing(joined):
    listening = joined.hosts.run("h1", ["ss", "-Hltn"]).stdout
    ports = {
        m[1] for m in re.finditer(r"^\S+\s+\d+\s+\d+\s+(?:\*|0\.0\.0\.0|\[::\]|10\.77\.\S+):(\d+)", listening, re.M)
    }
    said = joined.on("stranger", "python", "-c", WALK, "10.77.0.11", ",".join(sorted(ports))).stdout
    print(f"\n{len(ports)} ports listen; answers to a stranger:\n{said}")
    got = [line.split() for line in said.splitlines()]
    open_ports = {port for port, _path, status, size in got if status == "200" and int(size)}
    assert "9464" in open_ports, "the walk sees what is open"
    assert open_ports <= {"9464", "44217", "44227"}
