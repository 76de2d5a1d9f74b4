"""The state, the times and the values of each trial, from rows as commands leave them."""

from datetime import timedelta

import pytest
from recorded_rows import START, plan, record, run, trial

from layersweep.records.live_records import LiveRecords
from layersweep.studies.views.trial_table import Clock, TrialTable


def at(seconds):
    return START + timedelta(seconds=seconds)


def epoch(trial_id, number, value, *, seconds, sequence, attempt=0, **more):
    row = {"trial_id": trial_id, "attempt": attempt, "epoch": number, "val_accuracy": value, "sequence": sequence}
    return row | {"at": at(seconds), "seconds_train": 4.0, "seconds_validate": 1.0, "val_loss": 1 - value} | more


def rows_of(results, sweep="s", *, is_running=False, metric="val_accuracy"):
    records = LiveRecords(results, sweep)
    records.refresh()
    clock = Clock.of(records.tables, sweep, is_running=is_running)
    rows = TrialTable(sweep, metric=metric).update(records.tables, clock)
    return {row["trial_id"]: row for row in rows.to_dicts()}


def states(results, **more):
    return {trial_id: row["state"] for trial_id, row in rows_of(results, **more).items()}


def test_each_fate(tmp_path):
    outcomes = ("completed", "stopped", "diverged", "hopeless", "failed")
    record(
        tmp_path,
        "s",
        plan=[plan(name) for name in (*outcomes, "trained", "planned")],
        runs=[run(first_sequence=0)],
        epochs=[epoch("trained", 1, 0.5, seconds=10, sequence=0)],
        trials=[trial(name, name) for name in outcomes],
    )
    ended = {name: name for name in outcomes}
    assert states(tmp_path, is_running=True) == ended | {"trained": "running", "planned": "waiting"}
    assert states(tmp_path) == ended | {"trained": "unfinished", "planned": "unfinished"}


def test_a_command_that_has_ended_runs_no_trial(tmp_path):
    """The lock is released a moment after the end is recorded."""
    record(
        tmp_path, "s", plan=[plan("aa")], runs=[run(), run(event="end")],
        epochs=[epoch("aa", 1, 0.5, seconds=10, sequence=0)],
    )  # fmt: skip
    assert states(tmp_path, is_running=True) == {"aa": "unfinished"}


def test_a_trial_of_a_killed_command_waits_until_the_next_one_trains_it(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa"), plan("bb"), plan("cc")], runs=[run(first_sequence=0)],
        epochs=[epoch("aa", 1, 0.5, seconds=10, sequence=0), epoch("bb", 1, 0.5, seconds=10, sequence=1)],
    )  # fmt: skip
    record(tmp_path, "s", plan=[plan("aa", run="r2"), plan("bb", run="r2")], runs=[run("r2", first_sequence=2)])
    assert states(tmp_path, is_running=True) == {"aa": "waiting", "bb": "waiting", "cc": "unfinished"}
    record(tmp_path, "s", epochs=[epoch("bb", 2, 0.6, seconds=60, sequence=2)])
    assert states(tmp_path, is_running=True) == {"aa": "waiting", "bb": "running", "cc": "unfinished"}


def test_a_retried_trial_counts_with_its_latest_attempt(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa")], runs=[run(first_sequence=0)],
        epochs=[epoch("aa", 1, 0.9, seconds=10, sequence=0), epoch("aa", 1, 0.5, seconds=30, sequence=1, attempt=1)],
        trials=[trial("aa", "failed", epochs=1, reason="ValueError: bad", started_at=START, ended_at=at(11))],
    )  # fmt: skip
    row = rows_of(tmp_path, is_running=True)["aa"]
    assert (row["state"], row["value"], row["best"], row["attempts"]) == ("running", 0.5, 0.5, 2)
    record(tmp_path, "s", trials=[trial("aa", attempt=1, epochs=1, seconds_train=4.0, ended_at=at(40))])
    row = rows_of(tmp_path, is_running=True)["aa"]
    assert (row["state"], row["attempts"], row["reason"], row["seconds"]) == ("completed", 2, "", 4.0)
    assert (row["start"], row["end"]) == (0.0, 40.0)


def test_a_continued_trial(tmp_path):
    """It stopped, waited for an hour, and got more epochs: its seconds are those of all its parts, without the gap."""
    record(
        tmp_path, "s", plan=[plan("aa", epochs=2)], runs=[run(first_sequence=0), run(event="end", at=at(20))],
        epochs=[epoch("aa", n, n / 10, seconds=5 * n, sequence=n) for n in (1, 2)],
        trials=[trial("aa", epochs=2, epochs_asked=2, seconds_train=8.0, seconds_validate=2.0, started_at=START,
                      ended_at=at(12))],
    )  # fmt: skip
    record(
        tmp_path, "s", plan=[plan("aa", epochs=4, run="r2")], runs=[run("r2", at=at(3600), first_sequence=3)],
        epochs=[epoch("aa", 3, 0.3, seconds=3610, sequence=3)],
    )  # fmt: skip
    row = rows_of(tmp_path, is_running=True)["aa"]
    assert (row["state"], row["epoch"], row["epochs"], row["seconds"]) == ("running", 3, 4, 15.0)
    assert (row["start"], row["end"]) == (0.0, None)
    record(tmp_path, "s", trials=[trial("aa", continuation=1, epochs=4, seconds_train=9.0, started_at=at(3600),
                                        ended_at=at(3620))])  # fmt: skip
    row = rows_of(tmp_path, is_running=True)["aa"]
    assert (row["state"], row["seconds"], row["end"]) == ("completed", 19.0, 3620.0)


