"""Two commands that fix one key differently make two arms of a study: through the real planner, run, records and study.

Tune's loop is made up (`made_up_tune`).
"""

import io
from dataclasses import replace

import made_up
import made_up_tune
import pytest

from layersweep import Sweep
from layersweep.records.read import read
from layersweep.studies.recorded_comparison import load
from layersweep.terminal import Console
from layersweep.tuning.command.plan_summary import print_plan
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve

SWEEP = Sweep(
    name="made_up", train=made_up.train, spaces=[{"quality": [0.2, 0.4]}], epochs=2, seeds=2, warm_up=made_up.WARM_UP
)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def request(results, *flags):
    always = ("--scheduler", "none", "--slots", "1", "--results", str(results))
    return Request.of(SWEEP, resolve(SWEEP, parse([*always, *flags], program="s.py")), print)


def run(results, *flags, named=None, images=4):
    """Runs a command; `named` is the name that an earlier version gave its only arm."""
    asked = request(results, *flags)
    if named is not None:
        asked = replace(asked, arms=[replace(arm, name=named) for arm in asked.arms])
    assert made_up_tune.run(asked, made_up.data(results.parent, train_images=images)) == 0


def dry_run(results, *flags):
    console = Console(file=io.StringIO(), width=200)
    print_plan(console, plan_of(request(results, "--dry-run", *flags), made_up.data(results.parent)))
    return console.file.getvalue()


def compared(results):
    comparison, _ = load(results, "made_up")
    left_out = [text for text in comparison.warnings if "left out" in text]
    return {row["arm"]: row["mean"] for row in comparison.arms.to_dicts()}, left_out


ONE = ("--set", "quality=0.4", "--set", "batch_size=8")
OTHER = ("--set", "quality=0.4", "--set", "batch_size=16")


def test_both_commands_arms_are_compared(results):
    said = dry_run(results, *ONE)
    assert "made_up: 0.4 batch_size=8" in said
    assert "0.4 batch_size=8, seed 2: 2 epochs from epoch 1" in said
    run(results, *ONE)
    run(results, *OTHER)
    run(results)  # the sweep's own arms, of batches of 32
    means, left_out = compared(results)
    assert set(means) == {"0.2", "0.4", "0.4 batch_size=8", "0.4 batch_size=16"}
    assert means["0.4 batch_size=8"] == pytest.approx(0.4 * 2 / 3 + 0.0015)  # the mean of quality · 2/3 + seed / 1000
    assert left_out == []


def test_records_of_an_earlier_version_are_not_trained_again_and_have_the_new_name(results):
    run(results, *ONE, named="0.4")
    run(results, *OTHER, named="0.4")
    means, left_out = compared(results)
    assert list(means) == ["0.4"]
    assert left_out[0] == (
        "2 trials of 0.4 are left out: trained with an earlier configuration of the same name (other batch_size)."
    )
    assert "2 recorded already" in dry_run(results, *ONE)
    trials = read(results, "trials").height
    run(results, *ONE)
    run(results, *OTHER)
    assert read(results, "trials").height == trials
    means, left_out = compared(results)
    assert set(means) == {"0.4 batch_size=8", "0.4 batch_size=16"}
    assert left_out == []


def test_other_images_are_another_comparison_and_the_first_is_named(results):
    run(results)
    run(results, images=6)
    _, left_out = compared(results)
    assert left_out[0].startswith("4 trials of 0.2 and 0.4 are left out: trained on other data")
