"""What the head of the page says of a sweep."""

from datetime import timedelta

import pytest
from recorded_rows import START, plan, record, run, trial

from layersweep.records.live_records import LiveRecords
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.views.preparer import ViewPreparer


def at(seconds):
    return START + timedelta(seconds=seconds)


def state(results, **more):
    records = LiveRecords(results, "s")
    records.refresh()
    return ViewPreparer(results, "s", StudyQuestion(text="Which?")).prepare(records.tables, **more)["state"]


def epoch(trial_id, number, seconds, sequence):
    return {
        "trial_id": trial_id, "attempt": 0, "epoch": number, "val_accuracy": 0.5, "sequence": sequence,
        "at": at(seconds), "seconds_train": 8.0, "seconds_validate": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ({"outcome": "completed"}, "ended 2026-11-03 09:02 UTC: 1 trial in 2 min 00 s"),
        ({"outcome": "completed", "seconds_wall": 90.0}, "ended 2026-11-03 09:02 UTC: 1 trial in 1 min 30 s"),
        ({"outcome": "interrupted"}, "interrupted 2026-11-03 09:02 UTC: 1 trial in 2 min 00 s"),
        ({"outcome": None}, "ended 2026-11-03 09:02 UTC: 1 trial in 2 min 00 s"),
        ({"outcome": "completed", "at": None}, "ended at an unknown time: 1 trial"),
    ],
)
def test_a_sweep_that_has_ended(tmp_path, end, sentence):
    record(
        tmp_path,
        "s",
        plan=[plan("aa")],
        trials=[trial("aa")],
        runs=[run(), run(**{"event": "end", "at": at(120)} | end)],
    )
    assert state(tmp_path)["sentence"] == sentence


def test_a_command_that_has_not_recorded_its_run_starts(tmp_path):
    rows = {"plan": [plan("aa"), plan("bb"), plan("cc")], "trials": [trial("aa")]}
    record(tmp_path, "s", **rows, runs=[run(), run(event="end", at=at(120), outcome="completed")])
    values = state(tmp_path, is_running=True)
    assert (values["running"], values["sentence"]) == (True, "starting; 1 of 3 trials has ended")
    first = tmp_path / "first"
    record(first, "s", plan=[plan("aa")])
    assert state(first, is_running=True)["sentence"] == "starting; 0 of 1 trial have ended"


def test_unfinished_trials_of_a_sweep_that_has_ended(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa"), plan("bb", seed=2)], trials=[trial("aa")],
        runs=[run(), run(event="end", at=at(60), outcome="interrupted")],
    )  # fmt: skip
    assert state(tmp_path)["sentence"] == "interrupted 2026-11-03 09:01 UTC; 1 of 2 trials unfinished"


def test_a_killed_sweep(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], runs=[run()])
    sentence = "killed or interrupted; the last command started 2026-11-03 09:00 UTC; 1 of 1 trial unfinished"
    assert state(tmp_path) == {
        "running": False, "sentence": sentence, "seconds_left": None, "slots": None, "slot_hours": 0.0, "look": "",
    }  # fmt: skip


def test_the_time_left_is_the_one_estimate(tmp_path):
    """Two slots, four trials of two epochs of 10 s: one has ended, one has an epoch, two wait."""
    record(
        tmp_path, "s", plan=[plan(name, seed=n, epochs=2) for n, name in enumerate(("aa", "bb", "cc", "dd"))],
        runs=[run(slots=2, first_sequence=0)],
        epochs=[epoch("aa", 1, 10, 0), epoch("aa", 2, 20, 1), epoch("bb", 1, 12, 2)],
        trials=[trial("aa", epochs=2, seconds_train=16.0, seconds_validate=4.0, started_at=START, ended_at=at(20))],
    )  # fmt: skip
    result = state(tmp_path, is_running=True, now=at(20))
    assert result["sentence"].startswith("1 of 4 trials has ended, 1 runs; about ")
    assert 20 <= result["seconds_left"] <= 40
    assert (result["slots"], result["slot_hours"]) == (2, pytest.approx(40 / 3600, rel=1e-3))


def test_before_the_first_epoch_nothing_is_estimated(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], runs=[run(slots=2, first_sequence=0)])
    result = state(tmp_path, is_running=True, now=at(20))
    assert (result["sentence"], result["seconds_left"]) == ("0 of 1 trial have ended, 0 run", None)


def test_the_time_left_counts_down_between_two_estimates(tmp_path, monkeypatch):
    monkeypatch.setattr("layersweep.studies.views.preparer._ESTIMATED_TRIALS", 0.01)  # once in 200 s for two trials
    record(
        tmp_path, "s", plan=[plan(name, seed=n, epochs=2) for n, name in enumerate(("aa", "bb"))],
        runs=[run(slots=1, first_sequence=0)], epochs=[epoch("aa", 1, 10, 0), epoch("aa", 2, 20, 1)],
        trials=[trial("aa", epochs=2, seconds_train=16.0, seconds_validate=4.0, started_at=START, ended_at=at(20))],
    )  # fmt: skip
    records = LiveRecords(tmp_path, "s")
    records.refresh()
    preparer = ViewPreparer(tmp_path, "s", StudyQuestion(text="Which?"))

    def left(seconds):
        return preparer.prepare(records.tables, is_running=True, now=at(seconds))["state"]["seconds_left"]

    first = left(20)
    assert left(25) == pytest.approx(first - 5)
    assert left(20 + first + 50) == 0
