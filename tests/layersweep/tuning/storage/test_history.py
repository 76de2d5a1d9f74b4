"""What earlier commands recorded decides what a new one runs, and from where."""

import json
from datetime import UTC, datetime
from pathlib import Path

import made_up
import pytest

from layersweep.records.questions import COMPARISON, SCREENING
from layersweep.records.write import Writer
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import Decision
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage.history import History
from layersweep.tuning.storage.recorded_attempt import ALONGSIDE, RecordedAttempt
from trainables import config as domains

SWEEP = Sweep(name="s", train=made_up.train, spaces=[{"quality": [0.5]}], warm_up=made_up.WARM_UP)
METRICS = {"loss": 1.0, "accuracy": 0.1, "val_loss": 2.0, "learning_rate": 0.5}
STOP = Decision(action="stop", rung=2, cutoff=0.75)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def trial(name="t", question=COMPARISON, epochs=4):
    data = made_up.data(Path("/"), train_images=10)
    arm = Arm(name="a", config=made_up.Config())
    return Trial(trial_id=name, arm=arm, question=question, seed=0, epochs=epochs, precision="float32", data=data)


def write(results, table, *rows, sweep="s", **columns):
    with Writer(results, sweep, config_types=domains.types(made_up.Config)) as writer:
        writer.append(table, [{"trial_id": "t", "attempt": 0} | columns | row for row in rows or [{}]])


def epochs(results, *numbers, sequence=0, **columns):
    made = [METRICS | {"epoch": n, "sequence": sequence + n, "val_accuracy": n / 10} for n in numbers]
    write(results, "epochs", *made, **{"decision": "continue"} | columns)


def at(hour):
    return datetime(2026, 11, 21, hour, tzinfo=UTC)


def end(results, outcome, reached, **columns):
    """A trial's end, with its epochs."""
    row = {"epochs": reached, "epochs_asked": 4, "family": "made_up", "dataset": "none", "train_images": 10}
    write(results, "trials", row | {"continuation": 0, "outcome": outcome} | columns)


def test_nothing_recorded_means_everything_runs(results):
    history = History(results, SWEEP)
    assert history.ending(trial()) is None
    assert history.attempt("t") == RecordedAttempt(alongside=dict.fromkeys(ALONGSIDE, frozenset()))
    assert history.sequence() == 0
    assert history.seconds_per_image("made_up", "none", 0) is None
    assert history.other_meaning(1) is None


def test_a_completed_trial_is_read_not_run(results):
    epochs(results, 1, 2, 3, 4)
    end(results, "completed", 4)
    assert History(results, SWEEP).ending(trial()) == Ending(outcome="completed", epoch=4, value=0.4)
    assert History(results, SWEEP).ending(trial(epochs=3)) == Ending(outcome="completed", epoch=3, value=0.3)


def test_a_trial_that_another_sweep_trained_is_read_as_well(results):
    epochs(results, 1, 2, 3, 4, sweep="other")
    end(results, "completed", 4, sweep="other")
    history = History(results, SWEEP)
    assert history.ending(trial()) == Ending(outcome="completed", epoch=4, value=0.4)
    assert history.sequence() == 0  # that is the other's count


def test_a_completed_trial_that_lost_an_epoch_to_damage_is_trained_again(results):
    epochs(results, 1, 2, 4)
    end(results, "completed", 4)
    history = History(results, SWEEP)
    assert history.ending(trial()) is None
    assert (history.attempt("t").last, set(history.attempt("t").epochs)) == (2, {1, 2, 4})


def test_a_completed_trial_that_is_too_short_goes_on_as_the_same_attempt(results):
    epochs(results, 1, 2, 3, 4)
    end(results, "completed", 4)
    history = History(results, SWEEP)
    assert history.ending(trial(epochs=5)) is None
    past = history.attempt("t")
    assert (past.attempt, past.continuation, past.fresh, past.last) == (0, 1, 1, 4)
    assert past.epochs[4] == METRICS | {"val_accuracy": 0.4}


def test_a_diverged_trial_is_not_run_again_and_a_failed_one_is(results):
    epochs(results, 1, 2)
    end(results, "diverged", 2)
    assert History(results, SWEEP).ending(trial()) == Ending(outcome="diverged", epoch=2, value=0.2)
    assert History(results, SWEEP).ending(trial(), keep_hopeless=True) is None
    assert History(results, SWEEP).ending(trial(epochs=2), keep_hopeless=True).outcome == "diverged"
    epochs(results, 1, 2, trial_id="u")
    end(results, "failed", 2, trial_id="u")
    assert History(results, SWEEP).ending(trial("u")) is None


