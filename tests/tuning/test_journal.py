"""What slots report becomes rows; read back from Parquet, worked out by hand."""

import made_up
import pytest

from records.read import read
from records.write import Writer
from trainables import config as domains
from trainables.serve import Begin
from tuning.journal import Journal
from tuning.plan import Ending
from tuning.report import Error, Report, unpack
from tuning.sweep import Arm, Trial


@pytest.fixture
def data(tmp_path):
    return made_up.data(tmp_path, train_images=64)


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "results", "s", config_types=domains.types(made_up.Config))


@pytest.fixture
def journal(writer):
    return Journal(writer, run="r1", family="made_up", metric="val_accuracy", sequence=7)


def make(data, epochs=2, attempt=0, **config):
    arm = Arm(name="one", config=made_up.Config(**config))
    return Trial(
        trial_id="t1", arm=arm, question="comparison", seed=3, epochs=epochs, precision="float32", data=data,
        attempt=attempt,
    )  # fmt: skip


def reports(trial, tmp_path):
    """What a slot would send, without the slot."""
    begin = Begin(
        train=made_up.train, config=trial.arm.config, data=trial.data, seed=trial.seed, epochs=trial.epochs,
        precision="float32", log=tmp_path / "log",
    )  # fmt: skip
    values = begin.values()
    common = {"host": "here", "device": "made-up", "log": "/logs/t1.log", "memory_peak_bytes": 1000}
    built = next(values)
    yield Report(built=built, epoch=next(values), seconds_start=2.0, seconds_import=4.0, seconds_close=0.5, **common)
    for epoch in values:
        yield Report(epoch=epoch, **common)


def tell(journal, trial, report, action="continue", rung=None, cutoff=None, busy=1):
    return journal.reported(trial, report, action=action, rung=rung, cutoff=cutoff, busy=busy)


def test_a_completed_trial(journal, writer, data, tmp_path):
    trial = make(data)
    journal.planned([trial])
    journal.started(trial)
    first, second = reports(trial, tmp_path)
    assert tell(journal, trial, first) is None
    accuracy = 0.5 * 2 / 3 + 3 / 1000
    assert tell(journal, trial, second) == Ending(outcome="completed", epoch=2, value=accuracy)
    writer.flush()
    results = tmp_path / "results"

    (plan,) = read(results, "plan").to_dicts()
    assert plan == {
        "sweep": "s", "run": "r1", "trial_id": "t1", "arm": "one", "question": "comparison", "seed": 3,
        "fold": None, "epochs": 2,
    }  # fmt: skip
    epochs = read(results, "epochs")
    assert epochs["sequence"].to_list() == [7, 8]
    assert epochs["decision"].to_list() == ["continue", "last"]
    assert epochs["val_loss"].to_list() == [2.0, 1.0]
    (row,) = read(results, "trials").to_dicts()
    expected = {
        "outcome": "completed", "reason": None, "epochs": 2, "epochs_asked": 2, "last_val_accuracy": accuracy,
        "best_val_accuracy": accuracy, "best_epoch": 2, "quality": 0.5, "misdeed": "none", "batch_size": 32,
        "parameters": 12, "flops": 21, "size_bytes": 48, "latency_ms_median": 2.0, "latency_ms_p95": 3.0,
        "latency_n": 100, "latency_busy_slots": 1, "host": "here", "device": "made-up", "log": None, "seed": 3,
        "train_images": 64, "data_fingerprint": "f" * 16, "family": "made_up", "run": "r1",
        "seconds_start": 2.0, "seconds_import": 4.0, "seconds_close": 0.5, "seconds_build": 0.75,
        "seconds_train": 2.0, "seconds_validate": 0.25, "seconds_test": 0.0625, "seconds_measure": 0.0625,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert journal.seconds["train"] == 2.0
    (test,) = read(results, "tests").to_dicts()
    assert (test["epoch"], test["loss"], test["accuracy"], test["images"]) == (2, 0.5, 0.75, 2)
    (report,) = read(results, "classes").to_dicts()
    assert (report["set_name"], report["class_name"], report["recall"], report["predicted"]) == (
        "test",
        "a",
        0.5,
        [1, 1],
    )
    layers = read(results, "layers")
    assert layers["epoch"].to_list() == [1, 2]
    assert layers.select("name", "kind", "filters", "parameters", "dead_share").row(0) == (
        "dense",
        "Dense",
        3,
        12,
        0.25,
    )


def test_a_stopped_trial_keeps_rung_and_cutoff_and_has_no_test(journal, writer, data, tmp_path):
    trial = make(data, epochs=4)
    journal.started(trial)
    first = next(reports(trial, tmp_path))
    ending = tell(journal, trial, first, action="stop", rung=1, cutoff=0.75)
    assert ending == Ending(outcome="stopped", epoch=1, value=0.25 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["rung"], row["cutoff"], row["epochs"]) == ("stopped", 1, 0.75, 1)
    assert row["reason"] == "its val_accuracy was behind the cutoff 0.7500 at epoch 1"
    assert row["latency_ms_median"] is None
    (epoch,) = read(tmp_path / "results", "epochs").to_dicts()
    assert (epoch["decision"], epoch["rung"], epoch["cutoff"]) == ("stop", 1, 0.75)
    assert read(tmp_path / "results", "tests").is_empty()


def test_divergence_is_an_outcome(journal, writer, data, tmp_path):
    trial = make(data, epochs=4, misdeed="nan")
    journal.started(trial)
    told = reports(trial, tmp_path)
    assert tell(journal, trial, next(told)) is None
    assert tell(journal, trial, next(told)).outcome == "diverged"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["epochs"]) == ("diverged", 2)
    assert row["reason"] == "the loss was NaN or infinite in epoch 2"


def test_a_failed_trial_keeps_its_error_and_its_epochs(journal, writer, data, tmp_path):
    trial = make(data, epochs=4)
    journal.started(trial)
    tell(journal, trial, next(reports(trial, tmp_path)))
    error = Error(type="ValueError", message="bad\nthing", traceback="Traceback …")
    failed = Report(host="here", device=None, log="/logs/t1.log", memory_peak_bytes=5, error=error)
    assert tell(journal, trial, failed) == Ending(outcome="failed", epoch=1, value=0.25 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["epochs"], row["error_type"], row["error_message"]) == (
        "failed", 1, "ValueError", "bad\nthing",
    )  # fmt: skip
    assert row["reason"] == "ValueError: bad"
    assert (row["traceback"], row["log"]) == ("Traceback …", "/logs/t1.log")


def test_a_training_that_ends_early_has_failed(journal, writer, data, tmp_path):
    trial = make(data, epochs=4)
    journal.started(trial)
    tell(journal, trial, next(reports(trial, tmp_path)))
    early = Report(host="here", device=None, log="l", memory_peak_bytes=5)
    assert tell(journal, trial, early).outcome == "failed"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert row["reason"] == "EndedEarly: the training ended after epoch 1 of 4"


def test_a_trial_whose_slot_died_before_its_first_report_is_a_row(journal, writer, data, tmp_path):
    trial = make(data, attempt=2)
    ending = journal.lost(trial, Error(type="SlotDied", message="the node went away"))
    assert ending == Ending(outcome="failed", epoch=0, value=None)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["attempt"], row["epochs"], row["reason"]) == (
        "failed", 2, 0, "SlotDied: the node went away",
    )  # fmt: skip


def test_a_report_survives_its_journey(data, tmp_path):
    first = next(reports(make(data), tmp_path))
    assert unpack(first.pack()) == first
