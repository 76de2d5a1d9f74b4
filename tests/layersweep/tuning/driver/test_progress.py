"""What a person sees while a sweep runs."""

import dataclasses
import io

import made_up
import pytest

from layersweep.formatting import wrapped_parts
from layersweep.terminal import Console
from layersweep.tuning.common.worker_report import Error
from layersweep.tuning.driver.progress import Display, RunningRow, SweepProgress
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.trials import Ending, Trial

GO_ON = Decision(action="continue")


@pytest.fixture
def trial(tmp_path):
    data = made_up.data(tmp_path)

    def make(name="adam", seed=1, epochs=4):
        return Trial(
            trial_id=f"{name}{seed}", arm=Arm(name=name, config=made_up.Config()), question="comparison", seed=seed,
            epochs=epochs, precision="float32", data=data,
        )  # fmt: skip

    return make


@pytest.fixture
def epoch():
    def make(number, value):
        made = made_up.measured(made_up.Config(), 0, number, last=False)
        times = {"seconds_train": 9.0, "seconds_validate": 1.0, "seconds_build": 0.0, "seconds_measure": 0.0}
        return dataclasses.replace(made, val_accuracy=value, seconds_test=0.0, **times)

    return make


@pytest.fixture
def clock(monkeypatch):
    """The time in seconds, in a list that a test changes."""
    now = [100.0]
    monkeypatch.setattr("layersweep.tuning.driver.time_estimate.time.monotonic", lambda: now[0])
    return now


def shown(display, width=100):
    out = io.StringIO()
    Console(file=out, width=width).print(display.table())
    return out.getvalue()


def plain(width=200):
    out = io.StringIO()
    return out, Display(Console(file=out, width=width), metric="val_accuracy", mode="max")


def test_the_table_shows_what_runs(trial, epoch):
    _, display = plain()
    display.plan([trial(), trial("sgd")])
    display.start(trial())
    display.epoch(trial(), epoch(2, 0.75), Decision(action="continue", rung=2, cutoff=0.7))
    text = shown(display)
    assert "adam" in text
    assert "2/4" in text
    assert "0.7500" in text
    assert "2 ≥ 0.7000" in text
    assert "0/2 trials" in text
    assert "best val_accuracy 0.7500 (adam, seed 1, epoch 2)" in text
    (bar,) = [line for line in text.splitlines() if "━" in line]
    assert set(bar) <= {"━", " "}  # it has its line for itself


def test_the_first_at_a_rung_is_called_so(trial, epoch):
    _, display = plain()
    display.start(trial())
    display.epoch(trial(), epoch(1, 0.5), Decision(action="continue", rung=1, cutoff=None))
    assert "1 first" in shown(display)


def test_endings_are_counted_and_leave_the_table(trial, epoch):
    _, display = plain()
    display.plan([trial(), trial("sgd"), trial("ftrl")])
    for name, outcome in [("adam", "completed"), ("sgd", "stopped")]:
        display.start(trial(name))
        display.epoch(trial(name), epoch(1, 0.5), GO_ON)
        display.end(trial(name), Ending(outcome=outcome, epoch=1, value=0.5), None)
    assert display.summary().startswith("2/3 trials · 1 completed · 1 stopped · best")
    assert "sgd" not in shown(display)


def test_time_left_counts_the_epochs_that_stopped_trials_spare(trial, epoch, clock):
    _, display = plain()
    display.plan([trial(), trial(seed=2)])  # 8 epochs
    display.start(trial())
    display.epoch(trial(), epoch(4, 0.5), GO_ON)
    display.end(trial(), Ending(outcome="completed", epoch=4, value=0.5), None)
    clock[0] = 130.0
    assert display.progress().seconds_left == pytest.approx(10.0 * 4)


def test_no_time_is_told_before_the_first_epoch(trial):
    _, display = plain()
    display.plan([trial()])
    assert display.progress().seconds_left is None
    assert display.summary() == "0/1 trials"