def test_a_trial_that_failed_when_it_was_given_more_epochs_has_still_completed_the_first(results):
    epochs(results, 1, 2, 3)
    end(results, "completed", 2, epochs_asked=2)
    end(results, "failed", 3, continuation=1)
    history = History(results, SWEEP)
    assert history.ending(trial(epochs=2)) == Ending(outcome="completed", epoch=2, value=0.2)
    assert history.ending(trial(epochs=3)) is None


def test_a_hopeless_trial_is_run_again_only_if_such_are_kept(results):
    epochs(results, 1, 2)
    end(results, "hopeless", 2)
    history = History(results, SWEEP)
    assert history.ending(trial()) == Ending(outcome="hopeless", epoch=2, value=0.2)
    assert history.ending(trial(), keep_hopeless=True) is None


def test_a_stopped_trial_has_ended_only_if_it_would_be_stopped_now(results):
    epochs(results, 1, 2)
    end(results, "stopped", 2, rung=2, cutoff=0.75)
    history, screened = History(results, SWEEP), trial(question=SCREENING)
    assert history.ending(trial(question=COMPARISON)) is None
    assert history.ending(screened, decisions={1: Decision(action="continue"), 2: Decision(action="continue")}) is None
    stopped = history.ending(screened, decisions={2: STOP})
    assert stopped == Ending(outcome="stopped", epoch=2, value=0.2)
    assert history.missing_row(screened, stopped, STOP) is None


def test_a_short_trial_that_a_longer_screening_stops_gets_a_row_that_says_so(results):
    epochs(results, 1, 2, 3)
    later = {"last_val_accuracy": 0.3, "best_val_accuracy": 0.3, "best_epoch": 3, "latency_ms_median": 1.0}
    end(results, "completed", 3, epochs_asked=3, parameters=12, seconds_train=5.0, arm="a", **later)
    history, screened = History(results, SWEEP), trial(question=SCREENING)
    stopped = history.ending(screened, decisions={2: STOP})
    assert stopped == Ending(outcome="stopped", epoch=2, value=0.2)
    row = history.missing_row(screened, stopped, STOP)
    expected = {"outcome": "stopped", "continuation": 1, "rung": 2, "cutoff": 0.75, "epochs_asked": 4, "parameters": 12}
    expected |= {"epochs": 2, "last_val_accuracy": 0.2, "best_val_accuracy": 0.2, "best_epoch": 2}
    assert {key: row[key] for key in expected} == expected
    assert "latency_ms_median" not in row
    assert row["reason"] == "its val_accuracy was behind the cutoff 0.7500 at epoch 2"
    assert not [key for key in row if key.startswith("seconds_")]


def test_an_interrupted_trial_goes_on_where_it_was(results):
    epochs(results, 1, 2, attempt=3, sequence=10)
    write(results, "layers", {"epoch": 1, "index": 0}, attempt=3)
    history = History(results, SWEEP)
    assert history.ending(trial()) is None
    past = history.attempt("t")
    assert (past.attempt, past.continuation, past.fresh, past.last) == (3, 0, 4, 2)
    assert past.alongside == {"layers": {1}, "tests": set(), "classes": set(), "exports": set()}
    assert history.sequence() == 13


def test_an_attempt_that_was_begun_after_the_last_end_is_the_one_that_counts(results):
    epochs(results, 1, 2, 3, 4)
    end(results, "completed", 4)
    epochs(results, 1, attempt=1, sequence=4)
    history = History(results, SWEEP)
    assert history.ending(trial()) is None
    assert (history.attempt("t").attempt, history.attempt("t").continuation) == (1, 0)


def test_epochs_are_seen_in_their_order_each_once_and_those_of_others_when_they_were_recorded(results):
    """The clock of `u` stood wrong, an hour early: a sweep's own order is its sequence."""
    epochs(results, 1, 2, sequence=0, at=at(1))
    epochs(results, 1, 2, sequence=10, at=at(0), trial_id="u", decision="stop", rung=2, cutoff=0.5)
    epochs(results, 1, attempt=1, sequence=20, at=at(3))
    epochs(results, 1, sequence=0, at=at(2), trial_id="v", sweep="other")
    last = {"epoch": 3, "sequence": 40, "at": at(4), "val_accuracy": 0.9, "loss": float("nan")}
    write(results, "epochs", METRICS | last)
    seen = History(results, SWEEP).epochs_in_order(["t", "u", "v"])
    assert [(s.trial_id, s.epoch, s.value) for s in seen] == [
        ("t", 1, 0.1), ("t", 2, 0.2), ("u", 1, 0.1), ("u", 2, 0.2), ("v", 1, 0.1), ("t", 3, None),
    ]  # fmt: skip
    assert seen[3].decision == Decision(action="stop", rung=2, cutoff=0.5)


def test_what_another_sweep_recorded_before_this_one_began_is_seen_first(results):
    epochs(results, 1, sequence=50, at=at(1), trial_id="v", sweep="other")
    epochs(results, 1, sequence=0, at=at(2))
    assert [s.trial_id for s in History(results, SWEEP).epochs_in_order(["t", "v"])] == ["v", "t"]


