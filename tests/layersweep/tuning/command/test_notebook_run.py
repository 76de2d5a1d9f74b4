"""A sweep as a call: its options, its errors of one line, and what it leaves behind. Ray is not started here."""

import inspect
import signal
import sys
import threading
from dataclasses import fields
from pathlib import Path

import made_up_sweep
import numpy as np
import pytest

import layersweep as ls
from layersweep.exit_codes import FAILED, OK, UNFINISHED
from layersweep.records.lock import sweep_lock
from layersweep.tuning.command import notebook_run
from layersweep.tuning.common.errors import BrokenOffError
from layersweep.tuning.experiment.options import Options

SWEEP = made_up_sweep.SWEEP


@pytest.fixture
def calls(monkeypatch):
    """The calls of the path that the command line shares, which does nothing here."""
    arrived = []

    def carry_out(sweep, options, frontend):
        arrived.append((options, frontend))
        return OK

    monkeypatch.setattr(notebook_run, "carry_out", carry_out)
    return arrived


def refusal(**options):
    with pytest.raises(ls.Error) as error:
        ls.run(SWEEP, **options)
    return str(error.value)


def test_options_are_those_of_the_command_line_by_their_names(calls, tmp_path):
    ls.run(SWEEP, epochs=3, images=10, time_budget="1.5h", search_seed=7, results=tmp_path / "r", no_watch=True)
    options, _ = calls[0]
    expected = Options(epochs=3, images=10, time_budget=5400.0, search_seed=7, results=tmp_path / "r", no_watch=True)
    assert options == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "quality=0.1"),
        ([0.1, 1e-05], "quality=0.1,1e-05"),
        ((1, "x"), "quality=1,x"),
        (np.array([0.25, 0.5]), "quality=0.25,0.5"),
        (np.int64(3), "quality=3"),
        (np.array(0.25), "quality=0.25"),
        (True, "quality=true"),
        ({"a": 1}, 'quality={"a": 1}'),
        (ls.Range(1e-5, 0.1), "quality=1e-05..0.1"),
        (ls.Range(1e-5, 0.1, log=True), "quality=1e-05..0.1:log"),
    ],
)
def test_values_of_a_key_are_said_as_the_command_line_says_them(calls, value, text):
    ls.run(SWEEP, set={"quality": value})
    assert calls[0][0].set == (text,)


def test_each_arm_has_its_own_values(calls):
    ls.run(SWEEP, arms=[{"quality": 0.1, "misdeed": "early"}, {"quality": 1e-05}])
    assert calls[0][0].arm == ("quality=0.1,misdeed=early", "quality=1e-05")


def test_what_a_notebook_hands_over_as_its_own_arguments_is_not_read(calls, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "kernel.json", "--epochs", "9"])
    ls.run(SWEEP, epochs=2)
    options, frontend = calls[0]
    assert options.epochs == 2
    assert frontend.invocation.recorded == frontend.invocation.again == "ls.run(made_up, epochs=2)"


def test_the_call_is_recorded_as_a_person_repeats_it(calls):
    ls.run(SWEEP, set={"quality": [0.1, 0.2]}, results=Path("r"), seeds=2)
    invocation = calls[0][1].invocation
    assert invocation.recorded == "ls.run(made_up, set={'quality': [0.1, 0.2]}, results='r', seeds=2)"
    assert invocation.with_seeds(9).again == "ls.run(made_up, set={'quality': [0.1, 0.2]}, results='r', seeds=9)"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"epoch": 2}, "unknown option epoch: did you mean 'epochs'? valid: epochs, "),
        ({"epochs": 0}, "epochs 0 is not valid; valid: 1 or more"),
        ({"epochs": "two"}, "Error parsing epochs: 'two' is not a whole number"),
        ({"epochs": 1.5}, "Error parsing epochs: '1.5' is not a whole number"),
        ({"search_seed": -1}, "search_seed -1 is not valid; valid: 0 to "),
        ({"quick": 1}, "quick=1 is not valid; valid: True, False"),
        ({"set": ["quality=1"]}, "set=['quality=1'] is not valid; valid: by key, such as set={"),
        ({"set": {"quality": []}}, "set: quality has no value; valid: at least one"),
        ({"set": {"quality": None}}, "set: quality=None is not valid; valid: a number, a text, True or False"),
        ({"set": {"qualty": 0.5}}, "set qualty=0.5: unknown key 'qualty': did you mean 'quality'? "),
        ({"set": {"quality": ls.Range(1, 8, step=2)}}, "set: quality=ls.Range(low=1, high=8, log=False, step=2"),
        ({"arms": {"quality": 1}}, "arms={'quality': 1} is not valid; valid: a list of dicts, one for each arm"),
        ({"arms": [{"quality": [1, 2]}]}, "arms: quality=[1, 2] is not valid; valid: a number, a text, True or False"),
        (
            {"arms": [{"misdeed": "early,quality=1"}]},
            "arms: misdeed='early,quality=1' has a comma; valid: a text without",
        ),
        ({"set": {"misdeed": ["early,late"]}}, "set: misdeed='early,late' has a comma; valid: a text without one"),
        ({"set": {"quality=1": 2}}, "set={'quality=1': 2} is not valid; valid: by key, such as set={"),
        ({"arms": [0.5]}, "arms=0.5 is not valid; valid: by key, such as arms=[{"),
        ({"arms": [{"quality": 0.5}] * 2}, "arm quality=0.5"),
        ({"cluster": "cluster.yaml"}, "cluster= is for scripts: "),
        ({"dataset": "nothing"}, "data set 'nothing' is not known; valid: "),
    ],
)
def test_bad_input_is_one_line_with_the_options_as_the_call_names_them(options, line, tmp_path):
    message = refusal(**{"results": tmp_path} | options)
    assert message.startswith(line)
    assert "\n" not in message
    assert "--" not in message