def test_a_nan_is_never_best(trial, epoch):
    _, display = plain()
    display.start(trial(epochs=2))
    nan = made_up.measured(made_up.Config(misdeed="nan"), 0, 2, last=True)
    display.epoch(trial(epochs=2), nan, GO_ON)
    assert "best" not in display.summary()


def test_away_from_a_terminal_each_ending_is_a_line(trial, epoch):
    out, display = plain()
    display.plan([trial(), trial("sgd")])
    with display:
        display.start(trial())
        display.epoch(trial(), epoch(1, 0.5), GO_ON)
        display.end(trial(), Ending(outcome="completed", epoch=1, value=0.5), None)
        display.start(trial("sgd"))
        error = Error(type="ValueError", message="bad [value]\nmore")
        display.end(trial("sgd"), Ending(outcome="failed", epoch=0, value=None), error)
    assert out.getvalue().splitlines() == [
        "[1/2] adam, seed 1: completed after 1 epoch, val_accuracy 0.5000",
        "failed sgd, seed 1: ValueError: bad [value]",
    ]


def test_a_terminal_gets_a_live_table_that_is_gone_at_the_end(trial, epoch):
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with Display(console, metric="val_accuracy", mode="max") as display:
        display.plan([trial()])
        display.start(trial())
        display.epoch(trial(), epoch(1, 0.5), GO_ON)
        display.refresh(epochs_to_come=0, search_seconds_left=None)
        assert "running" in out.getvalue()
        display.end(trial(), Ending(outcome="completed", epoch=1, value=0.5), None)
    assert "[1/1]" not in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s"), (65, "1 min 05 s"), (3600, "1 h 00 min"), (7384, "2 h 03 min")]
)
def test_durations(seconds, words):
    from layersweep.formatting import duration

    assert duration(seconds) == words


def test_a_trial_that_goes_on_counts_what_is_left(trial, epoch, clock):
    _, display = plain()
    display.plan([trial()])
    display.start(trial(), start_epoch=3)
    assert "3/4" in shown(display)
    display.epoch(trial(), epoch(4, 0.5), GO_ON)
    display.end(trial(), Ending(outcome="completed", epoch=4, value=0.5), None)
    assert display.progress().seconds_left == 0


def test_a_trial_that_is_tried_again_is_said_and_not_counted(trial, epoch):
    out, display = plain()
    display.plan([trial()])
    display.start(trial())
    display.epoch(trial(), epoch(1, 0.5), GO_ON)
    error = Error(type="ProcessKilled", message="by SIGKILL")
    display.end(trial(), Ending(outcome="failed", epoch=1, value=0.5), error, retry=True)
    assert out.getvalue() == "tried again adam, seed 1: ProcessKilled: by SIGKILL\n"
    assert display.summary().startswith("0/1 trials")
    display.start(trial(), start_epoch=1)
    for number in (2, 3, 4):
        display.epoch(trial(), epoch(number, 0.5), GO_ON)
    display.end(trial(), Ending(outcome="completed", epoch=4, value=0.5), None)
    assert display.summary().startswith("1/1 trials · 1 completed")
    assert display.progress().seconds_left == 0


def test_a_hopeless_trial_is_named_with_its_reason(trial):
    out, display = plain()
    display.plan([trial()])
    display.start(trial())
    display.end(trial(), Ending(outcome="hopeless", epoch=3, value=0.1), None, reason="at chance after 3 epochs")
    assert out.getvalue() == "hopeless adam, seed 1: at chance after 3 epochs\n"


def test_a_warning_is_said_once_for_each_key():
    out, display = plain()
    for text, once in [("no space", None), ("no space", None), ("learns .1", "t1"), ("learns .2", "t1")]:
        display.warn(text, once=once)
    assert out.getvalue() == "warning: no space\nwarning: learns .1\n"


