"""The dashboard docs/grafana.json asks for what a sweep reports, in queries that Prometheus understands."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from places import ROOT

from layersweep.tuning.runtime.metrics import STATES, Metrics, count_by_state

DASHBOARD = json.loads((ROOT / "docs" / "grafana.json").read_text())
EXPRESSIONS = {panel["title"]: target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
PROMETHEUS = shutil.which("prometheus")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Series:
    """A gauge or a counter, as Ray shows it to Prometheus."""

    def __init__(self, name, tag_keys):
        self.name, self.tag_keys, self.values = name, tag_keys, {}

    def set(self, value, tags):
        self.values[tuple(tags.items())] = value

    def inc(self, value, tags):
        key = tuple(tags.items())
        self.values[key] = self.values.get(key, 0) + value

    @property
    def text(self):
        lines = []
        for tags, value in self.values.items():
            labels = ",".join(f'{key}="{text}"' for key, text in tags)
            lines.append(f"{self.name}{{{labels}}} {value}\n")
        return "".join(lines)


class Registry(list):
    def gauge(self, name, description, *, tag_keys):
        self.append(Series(f"ray_{name}", tag_keys))
        return self[-1]

    def counter(self, name, description, *, tag_keys):
        return self.gauge(f"{name}_total", description, tag_keys=tag_keys)


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def metrics(registry):
    return Metrics(sweep="s", metric="val_loss", slots=lambda: 4, gauge=registry.gauge, counter=registry.counter)


def selectors(expression):
    """The metrics of a query with their labels: of its selectors, and of `by`."""
    grouped = {label.strip() for names in re.findall(r"by \(([^)]*)\)", expression) for label in names.split(",")}
    for name, labels in re.findall(r"(ray_\w+)\{([^}]*)\}", expression):
        yield name, grouped | {*re.findall(r"(\w+)=", labels)}


def test_it_asks_for_metrics_and_labels_that_exist(metrics, registry):
    labels = {series.name: {*series.tag_keys} for series in registry}
    queries = [*EXPRESSIONS.values(), DASHBOARD["templating"]["list"][0]["query"]["query"]]
    assert {*re.findall(r"ray_\w+", " ".join(queries))} == {*labels}
    for expression in EXPRESSIONS.values():
        assert [*selectors(expression)]
        for name, used_labels in selectors(expression):
            assert used_labels <= labels[name], expression
    assert {*re.findall(r'state="(\w+)"', " ".join(queries))} <= {"busy", "idle", *STATES}
    assert DASHBOARD["templating"]["list"][0]["query"]["query"] == "label_values(ray_layersweep_trials, sweep)"


def test_it_is_importable_with_any_prometheus():
    (source,) = DASHBOARD["__inputs"]
    assert (source["name"], source["type"], source["pluginId"]) == ("DS_PROMETHEUS", "datasource", "prometheus")
    text = json.dumps(DASHBOARD)
    assert {*re.findall(r'"uid": "([^"]*)"', text)} == {"${DS_PROMETHEUS}", "layersweep"}
    assert DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD  # Grafana would replace the dashboard with this number
    kinds = {panel["type"] for panel in DASHBOARD["panels"]}
    assert kinds == {entry["id"] for entry in DASHBOARD["__requires"] if entry["type"] == "panel"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"]) == 5


def test_panels_do_not_overlap():
    cells = []
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells += [
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
    assert len({*cells}) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.fixture
def agent(registry):
    """The address of an agent that serves the metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("".join(series.text for series in registry).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def prometheus(agent, tmp_path):
    """The address of a Prometheus that asks the agent each second."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    scrape = {"job_name": "ray", "scrape_interval": "1s", "static_configs": [{"targets": [agent]}]}
    (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
    command = [
        PROMETHEUS, f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


def answers(address, expression):
    """The values of a panel's query, by their labels."""
    text = expression.replace("$sweep", "s|t").replace("$__rate_interval", "1m")
    with OPENER.open(f"{address}/api/v1/query?{urllib.parse.urlencode({'query': text})}", timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in result}


@pytest.mark.skipif(PROMETHEUS is None, reason="needs prometheus (Debian's package prometheus)")
def test_a_real_prometheus_answers_each_panel(metrics, prometheus):
    deadline = time.monotonic() + 60
    epochs, rate, trials = 0, {}, count_by_state(Counter(completed=2), trials=6, running_trials=3)
    while not rate.get((("sweep", "s"),)):
        assert time.monotonic() < deadline
        epochs += 1
        metrics.show(trials=trials, epochs=epochs, best=0.25)
        with contextlib.suppress(OSError):  # not yet listening
            rate = answers(prometheus, EXPRESSIONS["Epochs per second"])
        time.sleep(0.2)
    assert answers(prometheus, EXPRESSIONS["Trials by state"])[("state", "running"), ("sweep", "s")] == 3
    assert answers(prometheus, EXPRESSIONS["Best value"]) == {(("metric", "val_loss"), ("sweep", "s")): 0.25}
    assert answers(prometheus, EXPRESSIONS["Busy slots"]) == {(("sweep", "s"),): 0.75}
    assert answers(prometheus, EXPRESSIONS["A command reports"]) == {(): 0}
    assert [*answers(prometheus, EXPRESSIONS["A command reports"].replace("$sweep", "gone")).values()] == [1]
