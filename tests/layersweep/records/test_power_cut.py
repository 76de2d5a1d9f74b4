"""After a power cut at any moment the records are a prefix: what was acknowledged is there, and nothing is there twice.

The disk is a model that loses what was not synced (tests/helpers/power_cut.py). With `POWER_CUTS=1000` more cuts are
made than CI makes.
"""

import json
import os
import random
import tempfile
import warnings
import zipfile
from pathlib import Path

import polars as pl
import power_cut
import pytest
from cut_files import TRIAL
from cut_writer import EPOCHS_OF_A_TRIAL

from layersweep.records.errors import ResultsError
from layersweep.records.read import read, sweeps
from layersweep.records.tables import TABLES
from layersweep.records.write import Writer
from layersweep.tuning.common import epoch_files
from layersweep.tuning.storage import checkpoints

CUTS = int(os.environ.get("POWER_CUTS", "50"))
SEED = 20261130

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(power_cut.missing() is not None, reason=str(power_cut.missing())),
]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    """A folder in memory where there is such a place: a busy disk may take seconds to sync a file."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path_factory.getbasetemp()) as folder:
        yield Path(folder)


def trace_of(script, memory):
    """The system calls of a program, and the folder that is its disk."""
    root = memory / script.removesuffix(".py")
    root.mkdir()
    return power_cut.record(power_cut.HELPERS / script, root / "results", log=memory / "calls"), root


@pytest.fixture(scope="module")
def traced(memory):
    """A program that writes, merges, rewrites, prunes and deletes."""
    return trace_of("cut_writer.py", memory)


def rows(results, sweep="s"):
    """The epochs, and the trials with an end, in the order of the records."""
    return tuple(read(results, table, sweep)[column].to_list() for table, column in COLUMNS.items())


COLUMNS = {"epochs": "epoch", "trials": "trial_id"}


def prefix(epochs, trials):
    return list(range(epochs)), [f"t{n}" for n in range(trials)]


def check(left, said):
    """Checks what is left, then that the next command goes on from it."""
    results = left / "results"
    states = [json.loads(line) for line in said.splitlines()]
    safe = next((n for n, state in reversed([*enumerate(states)]) if state["state"] == "safe"), None)
    possible = [state for state in states[safe:] if "epochs" in state] if safe is not None else states[1:]
    epochs, trials = rows(results)
    assert (epochs, trials) == prefix(len(epochs), len(trials))
    assert len(epochs) in [state["epochs"] for state in possible] or (safe is None and not epochs)
    assert len(trials) in [state["trials"] for state in possible] or (safe is None and not trials)
    assert len(trials) * EPOCHS_OF_A_TRIAL <= len(epochs), "a trial has an end without its epochs"
    check_other(results, {state["state"] for state in states})
    with Writer(results, "s", config_types={"a": int}) as writer:
        assert rows(results) == (epochs, trials)
        writer.append("epochs", [{"trial_id": "new", "attempt": 0, "epoch": len(epochs)}])
    assert rows(results) == prefix(len(epochs) + 1, len(trials))
    assert sorted(pl.read_parquet(results / "epochs" / "s")["epoch"]) == rows(results)[0], "others see rows twice"


def check_other(results, states):
    epochs, trials = rows(results, "other")
    if "other is gone" in states:
        assert not any("other" in sweeps(results, table) for table in TABLES)
    elif "other goes" in states:
        assert not trials or len(epochs) == 3
    elif "other is there" in states:
        assert (epochs, trials) == ([0, 1, 2], ["o"])
    assert len(set(epochs)) == len(epochs)


def check_files(left, said):
    """Checks that a file with its final name is whole, and that the last one that was acknowledged is there."""
    safe = max((json.loads(line)["safe"] for line in said.splitlines()), default=0)
    saved = epoch_files.files(checkpoints.folder_of(left / "results"), TRIAL)
    for file in saved:
        with zipfile.ZipFile(file.path) as archive:
            assert archive.testzip() is None
    assert safe <= max((file.epoch for file in saved), default=0)
    networks = left / "results" / ".state" / "networks.json"
    assert (json.loads(networks.read_text())["number"] if networks.exists() else 0) in (safe, safe + 1)


def faults(traced, number, check=check, **options):
    """What is wrong after power cuts at so many points, drawn at random, and a few at the end."""
    trace, root = traced
    folder = root.parent
    draw, problems = random.Random(SEED), []
    steps = power_cut.steps(trace, root)
    numbers = [*draw.choices(steps, k=number), *[steps[-1]] * 5]
    for left, said in power_cut.cuts(trace, root, numbers, folder, draw=draw, **options):
        try:
            with warnings.catch_warnings(action="error"):
                check(left, said)
        except (AssertionError, Warning, ResultsError, ValueError, zipfile.BadZipFile) as problem:
            problems.append(f"after {said.splitlines()[-1:]}: {problem}")
    return problems


@pytest.mark.timeout(600)
def test_a_power_cut_loses_nothing_that_was_acknowledged_and_doubles_nothing(traced):
    assert faults(traced, CUTS) == []


@pytest.mark.timeout(600)
def test_a_power_cut_leaves_whole_checkpoints_and_networks(memory):
    traced = trace_of("cut_files.py", memory)
    assert faults(traced, CUTS, check_files) == []
    for ignored in ("file", "folder"):
        assert faults(traced, CUTS, check_files, ignored=(ignored,)), "the model does not notice a missing sync"


@pytest.mark.parametrize("ignored", ["file", "folder"])
def test_the_model_notices_where_a_sync_is_missing(traced, ignored):
    assert faults(traced, 20, ignored=(ignored,))


def test_the_model_knows_all_that_was_written(traced, tmp_path):
    """With nothing lost, it is what lies on the real disk."""
    trace, root = traced
    disk = power_cut.Disk(root)
    for call in trace:
        disk.do(call)
    for entry in disk.entries:
        entry.synced = True
        for _, _, target in entry.changes:
            if isinstance(target, power_cut.File):
                target.sync()
    disk.leave(tmp_path / "left", random.Random(SEED))
    assert files(tmp_path / "left") == files(root)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
