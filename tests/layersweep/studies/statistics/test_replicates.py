"""Which trials are replicates of an arm, under which name; and what is said of those that are not."""

import json
from typing import Any

import polars as pl
import pytest
from recorded_sweep import Sweep

from layersweep.records.errors import ResultsError
from layersweep.records.read import read
from layersweep.studies.statistics.replicates import EPOCH_COLUMNS, Replicates, collect_replicates

OLD, NEW = {"optimizer": "sgd", "learning_rate": 0.05}, {"optimizer": "sgd", "learning_rate": 0.002}


def collected(sweep: Sweep, **more: Any) -> Replicates:
    results = sweep.write()
    plan, trials = (read(results, table, sweep.name) for table in ("plan", "trials"))
    return collect_replicates(plan, trials, read(results, "epochs", sweep.name, columns=EPOCH_COLUMNS), **more)


def train(sweep: Sweep, arm: str, run: str, config: dict[str, Any], name: str, **more: Any) -> None:
    for seed in (1, 2):
        sweep.trial(arm, seed, [0.5, 0.6, 0.7], trial_id=f"{name}-{seed}", run=run, config=config, **more)


def arms(replicates: Replicates) -> list[tuple[str, str]]:
    """The name of each trial's arm, by trial."""
    return sorted(replicates.rows.select("trial_id", "arm").rows())


def test_two_configurations_of_one_name_are_not_mixed_and_the_earlier_is_named(sweep: Sweep) -> None:
    train(sweep, "sgd", "r1", OLD, "old")
    train(sweep, "sgd", "r2", NEW, "new")
    replicates = collected(sweep)
    assert arms(replicates) == [("new-1", "sgd"), ("new-2", "sgd")]
    assert replicates.exclusions == (
        "2 trials of sgd are left out: trained with an earlier configuration of the same name (other learning_rate).",
    )


def test_a_configuration_has_the_name_that_the_latest_command_gives_it(sweep: Sweep) -> None:
    """An earlier version called both arms sgd. A new command names the first, and nothing is trained again."""
    train(sweep, "sgd", "r1", OLD, "old")
    train(sweep, "sgd", "r2", NEW, "new")
    sweep.plan("sgd learning_rate=0.05", 1, "old-1", run="r3", config=OLD)  # seed 2 is not asked for
    replicates = collected(sweep)
    assert arms(replicates) == [
        ("new-1", "sgd"),
        ("new-2", "sgd"),
        ("old-1", "sgd learning_rate=0.05"),
        ("old-2", "sgd learning_rate=0.05"),
    ]
    assert replicates.exclusions == ()


def test_trials_that_have_not_ended_count_once_under_their_latest_name(sweep: Sweep) -> None:
    for run, name in (("r1", "sgd"), ("r2", "sgd learning_rate=0.05")):
        for seed in (1, 2):
            sweep.trial(name, seed, [0.5], None, trial_id=f"t-{seed}", run=run, config=OLD)
    assert arms(collected(sweep)) == [("t-1", "sgd learning_rate=0.05"), ("t-2", "sgd learning_rate=0.05")]


def test_one_configuration_of_two_families_is_two_arms(sweep: Sweep) -> None:
    for run, family in (("r1", "mobilenet"), ("r2", "resnet50")):
        train(sweep, family, run, OLD, family, family=family)
    assert {arm for _, arm in arms(collected(sweep))} == {"mobilenet", "resnet50"}


def test_a_search_that_finds_the_configuration_of_another_arm_keeps_its_name(sweep: Sweep) -> None:
    train(sweep, "sgd", "r1", OLD, "t")
    for seed in (1, 2):
        sweep.plan("sgd tuned", seed, f"t-{seed}", run="r2", config=OLD, candidate=0)
    assert sorted(arm for _, arm in arms(collected(sweep))) == ["sgd", "sgd", "sgd tuned", "sgd tuned"]


def test_the_trials_of_an_earlier_command_on_other_images_are_counted_and_named(sweep: Sweep) -> None:
    for arm in ("adam", "ftrl", "nadam", "sgd", "lion"):
        train(sweep, arm, "r1", {"optimizer": arm}, f"small-{arm}", train_images=100)
    for arm in ("adam", "sgd"):
        train(sweep, arm, "r2", {"optimizer": arm}, f"large-{arm}")
    replicates = collected(sweep)
    assert {arm for _, arm in arms(replicates)} == {"adam", "sgd"}
    (note,) = replicates.exclusions
    assert note.startswith("10 trials of adam, ftrl, lion and 2 more are left out: trained on other data (")


def test_trials_replaced_for_another_reason_are_named_too(sweep: Sweep) -> None:
    """Such as a later version of the training code, which changes every trial's id."""
    train(sweep, "sgd", "r1", OLD, "before")
    train(sweep, "sgd", "r2", OLD, "after")
    replicates = collected(sweep)
    assert [trial for trial, _ in arms(replicates)] == ["after-1", "after-2"]
    assert replicates.exclusions == (
        "2 trials of sgd are left out: replaced by later trials of the same arm and seed.",
    )


