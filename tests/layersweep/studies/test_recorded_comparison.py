"""What was recorded when the last command ended: verdicts come from that, while the next command runs."""

import pytest
from recorded_sweep import Sweep

from layersweep.records.errors import ResultsError
from layersweep.records.read import read
from layersweep.studies.recorded_comparison import ArmGroup, last_look, load, load_last_look, tables_of


def two_looks(folder, *, ended=True, later=True):
    """Two arms on two seeds by one command; a second command adds a seed, and an arm, and tests nothing yet."""
    sweep = Sweep(folder)
    sweep.run("r1", first_sequence=0)
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.5, 0.7, 0.8 + seed / 100], test=0.8)
        sweep.trial("sgd", seed, [0.4, 0.5, 0.6 + seed / 100])
    if ended:
        sweep.run("r1", event="end", outcome="completed")
    if later:
        sweep.run("r2", first_sequence=12)
        sweep.trial("adam", 3, [0.1, 0.1, 0.1], run="r2")
        sweep.trial("nadam", 1, [0.9, 0.9], None, run="r2")
        sweep.plan("sgd", 3, "sgd-3", run="r2")
    for number, row in enumerate(sweep.rows["epochs"]):
        row["sequence"] = number
    return sweep.write()


def arms(look):
    comparison, _ = look
    return {row["arm"]: (row["n"], row["mean"]) for row in comparison.arms.to_dicts()}


def test_rows_of_the_command_that_runs_are_left_out(tmp_path):
    results = two_looks(tmp_path)
    alone = two_looks(tmp_path / "alone", later=False)
    look = load_last_look(results, "optimizers")
    assert arms(look) == arms(load(alone, "optimizers"))
    assert arms(load(results, "optimizers")) != arms(look)
    assert look[0].warnings == load(alone, "optimizers")[0].warnings
    assert look[1]["run"].unique().to_list() == ["r1"]


def test_before_the_first_look_ended_there_is_none(tmp_path):
    assert load_last_look(two_looks(tmp_path, ended=False, later=False), "optimizers") is None


def test_a_killed_command_before_the_one_that_runs_has_shown_nothing(tmp_path):
    results = two_looks(tmp_path, ended=False)
    assert load_last_look(results, "optimizers") is None


def test_a_killed_command_before_the_last_end_counts(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run("r1", first_sequence=0)
    sweep.trial("adam", 1, [0.5, 0.6, 0.7])
    sweep.run("r2", first_sequence=3)
    sweep.trial("adam", 2, [0.5, 0.6, 0.8], run="r2")
    sweep.run("r2", event="end")
    for number, row in enumerate(sweep.rows["epochs"]):
        row["sequence"] = number
    assert arms(load_last_look(sweep.write(), "optimizers"))["adam"][0] == 2


def test_nothing_is_left_out_if_no_later_command_began(tmp_path):
    results = two_looks(tmp_path, later=False)
    tables = tables_of(results, "optimizers")
    assert last_look(tables, read(results, "runs"), "optimizers") is tables


def test_a_trial_continued_by_the_command_that_runs_counts_as_it_was(tmp_path):
    """It was stopped in the first look, and the second one gives it more epochs."""
    sweep = Sweep(tmp_path, epochs=2)
    sweep.run("r1", first_sequence=0)
    sweep.trial("adam", 1, [0.5, 0.6])
    sweep.trial("sgd", 1, [0.4], "stopped", rung=1, cutoff=0.5)
    sweep.run("r1", event="end")
    sweep.run("r2", first_sequence=3)
    sweep.trial("sgd", 1, [0.95], after=1, continuation=1, run="r2")
    for number, row in enumerate(sweep.rows["epochs"]):
        row["sequence"] = number
    results = sweep.write()
    status = {row["arm"]: row["status"] for row in load_last_look(results, "optimizers")[0].arms.to_dicts()}
    assert status == {"adam": "compared", "sgd": "screened out"}
    tables = last_look(tables_of(results, "optimizers"), read(results, "runs"), "optimizers")
    assert tables.epochs.filter(tables.epochs["trial_id"] == "sgd-1")["epoch"].to_list() == [1]
    assert load(results, "optimizers")[0].leader["arm"] == "sgd"


def test_classes_layers_and_tests_of_later_epochs_are_left_out(tmp_path):
    sweep = Sweep(tmp_path, epochs=1)
    sweep.run("r1", first_sequence=0)
    sweep.trial("adam", 1, [0.5], test=0.4)
    sweep.run("r1", event="end")
    sweep.run("r2", first_sequence=1)
    sweep.trial("adam", 2, [0.5], test=0.4, run="r2")
    for number, row in enumerate(sweep.rows["epochs"]):
        row["sequence"] = number
        ids = {name: row[name] for name in ("trial_id", "attempt", "epoch")}
        sweep.add("classes", ids | {"set_name": "validation", "class_index": 0, "class_name": "a", "support": 9})
        sweep.add("layers", ids | {"index": 0, "name": "dense", "kind": "Dense"})
    results = sweep.write()
    tables = last_look(tables_of(results, "optimizers"), read(results, "runs"), "optimizers")
    for name in ("trials", "epochs", "tests", "classes", "layers"):
        assert getattr(tables, name)["trial_id"].to_list() == ["adam-1"], name


def test_records_of_commands_that_counted_no_epochs(tmp_path):
    """Without `first_sequence`, epochs of later commands stay; their trials are not planned, so they do not count."""
    sweep = Sweep(tmp_path)
    sweep.run("r1")
    sweep.trial("adam", 1, [0.5, 0.6, 0.7])
    sweep.run("r1", event="end")
    sweep.run("r2")
    sweep.trial("adam", 2, [0.5, 0.6, 0.1], run="r2")
    assert arms(load_last_look(sweep.write(), "optimizers")) == {"adam": (1, 0.7)}


def test_an_unknown_sweep(tmp_path):
    for read_comparison in (load, load_last_look):
        with pytest.raises(ResultsError, match="no results of sweep 'none'"):
            read_comparison(tmp_path, "none")


def test_groups_of_arms():
    configs = ['{"classes": "3"}', "{}", None, '{"classes": "3"}']
    groups = ArmGroup.all_of("classes", "all", configs)
    assert groups == [ArmGroup("classes", "3", "all"), ArmGroup("classes", "all", "all")]
    assert [group.contains('{"classes": "3"}') for group in groups] == [True, False]
    assert groups[1].contains(None)
