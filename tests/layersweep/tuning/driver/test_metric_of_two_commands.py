"""The metric of a command decides, also of what others recorded: through the real planner, run and records.

Tune's loop is made up (`made_up_tune`).
"""

import json

import made_up
import made_up_tune
import pyarrow.parquet as pq
import pytest

from layersweep import Sweep
from layersweep.records.read import read
from layersweep.records.study_question import StudyQuestion
from layersweep.tuning.command.sweep_command import plan_of
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.request import Request
from layersweep.tuning.experiment.settings import resolve

SWEEP = Sweep(
    name="made_up",
    question="Which quality is best?",
    train=made_up.train,
    spaces=[{"quality": [0.2, 0.4, 0.6, 0.8]}],
    epochs=4,
    seeds=1,
    warm_up=made_up.WARM_UP,
)
ASHA = ("--scheduler", "asha", "--grace", "1", "--reduction", "2")
NEW = ("val_balanced_accuracy", "val_macro_f1")
SHARES = {"val_balanced_accuracy": 0.75, "val_macro_f1": 0.5}
"""What a made-up training has of its validation accuracy."""


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def request(results, *flags):
    always = ("--slots", "1", "--results", str(results))
    return Request.of(SWEEP, resolve(SWEEP, parse([*always, *flags], program="s.py")), print)


def run(results, *flags):
    assert made_up_tune.run(request(results, *flags), made_up.data(results.parent)) == 0


def lines(results, *flags):
    """What is said of a plan before anything runs, and the number of trials that are to run."""
    text = []
    plan = plan_of(request(results, *flags), made_up.data(results.parent), text.append)
    return text, len(plan.to_run)


def make_older(results):
    """Records as a version wrote them that did not have the new columns."""
    for path in (results / "epochs").rglob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.drop_columns([*NEW]), path)


@pytest.mark.parametrize("metric", NEW)
def test_early_stopping_goes_by_it_and_so_does_the_study(results, metric):
    run(results / "other", *ASHA)
    run(results, *ASHA, "--metric", metric)
    order = ("trial_id", "epoch")
    other, epochs = (read(folder, "epochs").sort(order) for folder in (results / "other", results))
    assert "stop" in epochs["decision"].to_list()
    assert epochs.select(*order, "decision", "rung").equals(other.select(*order, "decision", "rung"))
    assert epochs["cutoff"].drop_nulls().to_list() == pytest.approx((other["cutoff"] * SHARES[metric]).drop_nulls())
    assert StudyQuestion.last(results, "made_up").metric == metric
    reasons = [reason for reason in read(results, "trials")["reason"] if reason]
    assert reasons
    assert all(f"its {metric} was behind the cutoff" in reason for reason in reasons)


def test_a_loss_is_better_when_smaller(results):
    run(results, *ASHA, "--metric", "val_loss")
    (options,) = read(results, "runs").filter(event="start")["options_json"]
    assert json.loads(options)["metric"] == "val_loss"
    assert StudyQuestion.last(results, "made_up").metric == "val_loss"


def test_another_metric_decides_anew_on_what_is_recorded(results):
    run(results, "--scheduler", "none")
    assert lines(results, "--scheduler", "none", "--metric", "val_macro_f1") == ([], 0)
    run(results, "--scheduler", "none", "--metric", "val_macro_f1")
    assert read(results, "epochs").height == 16
    assert StudyQuestion.last(results, "made_up").metric == "val_macro_f1"


@pytest.mark.parametrize("flags", [("--scheduler", "none"), ASHA, ("--scheduler", "none", "--keep-weights", "best")])
@pytest.mark.parametrize("metric", NEW)
def test_records_that_lack_it_are_named_in_one_line(results, metric, flags):
    run(results, *flags)
    make_older(results)
    recorded = read(results, "trials").height
    assert lines(results, *flags) == ([], 0)
    (text,), to_run = lines(results, *flags, "--metric", metric)
    assert "\n" not in text
    number = read(results, "trials")["trial_id"].n_unique()
    assert f"of an older version without {metric}: " in text
    assert "Another --results trains them again" in text
    run(results, *flags, "--metric", metric)
    assert "val_accuracy" in read(results, "epochs").columns
    if flags != ASHA:
        assert (to_run, read(results, "trials").height) == (0, recorded)
        assert text.startswith(f"{number} recorded trials of an older version")


def test_trials_that_go_on_have_it_from_then_on(results):
    run(results, "--scheduler", "none", "--epochs", "2")
    make_older(results)
    assert lines(results, "--scheduler", "none", "--epochs", "4", "--metric", "val_macro_f1")[0] == []
    run(results, "--scheduler", "none", "--epochs", "4", "--metric", "val_macro_f1")
    epochs = read(results, "epochs").sort("trial_id", "epoch")
    assert epochs.height == 16
    assert epochs.filter(epochs["val_macro_f1"].is_null())["epoch"].unique().to_list() == [1, 2]
    last = read(results, "trials").filter(epochs=4)
    assert last["last_val_macro_f1"].to_list() == [value / 2 for value in last["last_val_accuracy"]]
    assert lines(results, "--scheduler", "none", "--epochs", "4", "--metric", "val_macro_f1") == ([], 0)