def test_a_plan_that_was_never_trained_is_not_said_to_be_left_out(sweep: Sweep) -> None:
    sweep.plan("sgd", 1, "never", run="r1", config=OLD)
    train(sweep, "sgd", "r2", NEW, "new")
    assert collected(sweep).exclusions == ()


def with_losses(sweep: Sweep) -> None:
    train(sweep, "sgd", "r1", OLD, "t")
    for n, row in enumerate(sweep.rows["epochs"]):
        row["val_loss"] = 2.0 - n / 10


def test_the_columns_of_accuracies_have_the_metric_that_is_asked_for(sweep: Sweep) -> None:
    """Epochs 1 to 3 of seed 1 have losses of 2, 1.9 and 1.8, those of seed 2 of 1.7, 1.6 and 1.5."""
    with_losses(sweep)
    sweep.rows["trials"][1] |= {"outcome": "stopped", "epochs": 2, "rung": 2, "cutoff": 1.0}
    del sweep.rows["epochs"][-1]
    replicates = collected(sweep, metric="val_loss")
    rows = replicates.rows.select("outcome", "accuracy", "stop_accuracy").rows()
    assert rows == [("completed", 1.8, 1.8), ("stopped", None, 1.6)]
    assert replicates.curves["val_accuracy"].to_list() == [2.0, 1.9, 1.8, 1.7, 1.6]


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("val_los", "metric 'val_los' of sweep 'optimizers' is not valid; valid: val_accuracy, val_loss"),
        ("val_loss", "metric 'val_loss' is not recorded in sweep 'optimizers'; valid: val_accuracy$"),
    ],
)
def test_a_metric_that_is_not_there_is_refused(sweep: Sweep, metric: str, words: str) -> None:
    train(sweep, "sgd", "r1", OLD, "t")  # without losses
    with pytest.raises(ResultsError, match=words):
        collected(sweep, metric=metric)


def test_a_table_without_the_metrics_column_is_refused(sweep: Sweep) -> None:
    with_losses(sweep)
    results = sweep.write()
    plan, trials, epochs = (read(results, table, sweep.name) for table in ("plan", "trials", "epochs"))
    with pytest.raises(ResultsError, match="'val_loss' is not recorded"):
        collect_replicates(plan, trials, epochs.drop("val_loss"), "val_loss")


def test_no_epoch_yet_is_no_missing_metric(sweep: Sweep) -> None:
    sweep.plan("sgd", 1, "t", config=OLD)
    assert collected(sweep, metric="val_loss").rows.select(pl.col("arm", "outcome")).rows() == [("sgd", "unfinished")]


def test_trials_without_the_metric_are_left_out_by_name_and_do_not_set_the_epochs(sweep: Sweep) -> None:
    """Older trials of 5 epochs, most of all; one that a newer version has continued has the metric at its end."""
    for seed in (1, 2, 3):
        sweep.trial("old", seed, [0.5] * 5, epochs_asked=5)
        sweep.plan("old", seed, f"old-{seed}", epochs=5)
    sweep.trial("continued", 1, [0.5, 0.6, 0.7])
    sweep.trial("cut", 1, [0.5, 0.6, 0.7])
    sweep.trial("new", 1, [0.5, 0.6, 0.7])
    for row in sweep.rows["epochs"]:
        is_recorded = {"continued-1": row["epoch"] == 3, "new-1": True, "cut-1": row["epoch"] < 3}
        row["val_macro_f1"] = 0.4 if is_recorded.get(row["trial_id"]) else None
    replicates = collected(sweep, metric="val_macro_f1")
    assert replicates.epoch == 3
    assert replicates.rows.select("arm", "outcome", "accuracy").rows() == [
        ("continued", "completed", 0.4),
        ("new", "completed", 0.4),
    ]
    (sentence,) = replicates.exclusions
    assert sentence == (
        "4 trials of cut and old are left out: their validation macro F1 is not recorded; `--metric val_accuracy` "
        "compares them."
    )


def test_a_value_that_is_no_number_is_not_taken_for_a_missing_one(sweep: Sweep) -> None:
    sweep.trial("nan", 1, [0.5, 0.6, float("nan")])
    sweep.trial("sgd", 1, [0.5, 0.6, 0.7])
    for row in sweep.rows["epochs"]:
        row["val_balanced_accuracy"] = row["val_accuracy"]
    replicates = collected(sweep, metric="val_balanced_accuracy")
    assert replicates.exclusions == ()
    assert replicates.rows.select("arm", "outcome").rows() == [("nan", "diverged"), ("sgd", "completed")]


def test_trials_of_several_sizes_of_one_folder_are_compared(sweep: Sweep) -> None:
    for size in (64, 128):
        for seed in (1, 2):
            config = {"optimizer": "adam", "image_size": size, "fit": "crop"}
            facts = {
                "dataset": "image_folder",
                "data_fingerprint": "0123456789abcdef",
                "config_json": json.dumps(config),
            }
            sweep.trial(f"size {size}", seed, [0.5, 0.6, 0.7], config=config, **facts)
    rows = collected(sweep).rows
    assert rows["outcome"].to_list() == ["completed"] * 4
    assert rows["arm"].n_unique() == 2