def test_what_is_no_sweep_is_named():
    with pytest.raises(ls.Error, match=r"^'optimizers' is no sweep; valid: ls\.run\(SWEEP"):
        ls.run("optimizers")


def test_a_notebook_shows_an_error_in_one_line_and_no_frames():
    assert ls.Error("epochs 0 is not valid")._render_traceback_() == ["Error: epochs 0 is not valid"]


def test_another_notebook_on_the_same_results_is_said(tmp_path, fashion_mnist):
    with sweep_lock(tmp_path, SWEEP.name):
        assert refusal(results=tmp_path, images=10).startswith("another command is running the sweep 'made_up' in ")


def test_only_one_run_is_at_work_in_a_process(monkeypatch):
    at_work, end = threading.Event(), threading.Event()

    def carry_out(sweep, options, frontend):
        at_work.set()
        end.wait()
        return OK

    monkeypatch.setattr(notebook_run, "carry_out", carry_out)
    thread = threading.Thread(target=ls.run, args=(SWEEP,))
    thread.start()
    at_work.wait()
    try:
        assert refusal().startswith("ls.run is at work in this process already")
    finally:
        end.set()
        thread.join()
    assert ls.run(SWEEP).complete


def test_an_interrupt_is_a_keyboard_interrupt_of_one_line(monkeypatch):
    def carry_out(sweep, options, frontend):
        raise KeyboardInterrupt

    monkeypatch.setattr(notebook_run, "carry_out", carry_out)
    with pytest.raises(KeyboardInterrupt, match=r"^stopped; every finished epoch is kept") as interrupt:
        ls.run(SWEEP)
    assert len(interrupt.value._render_traceback_()) == 1
    assert interrupt.value.__context__ is None  # a kernel keeps its last exception, but not the frames of the run


def test_a_sigterm_that_stopped_a_run_then_reaches_whoever_handled_it_before(monkeypatch):
    def carry_out(sweep, options, frontend):
        with frontend.stop.on_signals():
            signal.raise_signal(signal.SIGTERM)
            frontend.stop.check()

    received = []
    monkeypatch.setattr(notebook_run, "carry_out", carry_out)
    earlier = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with pytest.raises(KeyboardInterrupt):
            ls.run(SWEEP)
    finally:
        signal.signal(signal.SIGTERM, earlier)
    assert received == [signal.SIGTERM]


@pytest.mark.parametrize(("code", "complete"), [(OK, True), (FAILED, False), (UNFINISHED, False)])
def test_a_result_says_whether_all_has_run(monkeypatch, code, complete, tmp_path):
    monkeypatch.setattr(notebook_run, "carry_out", lambda *_: code)
    result = ls.run(SWEEP, results=tmp_path)
    assert (result.complete, result.folder, result.sweep) == (complete, tmp_path, "made_up")


def test_a_sweep_that_broke_off_is_one_line(monkeypatch):
    def carry_out(sweep, options, frontend):
        raise BrokenOffError("Ray has died; run the same command with --results elsewhere")

    monkeypatch.setattr(notebook_run, "carry_out", carry_out)
    with pytest.raises(ls.Error, match=r"^Ray has died; run the same command with results elsewhere$") as error:
        ls.run(SWEEP)
    assert error.value.__context__ is None


def test_every_option_is_in_the_signature_for_completion():
    names = [*inspect.signature(ls.run).parameters]
    expected = {f.name for f in fields(Options)} - {"cluster", "fetch"}
    assert names[0] == "sweep"
    assert {"arm" if name == "arms" else name for name in names[1:]} == expected
