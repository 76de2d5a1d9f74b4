"""A real Prometheus, set up as docs/monitoring.md says, sees of a sweep on a real Ray what is recorded of it."""

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import killable
import polars as pl
import psutil
import pytest

from layersweep.exit_codes import FAILED
from layersweep.records.read import read
from layersweep.tuning.runtime.metrics import STATES

PROMETHEUS = shutil.which("prometheus")
PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
REPORT_SECONDS = 2
"""How often Ray's processes report; a gauge that is not reported again is gone after twice that."""

EPOCHS = 20
SWEEP = (
    "--scheduler", "none", "--search", "grid", "--fail-fast", "0", "--epochs", str(EPOCHS), "--seeds", "2",
    "--set", "quality=0.3,0.6", "--set", "misdeed=none,raise,nan", "--set", "seconds=0.25",
)  # fmt: skip
OUTCOMES = {"completed": 4, "failed": 4, "diverged": 4}
RECORDED_EPOCHS = 4 * EPOCHS + 4 * 1 + 4 * 2  # of those that fail in epoch 2, and those that diverge in it

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(PROMETHEUS is None, reason="needs prometheus (Debian's package prometheus)"),
    pytest.mark.skipif(
        importlib.util.find_spec("prometheus_client") is None, reason="needs ray[default]: uv sync --group cluster"
    ),
]


def get(address):
    with OPENER.open(address, timeout=5) as answer:
        return answer.read().decode()


def answers(address):
    try:
        get(address)
    except OSError:
        return False
    return True


def until(happened, what, seconds=90):
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.25)
    return found


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(command, log, **options):
    """A program with all that it starts; at the end none of it is left."""
    with log.open("w") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True, **options
        )
    whole = psutil.Process(process.pid)
    try:
        yield process
    finally:
        below = whole.children(recursive=True) if whole.is_running() else []
        process.terminate()
        _, left = psutil.wait_procs([whole, *below], timeout=30)
        for each in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Prometheus beside a sweep that is over, and its records."""

    prometheus: str
    agent: str
    results: Path
    said: str

    def query(self, expression):
        """The value for each set of labels of the answer."""
        query = urllib.parse.urlencode({"query": expression})
        answer = json.loads(get(f"{self.prometheus}/api/v1/query?{query}"))
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    def by(self, label, expression):
        found = {metric[label]: value for metric, value in self.query(expression)}
        assert len(found) == len(self.query(expression)), f"more than one series of one {label}"
        return found

    def last(self, name):
        """The last value of each series, by its state, whether it is still reported or not."""
        return self.by("state", f'last_over_time({name}{{sweep="made_up"}}[1h])')


@pytest.fixture(scope="module")
def seen(tmp_path_factory, fashion_mnist):
    """A Ray head with a token, Prometheus, and a sweep from its start to its end."""
    folder = tmp_path_factory.mktemp("prometheus")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        ray = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ls-", ignore_cleanup_errors=True)))
        port, agent = started_ray(stack, patch, folder, ray)
        prometheus = started_prometheus(stack, folder, ray, agent)
        patch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        sweep = killable.Running(folder / "results", *SWEEP)
        stack.callback(sweep.process.kill)
        said = sweep.wait(expected=FAILED)
        yield Seen(
            prometheus=prometheus, agent=f"http://127.0.0.1:{agent}/metrics", results=folder / "results", said=said
        )


def started_ray(stack, patch, folder, temporary):
    """The ports of a Ray head: its own, and that of its metrics."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    port, agent, dashboard, client, listen, *besides = free_ports(7)
    settings = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",
        "RAY_metrics_report_interval_ms": str(1000 * REPORT_SECONDS),
        "AUTOSCALER_METRIC_PORT": str(besides[0]),  # another Ray on this machine may have the usual ones
        "DASHBOARD_METRIC_PORT": str(besides[1]),
    }
    for name, value in settings.items():
        patch.setenv(name, value)
    patch.delenv("RAY_AUTH_TOKEN", raising=False)
    log = folder / "ray.txt"
    start = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2",
        f"--port={port}", f"--metrics-export-port={agent}", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={listen}",
        f"--ray-client-server-port={client}", f"--temp-dir={temporary}", f"--object-store-memory={100 << 20}",
    ]  # fmt: skip
    ray = stack.enter_context(running(start, log, env=os.environ.copy()))

    def ready():
        assert ray.poll() is None, log.read_text()
        return answers(f"http://127.0.0.1:{agent}/metrics")

    until(ready, "Ray's agent")
    return port, agent


