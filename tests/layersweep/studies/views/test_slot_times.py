"""What slots did, in bins of time."""

from datetime import timedelta

import numpy as np
import pytest
from recorded_rows import START, plan, record, run, trial

from layersweep.records.live_records import LiveRecords
from layersweep.studies.views.slot_times import SlotTimes
from layersweep.studies.views.trial_table import Clock


def at(seconds):
    return START + timedelta(seconds=seconds)


def epoch(trial_id, number, seconds, sequence, *, train=8.0, validate=2.0, **more):
    row = {"trial_id": trial_id, "attempt": 0, "epoch": number, "val_accuracy": 0.5, "sequence": sequence}
    return row | {"at": at(seconds), "seconds_train": train, "seconds_validate": validate} | more


def view(results, *, now=None, sweep="s", last_epochs=()):
    records = LiveRecords(results, sweep)
    records.refresh()
    clock = Clock.of(records.tables, sweep, is_running=now is not None)
    return SlotTimes(sweep).of(records.tables, clock, now, last_epochs)


def test_one_slot_trains_validates_and_waits(tmp_path):
    record(
        tmp_path, "s", plan=[plan("aa")], runs=[run(slots=1), run(event="end", at=at(40))],
        epochs=[epoch("aa", 1, 20, 0), epoch("aa", 2, 30, 1)],
        trials=[trial("aa", started_at=at(5), ended_at=at(32), seconds_start=2.0, seconds_import=3.0,
                      seconds_checkpoint=0.5, seconds_close=0.5)],
    )  # fmt: skip
    slots, seconds = view(tmp_path)
    assert seconds == 40
    assert slots["edges"] == [float(n) for n in range(41)]
    assert [n for n, value in enumerate(slots["classes"]["train"]) if value == 1.0] == [*range(10, 18), *range(20, 28)]
    assert [n for n, value in enumerate(slots["classes"]["validate"]) if value] == [18, 19, 28, 29]
    assert [n for n, value in enumerate(slots["classes"]["start"]) if value] == [5, 6]
    assert [n for n, value in enumerate(slots["classes"]["import"]) if value] == [7, 8, 9]
    assert slots["classes"]["checkpoint"][31] == slots["classes"]["close"][31] == 0.5
    assert [n for n, value in enumerate(slots["classes"]["waiting"]) if value == 1.0] == [*range(5), 30, *range(32, 40)]
    for column in zip(*slots["classes"].values(), strict=True):
        assert sum(column) == pytest.approx(1.0)


def test_a_span_across_bins_is_shared_out(tmp_path):
    record(
        tmp_path, "s", runs=[run(slots=2), run(event="end", at=at(1000))],
        epochs=[epoch("aa", 1, 500.5, 0, train=300.25, validate=0.0)],
    )  # fmt: skip
    slots, _ = view(tmp_path)
    width = slots["edges"][1]
    assert width == 10
    assert len(slots["edges"]) == 101
    assert sum(slots["classes"]["train"]) * width == pytest.approx(300.25, abs=0.05)
    assert slots["classes"]["train"][30] == 1.0
    assert slots["classes"]["train"][50] == 0.05
    assert sum(slots["classes"]["waiting"]) * width == pytest.approx(2000 - 300.25, abs=0.5)


def test_a_command_that_was_killed_ended_with_its_last_epoch(tmp_path):
    record(
        tmp_path, "s", epochs=[epoch("aa", 1, 20, 0), epoch("aa", 2, 3620, 1)],
        runs=[run(slots=2, first_sequence=0), run("r2", at=at(3600), slots=1, first_sequence=1),
              run("r2", "end", at=at(3630))],
    )  # fmt: skip
    slots, seconds = view(tmp_path)
    assert seconds == 2 * 20 + 30
    edges, waiting = np.array(slots["edges"]), np.array(slots["classes"]["waiting"])
    assert not waiting[(edges[:-1] >= 60) & (edges[:-1] < 3570)].any()


def test_the_last_command_was_killed(tmp_path):
    record(tmp_path, "s", epochs=[epoch("aa", 1, 20, 0)], runs=[run(slots=2, first_sequence=0)])
    assert view(tmp_path)[1] == 40
    assert view(tmp_path, now=100.0)[1] == 200  # it runs


def test_a_command_killed_before_its_first_epoch(tmp_path):
    record(tmp_path, "s", runs=[run(slots=2, first_sequence=0)])
    assert view(tmp_path) == ({"edges": [], "classes": {}}, 0.0)


def test_nothing_is_recorded(tmp_path):
    assert view(tmp_path) == ({"edges": [], "classes": {}}, 0.0)


def test_a_new_attempt_that_repeats_rows_does_not_train_twice(tmp_path):
    record(
        tmp_path, "s", runs=[run(slots=1), run(event="end", at=at(40))],
        epochs=[epoch("aa", 1, 20, 0), epoch("aa", 1, 20, 1, attempt=1), epoch("aa", 2, 30, 2, attempt=1)],
    )  # fmt: skip
    slots, _ = view(tmp_path)
    assert max(slots["classes"]["train"]) == 1.0


def test_a_long_sweep_has_few_bins(tmp_path):
    record(tmp_path, "s", epochs=[epoch("aa", 1, 20, 0)], runs=[run(slots=2), run(event="end", at=at(5_000_000))])
    slots, _ = view(tmp_path)
    assert 60 <= len(slots["edges"]) - 1 <= 120
    assert slots["edges"][1] == 43200


def test_a_clock_set_back_takes_no_time_away(tmp_path):
    record(
        tmp_path, "s", runs=[run(slots=1), run(event="end", at=at(-30))],
        epochs=[epoch("aa", 1, 20, 0), epoch("aa", 2, -20, 1)],
    )  # fmt: skip
    slots, seconds = view(tmp_path)
    assert seconds == 0
    assert slots == {"edges": [], "classes": {}}


def test_sums_are_made_anew_only_when_a_quarter_of_a_bin_has_passed(tmp_path):
    record(tmp_path, "s", epochs=[epoch("aa", 1, 20, 0)], runs=[run(slots=2, first_sequence=0)])
    records = LiveRecords(tmp_path, "s")
    records.refresh()
    clock = Clock.of(records.tables, "s", is_running=True)
    slots = SlotTimes("s")
    first = slots.of(records.tables, clock, 1000.0)[0]
    assert slots.of(records.tables, clock, 1002.0)[0] is first
    later = slots.of(records.tables, clock, 1003.0)[0]
    assert later is not first


def test_an_epoch_that_has_not_ended_is_no_waiting(tmp_path):
    record(tmp_path, "s", epochs=[epoch("aa", 1, 20, 0)], runs=[run(slots=2, first_sequence=0)])
    slots, _ = view(tmp_path, now=50.0, last_epochs=[20.0])
    assert [n for n, value in enumerate(slots["classes"]["current epoch"]) if value] == [*range(20, 50)]
    assert slots["classes"]["waiting"][10:] == [1.0] * 40
