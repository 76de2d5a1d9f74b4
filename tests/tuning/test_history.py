"""What earlier commands recorded decides what a new one runs."""

from pathlib import Path

import made_up
import pytest

from records.tables import COMPARISON, SCREENING
from records.write import Writer
from trainables import config as domains
from tuning.history import next_sequence, recorded, seconds_per_image
from tuning.plan import Ending
from tuning.sweep import Arm, Sweep, Trial

SWEEP = Sweep(name="s", train=made_up.train, spaces=[{"quality": [0.5]}], warm_up=made_up.warm_up)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def trial(name="t", question=COMPARISON, epochs=4):
    data = made_up.data(Path("/"), train_images=10)
    arm = Arm(name="a", config=made_up.Config())
    return Trial(trial_id=name, arm=arm, question=question, seed=0, epochs=epochs, precision="float32", data=data)


def write(results, table, **columns):
    with Writer(results, "s", config_types=domains.types(made_up.Config)) as writer:
        writer.append(table, [{"trial_id": "t", "attempt": 0} | columns])


def row(**columns):
    return {"epochs": 4, "epochs_asked": 4, "last_val_accuracy": 0.5, "family": "made_up", "train_images": 10} | columns


def test_nothing_recorded_means_everything_runs(results):
    history = recorded(results, SWEEP)
    assert history.ending(trial()) is None
    assert history.next_attempt("t") == 0
    assert next_sequence(results, "s") == 0
    assert seconds_per_image(results, "made_up") is None


def test_a_completed_trial_is_read_not_run(results):
    write(results, "trials", **row(outcome="completed"))
    assert recorded(results, SWEEP).ending(trial()) == Ending(outcome="completed", epoch=4, value=0.5)
    assert recorded(results, SWEEP).ending(trial(epochs=3)) is not None


def test_a_completed_trial_that_is_too_short_runs_as_a_new_attempt(results):
    write(results, "trials", **row(outcome="completed"))
    history = recorded(results, SWEEP)
    assert history.ending(trial(epochs=5)) is None
    assert history.next_attempt("t") == 1


def test_a_diverged_trial_is_not_run_again_and_a_failed_one_is(results):
    write(results, "trials", **row(outcome="diverged", epochs=2, last_val_accuracy=None))
    assert recorded(results, SWEEP).ending(trial()) == Ending(outcome="diverged", epoch=2, value=None)
    write(results, "trials", **row(outcome="failed", trial_id="u"))
    assert recorded(results, SWEEP).ending(trial("u")) is None


def test_a_stopped_trial_ends_a_screening_but_not_a_comparison(results):
    write(results, "trials", **row(outcome="stopped", epochs=2))
    history = recorded(results, SWEEP)
    assert history.ending(trial(question=SCREENING)) == Ending(outcome="stopped", epoch=2, value=0.5)
    assert history.ending(trial(question=SCREENING, epochs=8)) is None
    assert history.ending(trial(question=COMPARISON)) is None


def test_an_interrupted_trial_gets_a_new_attempt(results):
    write(results, "epochs", epoch=1, sequence=11, attempt=3)
    history = recorded(results, SWEEP)
    assert history.ending(trial()) is None
    assert history.next_attempt("t") == 4
    assert next_sequence(results, "s") == 12


def test_the_time_for_an_image_is_the_median_of_what_was_recorded(results):
    for k, seconds in enumerate([40.0, 80.0, 400.0]):
        spent = {"seconds_train": seconds - 1, "seconds_build": 1.0}
        write(results, "trials", **row(outcome="completed", attempt=k) | spent)
    # 4 epochs of 10 images: 1, 2 and 10 seconds an image
    assert seconds_per_image(results, "made_up") == pytest.approx(2.0)
