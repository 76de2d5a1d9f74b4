"""The table `results` has what the study compares: obvious lines over it are right where they are wrong elsewhere."""

import polars as pl
import pytest
from compared_sweep import compared
from recorded_sweep import Sweep
from searched_sweep import candidate, chosen, fixed
from tuned_sweep import default_arm, tune

from layersweep.records.derived.results_table import is_written, read_results
from layersweep.studies.compared_results import update_results
from layersweep.studies.earlier_records import EARLIER
from layersweep.studies.recorded_comparison import comparisons_of
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.study import main, write_study
from layersweep.terminal import Console


def written(sweep):
    """The table, as a study writes it."""
    assert update_results(sweep.write(), sweep.name) == ""
    return read_results(sweep.results, sweep.name)


def means(results, *keys):
    rows = results.filter("is_last").group_by(*keys or ("arm",)).agg(pl.mean("val_accuracy")).sort("val_accuracy")
    return {row[:-1] if keys else row[0]: pytest.approx(row[-1]) for row in rows.rows()}


# The two faults


def test_each_end_of_a_trial_is_a_row_so_a_mean_over_completed_rows_is_wrong(sweep):
    for seed, final in ((1, 0.58), (2, 0.60)):
        more = {"epochs_asked": 1, "last_val_accuracy": 0.206}
        sweep.trial("adam", seed, [0.206], **more)  # `--epochs 1`, and then `--epochs 3`
        more = {"epochs_asked": 3, "last_val_accuracy": final, "continuation": 1}
        sweep.trial("adam", seed, [0.4, final], after=1, planned=False, **more)
    results = written(sweep)
    trials = pl.read_parquet(sweep.results / "trials/*/*.parquet")
    wrong = trials.filter(pl.col("outcome") == "completed")["last_val_accuracy"].mean()
    assert wrong == pytest.approx(0.398)
    assert means(results) == {"adam": 0.590}


def test_a_join_without_the_question_mixes_screening_and_tuning_in(sweep):
    default_arm(sweep, "adam", (0.90, 0.91, 0.92))
    tune(sweep, "adam", 1e-2, (0.93, 0.94, 0.95))
    for name, level in (("adam", 0.5), ("sgd", 0.4)):
        sweep.trial(name, 0, [level * 0.6, level * 0.9, level], question="screening", trial_id=f"{name}-s")
    results = written(sweep)
    plan, epochs = (pl.read_parquet(sweep.results / table / "*/*.parquet") for table in ("plan", "epochs"))
    joined = plan.join(epochs, on="trial_id").filter(pl.col("epoch") == 3)
    wrong = dict(joined.group_by(pl.col("arm").cast(pl.String)).agg(pl.mean("val_accuracy")).rows())
    assert means(results) == {"adam": 0.91, "adam tuned": 0.94}
    assert wrong["adam"] == pytest.approx((0.90 + 0.91 + 0.92 + 0.5) / 4)
    assert wrong["adam tuned"] < 0.85
    assert wrong["sgd"] == pytest.approx(0.4)


# The study's selection, whatever was recorded


def superseded_attempt(sweep):
    sweep.trial("adam", 1, [0.2, 0.3, 0.9], "failed", error_type="OSError")
    sweep.trial("adam", 1, [0.3, 0.5, 0.7], attempt=1, planned=False)
    return {"adam": 0.7}


def more_epochs_than_compared(sweep):
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.3, 0.5, 0.7])
    sweep.plan("sgd", 1, "sgd-1")
    sweep.trial("sgd", 1, [0.3, 0.5, 0.6, 0.8], planned=False, epochs_asked=4)
    return {"sgd": 0.6, "adam": 0.7}


def some_have_no_result(sweep):
    sweep.trial("adam", 1, [0.3, 0.5, 0.7])
    sweep.trial("adam", 2, [0.3, 0.2, 0.1])  # at chance
    sweep.trial("adam", 3, [0.3, float("nan")], "diverged")
    sweep.trial("sgd", 1, [0.3], None)  # running
    sweep.trial("ftrl", 1, [0.3], "stopped", rung=1)
    sweep.trial("lion", 1, [0.1], "hopeless")
    return {"adam": 0.7}


def other_data(sweep):
    sweep.trial("adam", 1, [0.3, 0.5, 0.5], run="r0", data_fingerprint="f-old", trial_id="old")
    sweep.trial("sgd", 1, [0.3, 0.5, 0.9], run="r0", precision="mixed_bfloat16", data_fingerprint="f-new")
    sweep.trial("adam", 1, [0.3, 0.5, 0.7], data_fingerprint="f-new")
    return {"adam": 0.7}


def another_configuration_of_the_name(sweep):
    sweep.trial("adam", 1, [0.3, 0.5, 0.5], config={"optimizer": "adam", "learning_rate": 0.1}, trial_id="old")
    for seed in (1, 2):
        config = {"optimizer": "adam", "learning_rate": 0.01}
        sweep.trial("adam", seed, [0.3, 0.5, 0.7 + seed / 100], config=config, trial_id=f"new-{seed}")
    return {"adam": 0.715}


def amounts(sweep):
    for share, level in ((0.5, 0.6), (1.0, 0.7)):
        for seed in (1, 2):
            config = {"optimizer": "adam", "train_share": share}
            more = {"train_images": int(54_000 * share), "config": config}
            sweep.trial(f"train_share={share}", seed, [0.3, 0.5, level + seed / 100], **more)
    return {"train_share=0.5": 0.615, "train_share=1.0": 0.715}


