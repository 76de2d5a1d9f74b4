"""TensorBoard's own readers see what is recorded: curves with their times, hyperparameters, verdicts."""

import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta

import pytest
from places import ROOT
from recorded_sweep import START

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

ADAMAX = {"optimizer": "adamax", "learning_rate": 0.3}


def accumulators(out):
    """What TensorBoard reads in each folder, by trial id."""
    runs = {}
    for folder in (out / "optimizers").iterdir():
        runs[folder.name.rpartition(" ")[2]] = EventAccumulator(str(folder)).Reload()
    return runs


def plugin_data(run, tag):
    content = run.SummaryMetadata(tag).plugin_data.content
    return metadata._parse_plugin_data_as(content, tag.rpartition("/")[2])


def test_curves_have_their_steps_and_recorded_times(mixed, exporter):
    mixed.write()
    assert "11 trials added" in exporter(mixed, "tensorboard")
    runs = accumulators(exporter.out)
    assert len(runs) == 11
    points = runs["adam1"].Scalars("val_accuracy")
    assert [(p.step, p.value) for p in points] == [(1, 0.5), (2, pytest.approx(0.7)), (3, pytest.approx(0.901))]
    assert [p.wall_time for p in points] == [(START + timedelta(seconds=10 * n)).timestamp() for n in (1, 2, 3)]
    assert {*runs["adam1"].Tags()["scalars"]} == {"loss", "val_accuracy", "learning_rate"}
    assert math.isnan(runs["lion1"].Scalars("val_accuracy")[1].value)
    assert not runs["muon1"].Tags()["scalars"]


def test_hyperparameters_stand_beside_the_verdict(mixed, exporter):
    mixed.write()
    exporter(mixed, "tensorboard")
    runs = accumulators(exporter.out)
    start = plugin_data(runs["adam1"], metadata.SESSION_START_INFO_TAG)
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert values == {
        "optimizer": "adam", "learning_rate": 0.001, "trial_id": "adam1", "arm": "adam", "verdict": "best",
        "state": "completed", "question": "comparison", "seed": 1,
    }  # fmt: skip
    ends = {
        name: plugin_data(run, metadata.SESSION_END_INFO_TAG).status
        for name, run in runs.items()
        if metadata.SESSION_END_INFO_TAG in run.PluginTagToContent("hparams")
    }
    assert ends["ftrl1"] == api_pb2.STATUS_SUCCESS
    assert ends["lion1"] == ends["muon1"] == api_pb2.STATUS_FAILURE
    assert "adamax1" not in ends


def test_a_repeated_export_writes_only_what_has_changed(mixed, exporter):
    mixed.write()
    exporter(mixed, "tensorboard")
    files = {path: path.stat().st_ino for path in exporter.out.rglob("*tfevents*")}
    assert "0 trials added, 11 unchanged" in exporter(mixed, "tensorboard")
    mixed.trial("adamax", 1, [0.7, 0.8], after=1, planned=False, trial_id="adamax1", config=ADAMAX)
    mixed.trial("rmsprop", 1, [0.7, 0.8, 0.85], planned=False, trial_id="rmsprop1")
    mixed.write()
    assert "1 trial added" in exporter(mixed, "tensorboard")
    now = {path: path.stat().st_ino for path in exporter.out.rglob("*tfevents*")}
    assert len(now) == len(files) + 1
    unchanged = {path.parent.name.rpartition(" ")[2] for path, node in files.items() if now[path] == node}
    assert {"sgd1", "ftrl1", "lion1"} <= unchanged
    assert [p.step for p in accumulators(exporter.out)["adamax1"].Scalars("val_accuracy")] == [1, 2, 3]


def test_an_arm_with_a_new_name_keeps_one_folder_a_trial(mixed, exporter):
    mixed.write()
    exporter(mixed, "tensorboard")
    for table in ("plan", "trials"):
        for row in mixed.rows[table]:
            row["arm"] = row["arm"].replace("sgd", "SGD, plain")
    mixed.write()
    assert "3 written anew" in exporter(mixed, "tensorboard")
    names = {path.name for path in (exporter.out / "optimizers").iterdir()}
    assert len(names) == 11
    assert "SGD, plain, seed 1 sgd1" in names


def test_it_needs_no_tensorflow_and_makes_the_same_bytes_in_each_process(mixed, exporter):
    mixed.write()
    exporter(mixed, "tensorboard")
    code = (
        "import sys; from pathlib import Path; from layersweep.exporters.command import export\n"
        f"export(Path({str(mixed.results)!r}), 'optimizers', 'tensorboard', out=Path({str(exporter.out)!r}))\n"
        "assert not {'tensorflow', 'keras', 'ray'} & set(sys.modules)\n"
    )
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        ended = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
        )
        assert "11 unchanged" in ended.stdout


def get(address, body=None):
    request = urllib.request.Request(address, None if body is None else json.dumps(body).encode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
    with OPENER.open(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_a_real_tensorboard_serves_it(mixed, exporter, tmp_path):
    mixed.write()
    exporter(mixed, "tensorboard")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    log = tmp_path / "log"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(exporter.out), "--port", str(port)]
    with log.open("w") as output:
        server = subprocess.Popen([*command, "--load_fast=false"], stdout=output, stderr=output)
    try:
        address = f"http://127.0.0.1:{port}/data/plugin"
        run = "optimizers/adam, seed 1 adam1"
        for _ in range(600):
            try:
                tags = get(f"{address}/scalars/tags")
            except OSError:
                tags = {}
            if len(tags) == 10:
                break
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        assert {*tags[run]} == {"loss", "val_accuracy", "learning_rate"}
        points = get(f"{address}/scalars/scalars?tag=val_accuracy&run={urllib.request.quote(run)}")
        assert [step for _, step, _ in points] == [1, 2, 3]
        experiment = get(f"{address}/hparams/experiment", {"experimentName": ""})
        assert {"arm", "verdict", "learning_rate"} <= {info["name"] for info in experiment["hparamInfos"]}
        groups = get(
            f"{address}/hparams/session_groups",
            {
                "experimentName": "",
                "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
                "colParams": [],
                "startIndex": 0,
                "sliceSize": 100,
            },
        )
        verdicts = {group["name"]: group["hparams"]["verdict"] for group in groups["sessionGroups"]}
        assert verdicts["adam1"] == "best"
    finally:
        server.terminate()
        server.wait()
