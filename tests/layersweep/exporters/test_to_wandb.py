"""Offline runs of Weights & Biases hold what is recorded, read in its own format and with its own messages."""

import json
import os
import struct
import subprocess
import sys
from datetime import timedelta

import pytest
from places import ROOT
from recorded_sweep import START

pytestmark = pytest.mark.filterwarnings("ignore")
pytest.importorskip("wandb", reason="uv sync --group wandb")

BLOCK = 32768
ADAMAX = {"optimizer": "adamax", "learning_rate": 0.3}
HEADER = struct.Struct("<IHB")
WHOLE, LAST = 1, 4


def records(path):
    """The records of a .wandb file, which are framed as in LevelDB's log."""
    from wandb.proto import wandb_internal_pb2

    content, place, message = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while place < len(content):
        if BLOCK - place % BLOCK < HEADER.size:
            place += BLOCK - place % BLOCK
            continue
        _, size, kind = HEADER.unpack_from(content, place)
        message += content[place + HEADER.size : place + HEADER.size + size]
        place += HEADER.size + size
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def values(items):
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


class Run:
    """A run as its file has it."""

    def __init__(self, path):
        self.history, self.summary, self.exit_code = [], {}, None
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    self.run, self.config = record.run, values(record.run.config.update)
                case "history":
                    self.history.append(values(record.history.item))
                case "summary":
                    self.summary |= values(record.summary.update)
                case "exit":
                    self.exit_code = record.exit.exit_code


def runs(out):
    files = [*(out / "optimizers" / "wandb").glob("offline-run-*/run-*.wandb")]
    found = {path.stem.removeprefix("run-"): Run(path) for path in files}
    assert len(found) == len(files)
    return found


@pytest.fixture
def exported(mixed, exporter):
    mixed.write()
    assert "11 trials added" in exporter(mixed, "wandb")
    return runs(exporter.out)


def test_a_run_has_its_configuration_its_curve_and_the_verdict(exported):
    run = exported["adam1"]
    assert (run.run.run_id, run.run.display_name, run.run.run_group) == ("adam1", "adam, seed 1", "adam")
    config = {key: value for key, value in run.config.items() if key != "_wandb"}
    assert config == {
        "optimizer": "adam", "learning_rate": 0.001, "arm": "adam", "seed": 1, "trial_id": "adam1",
        "question": "comparison", "started_at": START.isoformat(),
    }  # fmt: skip
    points = [(row["_step"], row["val_accuracy"], row["epoch"], row["_timestamp"]) for row in run.history]
    times = [(START + timedelta(seconds=10 * number)).timestamp() for number in (1, 2, 3)]
    assert points == [(1, 0.5, 1, times[0]), (2, 0.7, 2, times[1]), (3, 0.901, 3, times[2])]
    summary = {name: run.summary[name] for name in ("verdict", "state", "reason", "val_accuracy")}
    assert summary == {"verdict": "best", "state": "completed", "reason": "", "val_accuracy": 0.901}


def test_failures_and_nan_are_kept(exported):
    assert {trial_id for trial_id, run in exported.items() if run.exit_code} == {"lion1", "muon1"}
    assert str(exported["lion1"].history[1]["val_accuracy"]).lower() == "nan"
    assert exported["muon1"].summary["reason"] == "ValueError: no"
    assert not exported["muon1"].history


def test_nothing_is_said_of_this_machine(exported, exporter):
    host = os.uname().nodename
    assert not [run.run for run in exported.values() if run.run.host or run.run.git.ByteSize()]
    assert all(host not in str(run.run) for run in exported.values())
    names = {path.name for path in exporter.out.rglob("*")}
    assert not {"requirements.txt", "wandb-metadata.json"} & names


def test_a_repeated_export_replaces_only_what_has_changed(exported, mixed, exporter):
    folder = exporter.out / "optimizers" / "wandb"
    before = {path.name: path.stat().st_ino for path in folder.glob("offline-run-*")}
    assert "0 trials added, 11 unchanged" in exporter(mixed, "wandb")
    mixed.trial("adamax", 1, [0.7, 0.8], after=1, planned=False, trial_id="adamax1", config=ADAMAX)
    mixed.write()
    exporter(mixed, "wandb")
    now = runs(exporter.out)
    assert len(now) == 11
    assert [row["_step"] for row in now["adamax1"].history] == [1, 2, 3]
    same = {path.name for path in folder.glob("offline-run-*") if before.get(path.name) == path.stat().st_ino}
    assert len(same) >= 9


def test_a_run_that_a_kill_has_cut_off_is_written_again(exported, mixed, exporter):
    (folder,) = (exporter.out / "optimizers" / "wandb").glob("offline-run-*-adam2")
    (folder / "layersweep_fingerprint").unlink()  # written last
    (folder / "run-adam2.wandb").write_bytes(b"")
    assert "1 trial added, 10 unchanged" in exporter(mixed, "wandb")
    assert len(runs(exporter.out)["adam2"].history) == 3


def test_it_asks_no_network_and_leaves_no_process(mixed, exporter):
    mixed.write()
    code = (
        "import sys, psutil; from pathlib import Path; from layersweep.exporters.command import export\n"
        f"export(Path({str(mixed.results)!r}), 'optimizers', 'wandb', out=Path({str(exporter.out)!r}))\n"
        "assert not psutil.Process().children(recursive=True)\n"
    )
    environment = os.environ | {"WANDB_MODE": "online", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_RUN_ID": "x"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    assert len(runs(exporter.out)) == 11