def test_candidates_are_known_by_their_configurations_in_their_order(results):
    plan = {"arm": "x tuned", "question": "tuning", "attempt": None}
    for run, drawn in enumerate([(0.3, 0.1), (0.3, 0.1, 0.2)]):
        for k, quality in enumerate(drawn):
            row = plan | {"run": str(run), "trial_id": f"t{quality}", "candidate": k}
            del row["attempt"]
            with Writer(results, "s", config_types={}) as writer:
                writer.append("plan", [row | {"config_json": json.dumps({"quality": quality})}])
    with Writer(results, "s", config_types={}) as writer:
        odd = {"run": "9", "arm": "x tuned", "question": "tuning", "candidate": 7}
        writer.append("plan", [odd | {"trial_id": "old", "config_json": json.dumps({"gone": 1})}])
    found = History(results, SWEEP).candidates("x tuned", made_up.Config)
    assert [(i, n, c.quality) for i, n, c in found] == [("t0.3", 0, 0.3), ("t0.1", 1, 0.1), ("t0.2", 2, 0.2)]
    assert History(results, SWEEP).candidates("y tuned", made_up.Config) == []


@pytest.mark.parametrize("times", [(0, 1), (1, 0)], ids=["", "the clock was set back"])
def test_the_meaning_of_the_last_run_is_compared(results, times):
    for at, meaning in zip(times, (1, 2), strict=True):
        row = {
            "run": str(at),
            "event": "start",
            "at": datetime.fromtimestamp(at, UTC),
            "versions_json": json.dumps({"meaning": meaning}),
        }
        with Writer(results, "s", config_types={}) as writer:
            writer.append("runs", [row])
    assert History(results, SWEEP).other_meaning(2) is None
    assert History(results, SWEEP).other_meaning(3) == 2


def test_the_time_for_an_image_is_the_median_of_what_was_recorded(results):
    for k, seconds in enumerate([40.0, 80.0, 400.0]):
        end(results, "completed", 4, attempt=k, seconds_train=seconds - 1, seconds_build=1.0)
    end(results, "completed", 4, attempt=2, continuation=1, seconds_train=1.0)  # it paid for some of its epochs alone
    # 4 epochs of 10 images: 1, 2 and 10 seconds an image
    history = History(results, SWEEP)
    assert history.seconds_per_image("made_up", "none", 0) == pytest.approx(2.0)
    assert history.seconds_per_image("another", "none", 0) is None
    assert history.seconds_per_image("made_up", "another", 0) is None


def test_the_time_for_an_image_is_that_of_its_size(results):
    for size, seconds in ((32, 40.0), (64, 120.0), (None, 400.0)):
        row = {"trial_id": f"t{size}", "attempt": 0, "outcome": "completed", "family": "made_up", "dataset": "none"}
        more = {"epochs": 4, "continuation": 0, "train_images": 10, "seconds_train": seconds, "image_size": size}
        with Writer(results, "s", config_types={"image_size": int}) as writer:
            writer.append("trials", [row | more])
    history = History(results, SWEEP)
    assert [history.seconds_per_image("made_up", "none", size) for size in (32, 64, 0, 96)] == [1.0, 3.0, 10.0, None]


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def command(results, at):
    with Writer(results, "s", config_types={}) as writer:
        writer.append("runs", [{"run": str(at), "event": "start", "at": moment(at)}])


def seen_at(results, *pairs, **columns):
    """Epochs by number and time; each took 3 s, the first one of a training 5."""
    took = {"seconds_train": 2.0, "seconds_validate": 0.75, "seconds_measure": 0.25}
    made = [
        METRICS | took | {"epoch": n, "at": moment(at), "val_accuracy": n / 10, "seconds_build": 2.0 if n == 1 else 0.0}
        for n, at in pairs
    ]
    write(results, "epochs", *made, **{"decision": "continue", "sequence": 0} | columns)


def test_a_trial_ran_from_its_start_to_its_end(results):
    command(results, 100)
    seen_at(results, (1, 110), (2, 113))
    end(results, "completed", 2, started_at=moment(104), ended_at=moment(114))
    end(results, "failed", 0, trial_id="u", started_at=moment(120), ended_at=moment(121))
    end(results, "completed", 2, trial_id="v", started_at=moment(130), ended_at=moment(140))
    history = History(results, SWEEP)
    assert history.spans(["t", "u"]) == [(104.0, 114.0), (120.0, 121.0)]
    assert history.spans([]) == []


def test_what_was_killed_ran_from_the_beginning_of_its_first_epoch_in_each_command(results):
    command(results, 100)
    seen_at(results, (1, 110), (2, 120))
    command(results, 1000)
    seen_at(results, (3, 1010), (4, 1013))
    assert History(results, SWEEP).spans(["t"]) == [(105.0, 120.0), (1007.0, 1013.0)]