def test_a_clock_that_was_set_back(tmp_path):
    times = (10, 20, -50, 40)
    record(
        tmp_path, "s", plan=[plan("aa", epochs=4)], runs=[run()],
        epochs=[epoch("aa", n, 0.5, seconds=s, sequence=n) for n, s in enumerate(times, 1)],
    )  # fmt: skip
    records = LiveRecords(tmp_path, "s")
    records.refresh()
    table = TrialTable("s", metric="val_accuracy")
    table.update(records.tables, Clock.of(records.tables, "s", is_running=False))
    points = table.points(["aa"])
    assert points["t"].to_list() == [10.0, 20.0, 20.0, 40.0]
    assert points["s"].to_list() == [5.0, 10.0, 15.0, 20.0]


def test_a_loss_is_better_if_it_is_lower(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa")], runs=[run()],
        epochs=[epoch("aa", n, 0.5, seconds=n, sequence=n, val_loss=v) for n, v in ((1, 0.3), (2, 0.2), (3, 0.4))],
    )  # fmt: skip
    row = rows_of(tmp_path, metric="val_loss")["aa"]
    assert (row["value"], row["best"]) == (0.4, 0.2)


def test_values_that_are_no_numbers(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa")], runs=[run()],
        epochs=[epoch("aa", 1, 0.5, seconds=1, sequence=0), epoch("aa", 2, float("nan"), seconds=2, sequence=1)],
    )  # fmt: skip
    assert rows_of(tmp_path)["aa"]["best"] == 0.5


def test_a_trial_that_another_sweep_trained_has_no_time_here(tmp_path):
    record(
        tmp_path, "other", plan=[plan("aa")], runs=[run(at=at(-900))],
        epochs=[epoch("aa", n, n / 10, seconds=-600, sequence=n) for n in (1, 2)],
        trials=[trial("aa", started_at=at(-610), ended_at=at(-590), seconds_train=8.0)],
    )  # fmt: skip
    record(tmp_path, "s", plan=[plan("aa"), plan("bb")], runs=[run(first_sequence=0)])
    row = rows_of(tmp_path, is_running=True)["aa"]
    assert (row["state"], row["value"], row["seconds"], row["start"], row["end"]) == ("completed", 0.2, 8.0, None, None)


def test_old_records_without_plan_runs_and_times(tmp_path):
    record(tmp_path, "s", trials=[trial("aa", epochs_asked=2)],
           epochs=[{"trial_id": "aa", "attempt": 0, "epoch": 1, "val_accuracy": 0.5}])  # fmt: skip
    row = rows_of(tmp_path)["aa"]
    assert (row["state"], row["epochs"], row["start"], row["end"]) == ("completed", 2, None, None)


def test_a_trial_planned_by_several_commands_is_one(tmp_path):
    record(tmp_path, "s", plan=[plan("aa", epochs=2), plan("bb"), plan("aa", epochs=5, run="r2")])
    rows = rows_of(tmp_path)
    assert [*rows] == ["aa", "bb"]
    assert rows["aa"]["epochs"] == 5


@pytest.mark.parametrize("is_running", [True, False])
def test_only_changed_trials_are_read_and_nothing_differs(tmp_path, is_running):
    """After each flush of a small sweep, the table that reads what has changed is the one that reads everything."""
    records = LiveRecords(tmp_path, "s")
    table = TrialTable("s", metric="val_accuracy")
    steps = [
        {"plan": [plan("aa"), plan("bb")], "runs": [run(first_sequence=0)]},
        {"epochs": [epoch("aa", 1, 0.5, seconds=5, sequence=0)]},
        {"epochs": [epoch("bb", 1, 0.4, seconds=6, sequence=1, rung=1, cutoff=0.5, decision="stop")]},
        {"trials": [trial("bb", "stopped", epochs=1, rung=1, cutoff=0.5, ended_at=at(7))]},
        {"plan": [plan("cc")], "epochs": [epoch("aa", 2, 0.6, seconds=10, sequence=2)]},
        {"trials": [trial("aa", "failed", reason="x", ended_at=at(11))]},
        {"epochs": [epoch("aa", 1, 0.7, seconds=16, sequence=3, attempt=1)]},
        {"runs": [run("r2", at=at(100), first_sequence=4)], "plan": [plan("cc", run="r2"), plan("aa", run="r2")]},
        {"epochs": [epoch("cc", 1, 0.1, seconds=105, sequence=4)]},
    ]
    for step in steps:
        record(tmp_path, "s", **step)
        assert records.refresh()
        clock = Clock.of(records.tables, "s", is_running=is_running)
        rows = table.update(records.tables, clock, records.take_changes())
        whole = TrialTable("s", metric="val_accuracy")
        assert rows.equals(whole.update(records.tables, clock))
        assert table.rungs.sort("trial_id", "epoch").equals(whole.rungs.sort("trial_id", "epoch"))
        assert table.times.sort("trial_id").equals(whole.times.sort("trial_id"))
