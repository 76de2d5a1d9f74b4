"""Every family through one sweep, small: two of them on real images through Ray, recorded and studied."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from layersweep.records.read import read
from layersweep.tuning.experiment.arm_grid import arms
from sweeps.architectures import SWEEP
from trainables.families.by_name import FAMILIES

SCRIPT = Path(__file__).parent.parent.parent / "sweeps" / "architectures.py"


def run(results, *arguments, environment=None):
    command = [sys.executable, str(SCRIPT), "--results", str(results), *arguments]
    env = os.environ | (environment or {})
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, env=env)


@pytest.fixture(scope="module")
def sweep_run(tmp_path_factory, fashion_mnist, joining):
    results = tmp_path_factory.mktemp("architectures") / "results"
    size = ("--epochs", "1", "--seeds", "1", "--images", "100")
    return results, run(results, "--set", "family=residual_cnn,mobilenet_v3_small", *size, environment=joining)


def test_every_family_is_an_arm_on_images_that_it_can_take(fashion_mnist):
    from layersweep.tuning.experiment.arm_checks import check_images

    sweep_arms = arms(SWEEP, {})
    assert sorted(arm.family or "fashion_cnn" for arm in sweep_arms) == sorted(FAMILIES)
    assert check_images(SWEEP, sweep_arms, fashion_mnist)


def test_families_train_side_by_side_and_keep_their_own_keys(sweep_run):
    results, process = sweep_run
    assert process.returncode == 0, process.stdout + process.stderr
    assert "grey images get three equal channels for mobilenet_v3_small" in process.stdout
    trials = {row["family"]: row for row in read(results, "trials").iter_rows(named=True)}
    assert set(trials) == {"residual_cnn", "mobilenet_v3_small"}
    assert (trials["residual_cnn"]["blocks"], trials["residual_cnn"]["alpha"]) == (2, None)
    assert trials["mobilenet_v3_small"]["image_size"] == 32
    assert read(results, "layers").filter(kind="DepthwiseConv2D").height


def test_the_study_shows_what_each_costs(sweep_run):
    results, process = sweep_run
    assert "Pareto front" in process.stdout
    for name in ("architectures.html", "architectures.png"):  # without a front if no arm beats chance
        assert (results / "studies" / name).stat().st_size > 10_000


def test_an_image_too_small_for_a_family_is_refused_in_one_line(tmp_path):
    process = run(tmp_path / "results", "--set", "family=mobilenet", "--set", "image_size=16", "--images", "100")
    assert process.returncode == 2
    (line,) = process.stderr.splitlines()
    assert "mobilenet needs images of 32x32 pixels or more, but these have 16x16" in line


def test_a_family_that_is_not_compared_is_refused_with_those_that_are(tmp_path):
    process = run(tmp_path / "results", "--set", "family=lenet")
    assert process.returncode == 2
    assert "family='lenet' is not valid; did you mean 'alexnet'? valid: fashion_cnn, " in process.stderr
    assert "; of keras.applications also convnext_base, " in process.stderr


def test_any_network_of_keras_is_an_arm_if_the_command_names_it(tmp_path):
    process = run(
        tmp_path / "results", "--set", "family=densenet121,nasnet_mobile,xception", "--images", "60", "--dry-run"
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "densenet121, nasnet_mobile" in process.stdout


def test_folds_are_replicates(tmp_path, fashion_mnist, joining):
    results = tmp_path / "results"
    arguments = ("--set", "family=residual_cnn", "--images", "60", "--epochs", "1", "--folds", "3")
    process = run(results, *arguments, environment=joining)
    assert process.returncode == 0, process.stdout + process.stderr
    trials = read(results, "trials")
    assert sorted(trials["fold"]) == [0, 1, 2]
    assert trials["validation_images"].unique().to_list() == [24]  # a third of 72 images: 60 and 12
