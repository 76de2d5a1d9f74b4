"""What a command does besides its plan."""

import threading

import made_up

from layersweep.studies import study
from layersweep.tuning.driver import sweep_run
from layersweep.tuning.driver.sweep_run import SweepRun
from layersweep.tuning.experiment.sweep import Sweep


def opened(**options):
    sweep = Sweep(name="s", train=made_up.train, spaces=[{"quality": [0.5]}], warm_up=made_up.WARM_UP, **options)
    return SweepRun(sweep=sweep, settings=None, run_id="r", command="c", writer=None, journal=None)


def test_the_study_is_prepared_while_trials_run(monkeypatch):
    monkeypatch.setattr(sweep_run, "_TRIALS_RUN_SECONDS", 0.0)
    prepared = threading.Event()
    monkeypatch.setattr(study, "prepare", lambda sections: sections == ("costs",) and prepared.set())
    with opened(question="Why?", sections=("costs",))._study_prepared():
        assert prepared.wait(10)


def test_a_short_sweep_and_one_without_a_question_prepare_nothing(monkeypatch):
    prepared = threading.Event()
    monkeypatch.setattr(study, "prepare", lambda _sections: prepared.set())
    for options in ({"question": "Why?"}, {}):
        with opened(**options)._study_prepared():
            pass
    assert not prepared.is_set()
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer) and not t.finished.is_set()]
