from datetime import timedelta

import pytest
from recorded_rows import START, record, run, trial

from benchmarks.ledger import (
    AFTER,
    BEFORE,
    IDLE,
    OUTSIDE,
    PROCESS,
    UNACCOUNTED,
    Options,
    ledgers,
    main,
    measurements,
)


def trial_row(trial_id, first_second, last_second, **seconds):
    """A trial between two seconds of the run."""
    times = {"started_at": START + timedelta(seconds=first_second), "ended_at": START + timedelta(seconds=last_second)}
    return trial(trial_id, **times, **{f"seconds_{name}": float(value) for name, value in seconds.items()})


@pytest.fixture
def results(tmp_path):
    """Two slots for 100 s: one trains from 10 to 50 and from 52 to 90, the other from 12 to 70."""
    seconds = {"seconds_train": 100.0, "seconds_test": 8.0, "seconds_import": 10.0, "seconds_start": 2.0}
    record(
        tmp_path, "optimizers",
        runs=[run(), run(event="end", at=START, slots=2, seconds_wall=100.0, **seconds)],
        trials=[
            trial_row("a", 10, 50, train=30, test=3, **{"import": 5, "start": 1}),
            trial_row("b", 12, 70, train=45, test=2, **{"import": 5, "start": 1}),
            trial_row("c", 52, 90, train=25, test=3),
        ],
    )  # fmt: skip
    return tmp_path


def test_every_second_is_in_one_class(results):
    (ledger,) = ledgers(results, "optimizers")
    classes = {name: seconds for name, seconds in ledger.seconds.items() if seconds}
    assert classes == pytest.approx({
        BEFORE: 22, "start": 2, "import": 10, "train": 100, "test": 8, IDLE: 20, AFTER: 20, UNACCOUNTED: 18,
    })  # fmt: skip
    assert sum(ledger.shares.values()) == pytest.approx(1)


def test_the_whole_process_adds_what_is_outside_the_run(results):
    (results / PROCESS).write_text('{"seconds": 125.0}')
    (ledger,) = ledgers(results, "optimizers")
    assert ledger.seconds[OUTSIDE] == pytest.approx(50)
    assert ledger.seconds[UNACCOUNTED] == pytest.approx(18)
    assert ledger.wall == 125


def test_the_share_of_work_once_the_slots_have_started(results):
    (ledger,) = ledgers(results, "optimizers")
    assert ledger.working(OUTSIDE, BEFORE, AFTER) == pytest.approx(108 / (200 - 22 - 20 - 12))
    assert ledger.working(OUTSIDE, BEFORE, AFTER, IDLE) == pytest.approx(108 / (200 - 22 - 20 - 12 - 20))


def test_the_runs_own_sums_are_held_against_its_trials(tmp_path):
    record(
        tmp_path,
        "optimizers",
        runs=[run(), run(event="end", slots=1, seconds_wall=20.0, seconds_train=9.0)],
        trials=[trial_row("a", 0, 20, train=10)],
    )
    assert ledgers(tmp_path, "optimizers")[0].difference == pytest.approx(0.1)


def test_a_slot_that_never_had_a_trial_is_idle(tmp_path):
    record(
        tmp_path,
        "optimizers",
        runs=[run(), run(event="end", slots=2, seconds_wall=20.0, seconds_train=10.0)],
        trials=[trial_row("a", 5, 15, train=10)],
    )
    (ledger,) = ledgers(tmp_path, "optimizers")
    assert ledger.seconds[IDLE] == pytest.approx(15)
    assert ledger.seconds[UNACCOUNTED] == pytest.approx(0)


def test_runs_that_were_killed_or_trained_nothing_have_no_ledger(tmp_path):
    record(tmp_path, "optimizers", runs=[run("killed"), run(), run(event="end", slots=0, seconds_wall=1.0)])
    assert ledgers(tmp_path, "optimizers") == []


def test_the_rows_of_a_case_hold_every_run(results):
    (ledger,) = ledgers(results, "optimizers")
    rows = {row.measure: row for row in measurements("float32", [ledger, ledger])}
    assert rows["train"].values == pytest.approx([0.5, 0.5])
    assert rows["slots x wall"].values == [200, 200]


def test_nothing_recorded_is_said(tmp_path):
    with pytest.raises(SystemExit, match=r"no run of 'optimizers' in .* has ended"):
        main(Options(results=(tmp_path,), out=tmp_path))


def test_the_table_is_written(results):
    main(Options(results=(results,), out=results / "out"))
    page = (results / "out" / "ledger.md").read_text()
    assert "| train + validate + test once started | share | 1 | 0.740 | 0.740 | 0.740 |" in page