def test_what_was_killed_counts_also_once_it_has_ended(results):
    command(results, 100)
    seen_at(results, (1, 110), (2, 120))
    command(results, 1000)
    seen_at(results, (3, 1010))
    end(results, "completed", 3, started_at=moment(1002), ended_at=moment(1011))
    assert sorted(History(results, SWEEP).spans(["t"])) == [(105.0, 120.0), (1002.0, 1011.0)]


def test_what_goes_on_after_an_end_and_is_killed_counts_from_there(results):
    command(results, 100)
    seen_at(results, (1, 110), (2, 120))
    end(results, "failed", 2, started_at=moment(102), ended_at=moment(121))
    seen_at(results, (3, 150))
    assert History(results, SWEEP).spans(["t"]) == [(102.0, 121.0), (147.0, 150.0)]


def test_what_another_sweep_trained_took_none_of_this_ones_time(results):
    end(results, "completed", 2, sweep="other", started_at=moment(104), ended_at=moment(114))
    write(results, "epochs", METRICS | {"epoch": 1, "sequence": 0, "at": moment(110)}, sweep="other", trial_id="u")
    assert History(results, SWEEP).spans(["t", "u"]) == []


LATE = "the search's time, 20 min, was spent"


def test_a_candidate_that_was_stopped_for_time_stays_stopped_if_no_time_is_left(results):
    epochs(results, 1, 2)
    end(results, "stopped", 2, reason=LATE)
    history = History(results, SWEEP)
    assert history.ending(trial()) is None
    assert history.stop_at_recorded_end(trial(), LATE) == (Ending(outcome="stopped", epoch=2, value=0.2), None)


def test_a_candidate_that_was_killed_when_no_time_was_left_gets_a_row(results):
    epochs(results, 1, 2, attempt=3)
    stopped, row = History(results, SWEEP).stop_at_recorded_end(trial(), LATE)
    assert stopped == Ending(outcome="stopped", epoch=2, value=0.2)
    expected = {"outcome": "stopped", "reason": LATE, "epochs": 2, "attempt": 3, "continuation": 0, "epochs_asked": 4}
    assert {key: row[key] for key in expected} == expected
    assert row["best_val_accuracy"] == 0.2


def test_a_candidate_that_went_on_from_a_failure_gets_one_too_and_the_failure_itself_stays(results):
    epochs(results, 1, 2)
    end(results, "failed", 2)
    assert History(results, SWEEP).stop_at_recorded_end(trial(), LATE) == (
        Ending(outcome="failed", epoch=2, value=0.2),
        None,
    )
    epochs(results, 3, sequence=10)
    stopped, row = History(results, SWEEP).stop_at_recorded_end(trial(), LATE)
    assert (stopped.outcome, stopped.epoch, row["continuation"]) == ("stopped", 3, 1)


def test_a_candidate_that_never_began_has_no_row(results):
    assert History(results, SWEEP).stop_at_recorded_end(trial(), LATE) == (
        Ending(outcome="stopped", epoch=0, value=None),
        None,
    )


def test_the_fastest_training_is_that_of_an_epoch_of_this_sweep(results):
    """Of 5 operations an image and 10 images: 150 an epoch."""
    assert History(results, SWEEP).flops_per_second is None
    for name, sweep, seconds in (("t", "s", 2.0), ("u", "s", 4.0), ("v", "other", 0.5)):
        took = [{"epoch": 1, "seconds_build": 1.0, "seconds_train": 0.1}, {"epoch": 2, "seconds_train": seconds}]
        rows = [METRICS | {"val_accuracy": 0.5, "sequence": 0, "seconds_build": 0.0} | row for row in took]
        rows.append(
            METRICS | {"epoch": 3, "sequence": 0, "seconds_build": 0.0, "seconds_train": 0.1, "loss": float("nan")}
        )
        write(results, "epochs", *rows, trial_id=name, sweep=sweep)
        end(results, "completed", 3, trial_id=name, sweep=sweep, flops=5)
    assert History(results, SWEEP).flops_per_second == 75.0


def test_a_refused_candidate_is_known_by_its_error(results):
    refused = {"error_type": "TooSlow", "error_message": "said", "flops": 7}
    end(results, "failed", 0, **refused)
    end(results, "failed", 0, trial_id="u", error_type="ValueError")
    end(results, "failed", 0, trial_id="v", **refused)
    epochs(results, 1, trial_id="v")  # with more time it was trained
    history = History(results, SWEEP)
    found = history.refusal("t")
    assert (found.error.type, found.error.message, found.flops, found.train_images) == ("TooSlow", "said", 7, 10)
    assert [history.refusal(name) for name in ("u", "v", "w")] == [None, None, None]
