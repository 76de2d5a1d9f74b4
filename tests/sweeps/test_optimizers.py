"""The main job, small: real Keras on real images through Ray, recorded and studied."""

import os
import re
import subprocess
import sys
from pathlib import Path

import picture_folders
import pytest

from layersweep.records.read import read
from layersweep.tuning.experiment.arm_grid import arms
from sweeps.optimizers import SWEEP

SCRIPT = Path(__file__).parent.parent.parent / "sweeps" / "optimizers.py"
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def run(results, *arguments, environment=None):
    command = [sys.executable, str(SCRIPT), "--results", str(results), *arguments]
    env = os.environ | (environment or {})
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, env=env)


@pytest.fixture(scope="module")
def sweep_run(tmp_path_factory, fashion_mnist):
    results = tmp_path_factory.mktemp("optimizers") / "results"
    size = ("--epochs", "2", "--seeds", "1", "--images", "100")
    return results, run(results, "--set", "optimizer=adam,sgd", *size)


def test_the_arms_are_the_reports_optimizers_at_keras_learning_rates():
    rates = {a.name: a.values["learning_rate"] for a in arms(SWEEP, {})}
    assert rates == {
        "adadelta": 0.001, "adagrad": 0.001, "adam": 0.001, "adamax": 0.001, "ftrl": 0.001, "nadam": 0.001,
        "rmsprop": 0.001, "sgd": 0.01,
    }  # fmt: skip


def test_the_control_is_one_of_the_arms():
    assert SWEEP.control in {a.name for a in arms(SWEEP, {})}


def test_the_sweep_trains_records_and_studies(sweep_run):
    results, process = sweep_run
    assert process.returncode == 0, process.stdout + process.stderr
    trials = read(results, "trials")
    assert trials["outcome"].to_list() == ["completed"] * 2
    assert set(trials["parameters"]) == {3_831_018}
    assert set(trials["learning_rate"]) == {0.001, 0.01}
    assert read(results, "epochs").height == 4
    assert read(results, "layers").height == 2 * 2 * 25  # epochs 1 and 2 are measured; 25 layers with input and scaling
    assert read(results, "tests")["images"].to_list() == [20, 20]
    assert read(results, "classes").height == 2 * 2 * 10
    assert (trials["latency_ms_median"] > 0).all()
    assert re.search(r"No arm beats chance \(\.100\)|one seed cannot show a difference", process.stdout)  # of 20 images
    assert (results / "studies" / "optimizers.html").exists()
    assert (results / "studies" / "optimizers.png").exists()


def test_every_second_of_every_slot_is_in_one_class(sweep_run):
    results, _ = sweep_run
    end = read(results, "runs").filter(event="end").row(0, named=True)
    classes = {k: v for k, v in end.items() if k.startswith("seconds_") and k != "seconds_wall"}
    assert all(seconds >= 0 for seconds in classes.values()), classes
    trials = read(results, "trials")
    for name in ("import", "build", "train", "validate", "test", "measure"):
        assert end[f"seconds_{name}"] == pytest.approx(trials[f"seconds_{name}"].sum(), abs=1e-5)
        assert end[f"seconds_{name}"] > 0 or name == "import"  # imports may be done before a slot waits for them


def test_the_same_trials_in_other_processes_are_equal_in_every_digit(sweep_run, tmp_path, joining):
    results, _ = sweep_run
    again = tmp_path / "again"
    arguments = ("--set", "optimizer=sgd", "--epochs", "2", "--seeds", "1", "--images", "100")
    assert run(again, *arguments, environment=joining).returncode == 0
    keys = ["trial_id", "epoch"]
    (second,) = [read(again, "epochs").sort(keys)]
    first = read(results, "epochs").filter(trial_id=second["trial_id"][0]).sort(keys)
    assert first.select(*keys, *METRICS).equals(second.select(*keys, *METRICS))
    statistics = ["trial_id", "epoch", "index", "activation_mean", "activation_deviation", "dead_share", "weight_norm"]
    layers = read(results, "layers").filter(trial_id=second["trial_id"][0])
    assert layers.select(statistics).equals(read(again, "layers").select(statistics))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "optimizer=adan"], "optimizer='adan' is not valid; valid: adadelta, adafactor, adagrad, adam,"),
        (["--set", "learning_rate=0"], "learning_rate=0.0 is not valid; valid: above 0 to 100"),
        (["--set", "filters=32"], "unknown key 'filters': did you mean 'filters_"),
    ],
)
def test_bad_input_is_refused_before_any_trial(tmp_path, arguments, words):
    process = run(tmp_path / "results", *arguments)
    assert process.returncode == 2
    assert words in process.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_sweep_trains_on_ones_own_pictures_in_two_sizes(tmp_path):
    """Two sizes are arms of one study; a validation part of one's own is used as it is."""
    folder = picture_folders.split_folders(tmp_path / "in")
    words = ["--dataset", "image_folder", "--data", str(folder), "--quick", "--seeds", "1", "--epochs", "1"]
    words += ["--set", "optimizer=adam", "--set", "image_size=16,32", "--set", "classes=cats+dogs", "--no-watch"]
    process = run(tmp_path / "results", *words, environment={"LAYERSWEEP_CACHE": str(tmp_path / "cache")})
    assert process.returncode == 0, process.stdout + process.stderr
    lines = process.stdout.splitlines()
    assert "cats, dogs" in lines[0]
    assert f"check    uv run layersweep data {folder}" in lines
    assert any(line.startswith("--quick: all 100 training images") for line in lines)
    trials = read(tmp_path / "results", "trials")
    assert trials["outcome"].to_list() == ["completed"] * 2
    assert len(set(trials["data_fingerprint"])) == 1
    assert set(trials["train_images"]) == {100}
    assert read(tmp_path / "results", "tests")["images"].to_list() == [20, 20]