def started_prometheus(stack, folder, ray, agent):
    """The address of a Prometheus as the page says, but for its place and its pace."""
    (block,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert "/tmp/layersweep-1000/ray/" in block
    assert "scrape_interval: 5s" in block
    said = block.replace("/tmp/layersweep-1000/ray/", f"{ray}/").replace("scrape_interval: 5s", "scrape_interval: 1s")
    settings = folder / "prometheus.yml"
    settings.write_text(said)
    (port,) = free_ports(1)
    command = [
        PROMETHEUS, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    process = stack.enter_context(running(command, folder / "prometheus.txt", cwd=folder))
    address = f"http://127.0.0.1:{port}"

    def scraping():
        assert process.poll() is None, (folder / "prometheus.txt").read_text()
        with contextlib.suppress(OSError):
            targets = json.loads(get(f"{address}/api/v1/targets"))["data"]["activeTargets"]
            return any(t["scrapeUrl"].endswith(f":{agent}/metrics") and t["health"] == "up" for t in targets)
        return False

    until(scraping, "Prometheus")
    return address


def test_trials_by_state_are_those_recorded(seen):
    recorded = Counter(read(seen.results, "trials")["outcome"])
    assert recorded == OUTCOMES
    expected = dict.fromkeys(STATES, 0) | recorded
    until(lambda: seen.last("ray_layersweep_trials") == expected, "the last trials by state", seconds=30)


def test_epochs_are_those_recorded(seen):
    recorded = read(seen.results, "epochs").height
    assert recorded == RECORDED_EPOCHS
    until(lambda: seen.by("sweep", "ray_layersweep_epochs_total") == {"made_up": recorded}, "the epochs", seconds=30)
    ((_, fastest),) = seen.query("max_over_time(rate(ray_layersweep_epochs_total[10s])[1h:1s])")
    ended = read(seen.results, "epochs")["at"]
    mean = recorded / (ended.max() - ended.min()).total_seconds()
    assert mean / 2 < fastest < 2 * mean


def test_the_best_is_the_best_recorded(seen):
    recorded = read(seen.results, "epochs").filter(pl.col("decision") != "diverged")["val_accuracy"].max()
    best = 'last_over_time(ray_layersweep_best{sweep="made_up"}[1h])'
    until(lambda: seen.by("metric", best) == {"val_accuracy": recorded}, "the best", seconds=30)


def test_slots_were_busy_and_are_idle_at_the_end(seen):
    most = seen.by("state", "max_over_time(ray_layersweep_slots[1h])")
    assert most["busy"] == 2
    until(lambda: seen.last("ray_layersweep_slots") == {"busy": 0, "idle": 2}, "the last slots", seconds=30)
    assert {total for _, total in seen.query("max_over_time(sum(ray_layersweep_slots)[1h:1s])")} == {2}


def test_gauges_of_a_command_that_is_over_are_gone(seen):
    until(lambda: not seen.query("ray_layersweep_trials"), "the gauges' end", seconds=30)
    assert "ray_layersweep_epochs_total" in get(seen.agent)


def test_the_page_names_what_is_served(seen):
    names = json.loads(get(f"{seen.prometheus}/api/v1/label/__name__/values"))["data"]
    served = {name for name in names if name.startswith("ray_layersweep_")}
    assert set(re.findall(r"^\| `(ray_layersweep_\w+)` \|", PAGE.read_text(), flags=re.MULTILINE)) == served


def test_the_command_says_nothing_of_it(seen):
    assert "metric" not in seen.said.lower().replace("val_accuracy", "")
