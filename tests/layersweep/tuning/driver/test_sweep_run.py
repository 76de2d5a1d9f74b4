"""What a command does besides its plan."""

import threading

import made_up

from layersweep.studies import study
from layersweep.tuning.driver import sweep_run
from layersweep.tuning.driver.sweep_run import study_imported
from layersweep.tuning.experiment.sweep import Sweep


def sweep(**options):
    return Sweep(name="s", train=made_up.train, spaces=[{"quality": [0.5]}], warm_up=made_up.WARM_UP, **options)


def test_the_study_is_prepared_while_trials_run(monkeypatch):
    monkeypatch.setattr(sweep_run, "STUDY_IMPORT_SECONDS", 0.0)
    prepared = threading.Event()
    monkeypatch.setattr(study, "import_modules", lambda sections: sections == ("costs",) and prepared.set())
    with study_imported(sweep(question="Why?", sections=("costs",))):
        assert prepared.wait(10)


def test_a_short_sweep_and_one_without_a_question_prepare_nothing(monkeypatch):
    prepared = threading.Event()
    monkeypatch.setattr(study, "import_modules", lambda _sections: prepared.set())
    for options in ({"question": "Why?"}, {}):
        with study_imported(sweep(**options)):
            pass
    assert not prepared.is_set()
    assert not [t for t in threading.enumerate() if isinstance(t, threading.Timer) and not t.finished.is_set()]