def folds(sweep):
    for fold in (0, 1, 2):
        for name, level in (("adam", 0.7), ("sgd", 0.6)):
            ids = {"trial_id": f"{name}-f{fold}", "fold": fold}
            sweep.plan(name, 1, ids["trial_id"], fold=fold)
            sweep.trial(name, 1, [0.3, 0.5, level + fold / 100], planned=False, **ids)
    return {"sgd": 0.61, "adam": 0.71}


def searches(sweep):
    for number, level in enumerate((0.6, 0.8)):
        candidate(sweep, "greedy", number, [level * 0.6, level * 0.9, level])
    chosen(sweep, "greedy", 1, (0.74, 0.76))
    fixed(sweep, "resnet", [[0.3, 0.5, 0.69], [0.3, 0.5, 0.71]])
    return {"resnet": 0.70, "greedy": 0.75}


def first_phases(sweep):
    sweep.trial("head", 1, [0.3, 0.5, 0.99], question="first phase", trial_id="head-1")
    sweep.trial("thawed", 1, [0.3, 0.5, 0.7], parent="head-1")
    return {"thawed": 0.7}


SHAPES = (
    superseded_attempt, more_epochs_than_compared, some_have_no_result, other_data, another_configuration_of_the_name,
    amounts, folds, searches, first_phases,
)  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mean_of_the_last_epochs_is_what_the_study_says(sweep, shape):
    right = shape(sweep)
    results = written(sweep)
    comparison = compared(sweep)
    assert means(results) == right
    arms = {row["arm"]: row for row in comparison.compared_arms}
    assert right == {arm: pytest.approx(row["mean"]) for arm, row in arms.items()}
    counts = results.filter("is_last").group_by("arm").agg(pl.len(), pl.first("learned", "ended"))
    assert {row[0]: row[1:] for row in counts.rows()} == {
        arm: (row["n"], row["learned"], row["ended"]) for arm, row in arms.items()
    }
    curves = comparison.replicates.curves.join(comparison.averaged_rows, on=["arm", "trial_id"], how="semi")
    columns = ["arm", "seed", "fold", "trial_id", "epoch", "val_accuracy", "seconds"]
    assert sorted(results.select(columns).rows(), key=str) == sorted(curves.select(columns).rows(), key=str)
    assert results["epoch"].max() == comparison.epoch


def test_arms_that_are_not_compared_with_each_other_are_groups(sweep):
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.1, 0.3, 0.7], config={"optimizer": "adam"})
        config = {"optimizer": "adam", "classes": "0-1"}
        sweep.trial("optimizer=adam classes=0-1", seed, [0.5, 0.9, 0.95], config=config)
    sweep.run(**EARLIER["alexnet"].columns)
    results = written(sweep)
    groups = means(results, "arm_group", "arm")
    assert sorted(value.expected for value in groups.values()) == pytest.approx([0.7, 0.95])
    assert {key[0] for key in groups} == {"classes all", "classes 0-1"}
    for group, comparison, _ in comparisons_of(sweep.results, sweep.name, Criteria()):
        arms = {row["arm"]: row["mean"] for row in comparison.compared_arms}
        assert {arm: groups[f"{group.key} {group.value}", arm] for arm in arms} == arms


def test_what_another_sweep_has_trained_is_there_under_this_sweep(tmp_path):
    first = Sweep(tmp_path / "results", "first")
    first.trial("adam", 1, [0.3, 0.5, 0.7], trial_id="shared")
    first.write()
    second = Sweep(tmp_path / "results", "second")
    second.plan("optimizer=adam", 1, "shared")
    second.trial("sgd", 1, [0.3, 0.5, 0.6])
    assert means(written(second), "sweep", "arm") == {
        ("second", "sgd"): 0.6,
        ("second", "optimizer=adam"): 0.7,
    }


def test_the_test_set_is_there_for_leading_arms_alone(sweep):
    for seed in (1, 2, 3):
        sweep.trial("adam", seed, [0.3, 0.5, 0.9 + seed / 1000], test=0.8)
        sweep.trial("sgd", seed, [0.3, 0.5, 0.2 + seed / 1000], test=0.99)
    results = written(sweep)
    tests = results.drop_nulls("test_accuracy")
    assert set(tests.select("arm", "epoch", "test_accuracy").rows()) == {("adam", 3, 0.8)}
    assert tests.height == 3


# When it is written


def test_a_study_by_another_metric_leaves_the_table_of_the_sweeps_own(sweep):
    sweep.trial("adam", 1, [0.3, 0.5, 0.7])
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 1 - row["val_accuracy"]
    before = written(sweep)
    sweep.trial("adam", 2, [0.3, 0.5, 0.9])
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 1 - row["val_accuracy"]
    write_study(sweep.write(), sweep.name, console=Console(quiet=True), criteria=Criteria(metric="val_loss"))
    assert read_results(sweep.results, sweep.name).equals(before)
    write_study(sweep.results, sweep.name, console=Console(quiet=True), criteria=Criteria(margin=0.2))
    assert means(read_results(sweep.results, sweep.name)) == {"adam": 0.8}


def test_a_study_of_a_folder_that_only_can_be_read_says_that_it_did_not_write_the_table(sweep, tmp_path, monkeypatch):
    sweep.trial("adam", 1, [0.3, 0.5, 0.7])
    results = sweep.write()
    (results / "results").write_bytes(b"")  # also refused to root
    assert main(["optimizers", "--results", str(results), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "optimizers.html").exists()
    text = update_results(results, sweep.name)
    assert text.startswith(f"the table 'results' is as it was: cannot write {results}/results/optimizers/")
    assert not list((results / ".state").rglob("*.tmp")) if (results / ".state").exists() else True


def test_no_training_to_compare_is_an_empty_table(sweep):
    sweep.trial("adam", 1, [0.3], None)
    assert written(sweep).is_empty()
    assert is_written(sweep.results, sweep.name)