def test_the_time_left_counts_what_searches_may_still_draw(trial, epoch, clock):
    _, display = plain()
    display.plan([trial("x"), trial("y")])
    display.refresh(epochs_to_come=8, search_seconds_left=None)
    for name in "xy":
        display.start(trial(name))
        display.epoch(trial(name), epoch(1, 0.5), GO_ON)
    display.end(trial("x"), Ending(outcome="completed", epoch=4, value=0.5), None)
    assert display.progress().seconds_left == pytest.approx(10.0 * (3 + 8))


def test_searches_that_time_bounds_take_what_is_left_of_it_and_other_epochs_take_theirs(trial, epoch, clock):
    _, display = plain()
    candidate, compared = dataclasses.replace(trial("x"), question="tuning"), trial("y")
    display.plan([candidate, compared, trial("z")])
    display.refresh(epochs_to_come=4, search_seconds_left=[60.0])
    for one in (candidate, compared, trial("z")):
        display.start(one)
        display.epoch(one, epoch(1, 0.5), GO_ON)
    display.end(trial("z"), Ending(outcome="completed", epoch=4, value=0.5), None)
    # 10 s an epoch: 3 of what is compared, 4 that follow, and none of the candidate's
    assert display.progress().seconds_left == pytest.approx(60.0 + 10.0 * 7)
    display.refresh(epochs_to_come=4, search_seconds_left=None)
    clock[0] += 1.0
    assert display.progress().seconds_left == pytest.approx(10.0 * 3 - 1 + 10.0 * 4)  # x and y run at once


def test_what_waited_and_is_not_run_is_said_and_takes_no_time(trial, epoch):
    said, display = plain()
    display.plan([trial("x"), trial("y", epochs=1)])
    display.start(trial("y", epochs=1))
    display.epoch(trial("y", epochs=1), epoch(1, 0.5), GO_ON)
    display.end(trial("y", epochs=1), Ending(outcome="completed", epoch=1, value=0.5), None)
    display.drop(trial("x"), "the search's time, 20 min, was spent")
    assert display.progress().seconds_left == 0
    assert "stopped x, seed 1: the search's time, 20 min, was spent" in said.getvalue()
    assert "2/2 trials · 1 completed · 1 stopped" in display.summary()


def wide_progress(running=1):
    row = RunningRow(
        name="optimizer=adam learning_rate=0.002 weight_decay=0.0001 candidate 12",
        seed=1, epochs=50, epoch=3, value=0.91234, rung="27 ≥ 0.9123",
    )  # fmt: skip
    return SweepProgress(
        trials=240, running=[row] * running, outcomes={"completed": 120, "stopped": 33, "diverged": 2, "failed": 1},
        best=(0.9123, "optimizer=adam learning_rate=0.002 weight_decay=0.0001, seed 3, epoch 49"),
        epochs_done=100, epochs_planned=1000, seconds_left=9000.0,
    )  # fmt: skip


def live(progress, width, height=50):
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    console.print(progress.table("val_accuracy"))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_status_fits_its_terminal_and_loses_nothing(width):
    lines = live(wide_progress(), width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for part in ("156/240 trials", "33 stopped", "about 2 h 30 min left", "best val_accuracy 0.9123", "epoch 49)"):
        assert part in text, part
        assert any(part in line for line in lines), part  # no number is cut in two
    assert "…" not in text


@pytest.mark.parametrize("height", [8, 12, 24])
def test_the_status_is_below_the_rows_of_many_slots(height):
    lines = live(wide_progress(running=64), 80, height)
    assert len(lines) <= height
    assert any("about 2 h 30 min left" in line for line in lines[-3:])
    assert any(line.startswith("and ") and line.endswith(" more") for line in lines)


def test_lines_end_between_parts_and_between_words():
    assert wrapped_parts(["abc", "d e", "f"], 9) == "abc · d e\nf"
    assert wrapped_parts(["one two three"], 8) == "one two\nthree"
    assert wrapped_parts([], 8) == ""
