"""Every question: its arms are valid and fit the images, `--quick` is small, one command lists them all."""

import dataclasses
import importlib
import os
import subprocess
import sys

import pytest
from places import ROOT

from layersweep.records.write import Writer
from layersweep.tuning.command.all_sweeps import NOT_SWEEPS, SweepOutline, outline
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_checks import check_images
from layersweep.tuning.experiment.arm_grid import arms
from layersweep.tuning.experiment.key_values import with_sweep_values
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.tuned_arms import sample_arms, tuned_arms
from sweeps import filters

NAMES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py") if path.stem not in NOT_SWEEPS)
ARMS = {
    "activations": 81, "alexnet": 4, "architectures": 15, "cnn_tuning": 2, "cross_validation": 3, "data_amount": 8,
    "depth": 12, "feature_extraction": 7, "filters": 16, "fine_tuning": 6, "mobilenet_head": 6, "mobilenet_scratch": 2,
    "optimizers": 8, "pretrained": 7, "resolution": 7, "source": 1, "truncation": 7,
}  # fmt: skip
AFTER_SOURCE = {"data_amount", "feature_extraction", "fine_tuning"}
"""These sweeps need a network that the sweep `source` has trained."""


def sweep_of(name):
    return importlib.import_module(f"sweeps.{name}").SWEEP


@pytest.mark.parametrize("name", NAMES)
def test_arms_fit_the_images(name, fashion_mnist):
    sweep = sweep_of(name)
    sweep_arms = arms(sweep, {})
    assert len(sweep_arms) == ARMS.get(name, len(sweep_arms))
    check_images(sweep, [*sweep_arms, *sample_arms(tuned_arms(sweep, {}))], fashion_mnist, folds=sweep.folds)
    assert sweep.control is None or sweep.control in {arm.name for arm in sweep_arms}


@pytest.mark.parametrize("name", sorted(AFTER_SOURCE))
def test_a_sweep_without_its_source_says_what_is_missing(name, fashion_mnist, tmp_path):
    with pytest.raises(UsageError, match="weights=best:source: no trial of that sweep has completed"):
        outline(sweep_of(name), parse(["--quick", "--results", str(tmp_path)], program="all.py"))


@pytest.mark.parametrize("name", sorted({*NAMES} - AFTER_SOURCE))
def test_quick_is_a_sweep_of_minutes(name, fashion_mnist, tmp_path):
    sweep = sweep_of(name)
    forecast = outline(sweep, parse(["--quick", "--results", str(tmp_path)], program="all.py"))
    searching = {"nas": "about 2 min 00 s, and ", "nas_candidates": "about 2 min 00 s, and "}.get(name)
    assert forecast.recorded_trials == 0
    assert forecast.time.startswith(searching or "unknown until the first trial is recorded")
    assert forecast.epochs * sweep.quick["images"] <= 200_000


def test_the_reports_arms_have_their_names():
    activations = {arm.name: arm for arm in arms(sweep_of("activations"), {})}
    best = activations["selu-relu-relu-relu"].values
    assert [best[f"activation_{k}"] for k in (1, 2, 3, 4)] == ["selu", "relu", "relu", "relu"]
    assert best["optimizer"] == "nadam"
    wide = {arm.name: arm for arm in arms(sweep_of("filters"), {})}["32-64-64-64"].values
    assert [wide[f"filters_{k}"] for k in (1, 2, 3, 4)] == [32, 64, 64, 64]


def test_filters_take_the_activations_that_led(tmp_path, fashion_mnist):
    config = '{"activation_1": "selu", "activation_2": "relu", "activation_3": "elu", "activation_4": "relu"}'
    plan = {"run": "r", "trial_id": "t", "arm": "selu-relu-elu-relu", "seed": 1, "epochs": 1, "question": "comparison"}
    trial = {"trial_id": "t", "attempt": 0, "continuation": 0, "run": "r", "arm": plan["arm"], "seed": 1}
    trial |= {"question": "comparison", "outcome": "completed", "epochs": 1, "epochs_asked": 1, "config_json": config}
    with Writer(tmp_path, "activations", config_types={}) as writer:
        writer.append("plan", [plan | {"config_json": config}])
        writer.append("epochs", [{"trial_id": "t", "attempt": 0, "epoch": 1, "val_accuracy": 0.9}])
        writer.append("trials", [trial])
    values, source = with_sweep_values(filters.SWEEP, {"activation_4": ["elu"]}, tmp_path)
    assert values == {
        "activation_1": ["selu"],
        "activation_2": ["relu"],
        "activation_3": ["elu"],
        "activation_4": ["elu"],
    }
    assert "from selu-relu-elu-relu, which leads in sweep 'activations'" in source
    sweep_arms = arms(filters.SWEEP, values, values.keys() - {"activation_4"})
    assert {arm.values["activation_4"] for arm in sweep_arms} == {"elu"}
    assert sweep_arms[0].name == "32-32-32-32 activation_4=elu"  # what the sweep gives itself is no change


def test_all_questions_are_listed_with_what_they_take(tmp_path, fashion_mnist):
    command = [sys.executable, str(ROOT / "sweeps" / "all.py"), "--dry-run", "--quick", "--results", str(tmp_path)]
    wide = os.environ | {"COLUMNS": "200"}
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=200, env=wide)
    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line and line[0] in {*NAMES} - AFTER_SOURCE}
    assert {name: int(row[0]) for name, row in rows.items()} == {
        "activations": 9, "alexnet": 4, "architectures": 15, "cnn_tuning": 3, "cross_validation": 3, "depth": 12,
        "filters": 16, "mobilenet_head": 6, "mobilenet_scratch": 3, "nas": 6, "nas_candidates": 3, "optimizers": 8,
        "pretrained": 3, "resolution": 3, "source": 1, "truncation": 7,
    }  # fmt: skip
    names = [line[0] for line in lines if line and line[0] in NAMES]
    assert all(names.index("source") < names.index(name) for name in AFTER_SOURCE)
    assert names.index("activations") < names.index("filters")
    assert rows["optimizers"] == ["8", "16", "0", "48"]
    assert rows["cnn_tuning"] == ["3", "2+", "0", "12"]
    assert "Which activation does each convolution of the Fashion-MNIST CNN want?" in process.stdout
    assert not list(tmp_path.iterdir())


def test_a_flag_that_one_sweep_cannot_take_is_said_in_its_row(tmp_path, fashion_mnist):
    command = [sys.executable, str(ROOT / "sweeps" / "all.py"), "--dry-run", "--search", "random"]
    process = subprocess.run(
        [*command, "--results", str(tmp_path)], check=False, capture_output=True, text=True, timeout=200
    )
    assert process.returncode == 0, process.stderr
    assert "has no tuned spaces" in " ".join(process.stdout.split())


def test_a_wrong_flag_is_refused_once():
    command = [sys.executable, str(ROOT / "sweeps" / "all.py"), "--epoch", "3"]
    process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert line.startswith("all.py: error: unknown flag")


def test_what_is_foreseen_is_without_what_is_recorded(tmp_path, fashion_mnist):
    sweep = sweep_of("cross_validation")
    options = parse(["--quick", "--results", str(tmp_path)], program="all.py")
    unknown = "unknown until the first trial is recorded"
    assert outline(sweep, options) == SweepOutline(
        arms=3, trials=9, has_followers=False, recorded_trials=0, epochs=18, time=unknown
    )
    settings = resolve(sweep, options)
    request = Request.of(sweep, settings, str)
    trial = plan_of(*request.prepared(str)).trials[0]
    ids = {"trial_id": trial.trial_id, "attempt": 0}
    row = {"continuation": 0, "arm": trial.arm.name, "seed": 1, "outcome": "completed", "epochs": 2, "epochs_asked": 2}
    row |= {"family": "fashion_cnn", "dataset": "fashion_mnist", "train_images": trial.data.train_images}
    with Writer(tmp_path, "cross_validation", config_types={}) as writer:
        metrics = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.1}
        for epoch in (1, 2):
            writer.append("epochs", [ids | metrics | {"epoch": epoch, "sequence": epoch, "decision": "continue"}])
        writer.append("trials", [ids | row | {"seconds_train": 30.0}])
    forecast = outline(sweep, dataclasses.replace(options, slots=2))
    assert (forecast.recorded_trials, forecast.epochs) == (1, 16)
    assert forecast.time == "at most about 2 min 00 s"  # 8 trials of 30 s on 2 slots
    with pytest.raises(UsageError, match="folds 1 is not valid"):
        outline(sweep, parse(["--folds", "1"], program="all.py"))
