"""What slots report becomes rows; read back from Parquet, worked out by hand."""

import json
from dataclasses import replace

import made_up
import polars as pl
import pytest

from layersweep.records.read import read
from layersweep.records.tables import TABLES
from layersweep.records.write import Writer
from layersweep.tuning.common.worker_report import Error, Report, unpack
from layersweep.tuning.driver.record_builder import RecordBuilder, RecordContext
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.asha_settings import GO_ON, Decision
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import Ending, Trial
from layersweep.tuning.storage.history import History
from trainables import config as domains
from trainables.worker.training_server import Begin

CONTEXT = RecordContext(run="r1", family="made_up", metric="val_accuracy", next_sequence=7)


@pytest.fixture
def data(tmp_path):
    return made_up.data(tmp_path, train_images=64)


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "results", "s", config_types=domains.types(made_up.Config))


@pytest.fixture
def builder(writer):
    return RecordBuilder(writer, CONTEXT)


def make(data, epochs=2, **config):
    arm = Arm(name="one", config=made_up.Config(**config))
    return Trial(
        trial_id="t1", arm=arm, question="comparison", seed=3, epochs=epochs, precision="float32", data=data
    )  # fmt: skip


def reports(trial, tmp_path, start=None):
    """What a slot would send, without the slot."""
    begin = Begin(
        family=made_up.CODE, config=trial.arm.values, data=trial.data, seed=trial.seed, epochs=trial.epochs,
        precision="float32", log=tmp_path / "log", start=start,
    )  # fmt: skip
    values = begin.values()
    common = {"host": "here", "device": "made-up", "log": "/logs/t1.log", "memory_peak_bytes": 1000}
    built = next(values)
    yield Report(
        network=built, epochs=(next(values),), seconds_start=2.0, seconds_import=4.0, seconds_close=0.5, **common
    )
    for epoch in values:
        yield Report(epochs=(epoch,), **common)


def tell(builder, trial, report, action="continue", rung=None, cutoff=None, busy=1, reason=None):
    decision = Decision(action=action, rung=rung, cutoff=cutoff, reason=reason)
    return builder.report(trial, report, [decision], busy_slots=busy)


def with_history(history, run):
    """The context of a later command, which knows what is recorded."""
    return replace(
        CONTEXT, run=run, next_sequence=history.sequence(), recorded_attempt=history.attempt,
        recorded_rows=history.rows_until,
    )  # fmt: skip


def from_records(writer, tmp_path, **more):
    """A builder that goes on behind what is recorded."""
    history = History(tmp_path / "results", Sweep(name="s", train=made_up.train, spaces=[]))
    return RecordBuilder(writer, with_history(history, **more))


def changed(report, **columns):
    """A report whose one epoch has other numbers."""
    return replace(report, epochs=(replace(report.epochs[0], **columns),))


def again(writer, trial, results):
    """The builder of a later command, which knows what is recorded."""
    history = History(results, Sweep(name="s", train=made_up.train, spaces=[], warm_up=made_up.WARM_UP))
    return RecordBuilder(writer, with_history(history, run="r2"))


def run(builder, trial, tmp_path, epochs=None, start=0):
    """Trains to the end, or for so many epochs; returns the ending."""
    checkpoint = None
    if start:
        checkpoint = tmp_path / "checkpoint.keras"
        made_up.save(start, checkpoint)
    builder.start(trial, start_epoch=start)
    for report, _ in zip(reports(trial, tmp_path, checkpoint), range(epochs or trial.epochs), strict=False):
        ending = tell(builder, trial, report)
    return ending


def test_a_completed_trial(builder, writer, data, tmp_path):
    trial = make(data)
    builder.plan([trial])
    builder.start(trial)
    first, second = reports(trial, tmp_path)
    assert tell(builder, trial, first) is None
    accuracy = 0.5 * 2 / 3 + 3 / 1000
    assert tell(builder, trial, second) == Ending(outcome="completed", epoch=2, value=accuracy)
    writer.flush()
    results = tmp_path / "results"

    (plan,) = read(results, "plan").to_dicts()
    assert plan == {
        "sweep": "s", "run": "r1", "trial_id": "t1", "arm": "one", "question": "comparison", "seed": 3,
        "fold": None, "epochs": 2, "candidate": None, "parent": None,
        "config_json": json.dumps(trial.arm.stated, sort_keys=True),
    }  # fmt: skip
    epochs = read(results, "epochs")
    assert epochs["sequence"].to_list() == [7, 8]
    assert epochs["decision"].to_list() == ["continue", "last"]
    assert epochs["val_loss"].to_list() == [2.0, 1.0]
    (row,) = read(results, "trials").to_dicts()
    expected = {
        "outcome": "completed", "reason": None, "epochs": 2, "epochs_asked": 2, "last_val_accuracy": accuracy,
        "best_val_accuracy": accuracy, "best_epoch": 2, "quality": 0.5, "misdeed": "none", "batch_size": 32,
        "parameters": 12, "flops": 21, "size_bytes": 48, "latency_ms_min": 1.5, "latency_ms_median": 2.0,
        "latency_ms_p95": 3.0, "latency_n": 100, "latency_ratio": 2.5, "latency_ms_reference": 0.5,
        "latency_busy_slots": 1, "host": "here", "device": "made-up",
        "log": None, "seed": 3, "train_images": 64, "data_fingerprint": "f" * 16, "family": "made_up", "run": "r1",
        "seconds_start": 2.0, "seconds_import": 4.0, "seconds_close": 0.5, "seconds_build": 0.75,
        "seconds_train": 2.0, "seconds_validate": 0.25, "seconds_test": 0.0625, "seconds_measure": 0.0625,
    }  # fmt: skip
    assert {key: row[key] for key in expected} == expected
    assert builder.seconds["train"] == 2.0
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


def test_seconds_are_rounded_to_microseconds_and_metrics_are_not(builder, writer, data, tmp_path):
    trial = make(data, epochs=1)
    builder.start(trial)
    (report,) = reports(trial, tmp_path)
    spent = {f"seconds_{name}": 1.23456789 for name in ("build", "train", "validate", "test", "measure")}
    measured = {"loss": 1 / 3, "accuracy": 2 / 3, "val_loss": 1e-9 / 7, "val_accuracy": 0.1 + 0.2, "learning_rate": 0.7}
    tell(builder, trial, replace(changed(report, **spent, **measured), seconds_start=0.1234567))
    writer.flush()
    (epoch,) = read(tmp_path / "results", "epochs").to_dicts()
    assert {name: epoch[name] for name in spent} == dict.fromkeys(spent, 1.234568)
    assert {name: epoch[name] for name in measured} == measured
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["seconds_start"], row["seconds_train"], row["seconds_build"]) == (0.123457, 1.234568, 1.484568)
    assert (row["last_loss"], row["last_val_loss"]) == (1 / 3, 1e-9 / 7)


def test_a_stopped_trial_keeps_rung_and_cutoff_and_has_no_test(builder, writer, data, tmp_path):
    trial = make(data, epochs=4)
    builder.start(trial)
    first = next(reports(trial, tmp_path))
    ending = tell(builder, trial, first, action="stop", rung=1, cutoff=0.75)
    assert ending == Ending(outcome="stopped", epoch=1, value=0.25 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["rung"], row["cutoff"], row["epochs"]) == ("stopped", 1, 0.75, 1)
    assert row["reason"] == "its val_accuracy was behind the cutoff 0.7500 at epoch 1"
    assert row["latency_ms_median"] is None
    (epoch,) = read(tmp_path / "results", "epochs").to_dicts()
    assert (epoch["decision"], epoch["rung"], epoch["cutoff"]) == ("stop", 1, 0.75)
    assert read(tmp_path / "results", "tests").is_empty()


def test_the_fastest_training_is_remembered_by_whole_sound_epochs(builder, data, tmp_path):
    """21 operations an image forward, three times as many in a step, 64 images."""
    trial = make(data, epochs=4)
    builder.start(trial)
    first, second, third, _ = reports(trial, tmp_path)
    tell(builder, trial, first)
    assert builder.flops_per_second is None  # its first step was traced
    tell(builder, trial, changed(second, seconds_train=2.0))
    assert builder.flops_per_second == 3 * 21 * 64 / 2
    tell(builder, trial, changed(third, seconds_train=0.001, loss=float("nan")))
    assert builder.flops_per_second == 3 * 21 * 64 / 2


def test_a_trial_that_is_stopped_for_time_has_its_reason_and_no_rung(builder, writer, data, tmp_path):
    trial = make(data, epochs=3)
    builder.start(trial)
    first, *_ = reports(trial, tmp_path)
    ending = tell(builder, trial, first, action="stop", reason="the search's time, 20 min, was spent")
    assert ending == Ending(outcome="stopped", epoch=1, value=0.25 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["epochs"], row["rung"], row["cutoff"]) == ("stopped", 1, None, None)
    assert row["reason"] == "the search's time, 20 min, was spent"
    (epoch,) = read(tmp_path / "results", "epochs").to_dicts()
    assert (epoch["decision"], epoch["rung"]) == ("stop", None)


def test_one_that_is_stopped_for_time_while_it_trains_epochs_again_keeps_all_that_is_recorded(data, writer, tmp_path):
    trial = make(data, epochs=4)
    recorded = RecordBuilder(writer, replace(CONTEXT, run="r0", next_sequence=0))
    recorded.start(trial)
    for report in list(reports(trial, tmp_path))[:3]:
        tell(recorded, trial, report)
    writer.flush()
    again = from_records(writer, tmp_path, run="r1")
    again.start(trial)
    ending = tell(again, trial, next(reports(trial, tmp_path)), action="stop", reason="time")
    assert ending == Ending(outcome="stopped", epoch=3, value=0.5 * 3 / 4 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["epochs"], row["last_val_accuracy"]) == (3, 0.5 * 3 / 4 + 0.003)


def test_one_that_waited_to_go_on_and_is_not_run_is_a_row_with_what_is_recorded(data, writer, tmp_path):
    trial = make(data, epochs=4)
    recorded = RecordBuilder(writer, replace(CONTEXT, run="r0", next_sequence=0))
    assert recorded.drop(trial, "time") == Ending(outcome="stopped", epoch=0, value=None)
    recorded.start(trial)
    for report in list(reports(trial, tmp_path))[:2]:
        tell(recorded, trial, report)
    writer.flush()
    ending = from_records(writer, tmp_path, run="r1").drop(trial, "time")
    assert ending == Ending(outcome="stopped", epoch=2, value=0.5 * 2 / 3 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["run"], row["outcome"], row["epochs"], row["reason"]) == ("r1", "stopped", 2, "time")
    assert (row["quality"], row["epochs_asked"], row["dataset"]) == (0.5, 4, "none")


def test_divergence_is_an_outcome(builder, writer, data, tmp_path):
    trial = make(data, epochs=4, misdeed="nan")
    builder.start(trial)
    told = reports(trial, tmp_path)
    assert tell(builder, trial, next(told)) is None
    assert tell(builder, trial, next(told)).outcome == "diverged"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["epochs"]) == ("diverged", 2)
    assert row["reason"] == "the loss was NaN or infinite in epoch 2"


def test_a_failed_trial_keeps_its_error_and_its_epochs(builder, writer, data, tmp_path):
    trial = make(data, epochs=4)
    builder.start(trial)
    tell(builder, trial, next(reports(trial, tmp_path)))
    error = Error(type="ValueError", message="bad\nthing", traceback="Traceback …")
    failed = Report(host="here", device=None, log="/logs/t1.log", memory_peak_bytes=5, error=error)
    assert tell(builder, trial, failed) == Ending(outcome="failed", epoch=1, value=0.25 + 0.003)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["epochs"], row["error_type"], row["error_message"]) == (
        "failed", 1, "ValueError", "bad\nthing",
    )  # fmt: skip
    assert row["reason"] == "ValueError: bad"
    assert (row["traceback"], row["log"]) == ("Traceback …", "/logs/t1.log")


def test_a_training_that_ends_early_has_failed(builder, writer, data, tmp_path):
    trial = make(data, epochs=4)
    builder.start(trial)
    tell(builder, trial, next(reports(trial, tmp_path)))
    early = Report(host="here", device=None, log="l", memory_peak_bytes=5)
    assert tell(builder, trial, early).outcome == "failed"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert row["reason"] == "EndedEarly: the training ended after epoch 1 of 4"


def test_a_trial_whose_slot_died_before_its_first_report_is_a_row(builder, writer, data, tmp_path):
    trial = make(data)
    ending = builder.fail(trial, Error(type="SlotDied", message="the node went away"))
    assert ending == Ending(outcome="failed", epoch=0, value=None)
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["attempt"], row["epochs"], row["reason"]) == (
        "failed", 0, 0, "SlotDied: the node went away",
    )  # fmt: skip


def test_a_report_survives_its_journey(data, tmp_path):
    first = next(reports(make(data), tmp_path))
    assert unpack(first.pack()) == first


METRICS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


def keys(results, table):
    return sorted(read(results, table).select("trial_id", "attempt", "epoch").iter_rows())


def test_a_killed_trial_that_is_trained_again_leaves_each_epoch_once(builder, writer, data, tmp_path):
    trial, results = make(data, epochs=4), tmp_path / "results"
    run(builder, trial, tmp_path, epochs=2)
    writer.flush()
    assert run(again(writer, trial, results), trial, tmp_path).outcome == "completed"
    writer.flush()
    assert keys(results, "epochs") == [("t1", 0, e) for e in (1, 2, 3, 4)]
    assert keys(results, "layers") == [("t1", 0, e) for e in (1, 2, 3, 4)]
    assert read(results, "epochs")["sequence"].to_list() == [7, 8, 9, 10]
    (row,) = read(results, "trials").to_dicts()
    assert (row["attempt"], row["continuation"], row["epochs"], row["best_epoch"]) == (0, 0, 4, 4)
    assert row["seconds_train"] == 4.0  # of this command: what was trained again is paid for


def test_a_trial_that_goes_on_from_a_checkpoint_knows_the_epochs_before(builder, writer, data, tmp_path):
    trial, results = make(data, epochs=4), tmp_path / "results"
    run(builder, trial, tmp_path, epochs=3)
    writer.flush()
    run(again(writer, trial, results), trial, tmp_path, start=2)
    writer.flush()
    assert keys(results, "epochs") == [("t1", 0, e) for e in (1, 2, 3, 4)]
    (row,) = read(results, "trials").to_dicts()
    assert (row["epochs"], row["seconds_train"]) == (4, 2.0)


def test_rows_that_a_kill_kept_from_being_written_are_added(builder, writer, data, tmp_path):
    """The epochs of a flush are written before their layers."""
    trial, results = make(data, epochs=3), tmp_path / "results"
    run(builder, trial, tmp_path, epochs=2)
    writer.flush()
    for part in (results / "layers").rglob("*.parquet"):
        part.unlink()
    run(again(writer, trial, results), trial, tmp_path)
    writer.flush()
    assert keys(results, "epochs") == keys(results, "layers") == [("t1", 0, e) for e in (1, 2, 3)]


def test_more_epochs_go_on_the_same_attempt(builder, writer, data, tmp_path):
    results = tmp_path / "results"
    run(builder, make(data, epochs=2), tmp_path)
    writer.flush()
    longer = make(data, epochs=4)
    run(again(writer, longer, results), longer, tmp_path)
    writer.flush()
    assert keys(results, "epochs") == [("t1", 0, e) for e in (1, 2, 3, 4)]
    rows = read(results, "trials").select("attempt", "continuation", "outcome", "epochs", "epochs_asked").rows()
    assert rows == [(0, 0, "completed", 2, 2), (0, 1, "completed", 4, 4)]
    assert read(results, "tests")["epoch"].to_list() == [2, 4]


@pytest.mark.parametrize("start", [0, 1])
def test_epochs_that_differ_become_a_new_attempt_and_whole(builder, writer, data, tmp_path, start):
    """Another machine or version: epoch 1 is equal, epoch 2 is not."""
    trial, results = make(data, epochs=4), tmp_path / "results"
    run(builder, trial, tmp_path, epochs=3)
    writer.flush()
    later = again(writer, trial, results)
    checkpoint = tmp_path / "checkpoint.keras"
    made_up.save(1, checkpoint)
    later.start(trial, start_epoch=start)
    for report in reports(trial, tmp_path, checkpoint if start else None):
        (epoch,) = report.epochs
        tell(later, trial, changed(report, loss=epoch.loss if epoch.epoch == 1 else epoch.loss + 1e-15))
    writer.flush()
    epochs = read(results, "epochs").sort("attempt", "epoch")
    assert epochs.select("attempt", "epoch").rows() == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4)]
    assert epochs["sequence"].n_unique() == 7
    first, second = (epochs.filter(attempt=a).select(METRICS) for a in (0, 1))
    assert first.row(0) == second.row(0)
    assert second["loss"].to_list() == [1.0, *(1 / e + 1e-15 for e in (2, 3, 4))]
    assert keys(results, "layers") == [("t1", 0, e) for e in (1, 2, 3)] + [("t1", 1, e) for e in (1, 2, 3, 4)]
    (row,) = read(results, "trials").to_dicts()
    assert (row["attempt"], row["continuation"], row["epochs"]) == (1, 0, 4)


def test_a_retry_goes_on_what_failed_in_the_same_command(builder, writer, data, tmp_path):
    trial, results = make(data, epochs=3), tmp_path / "results"
    run(builder, trial, tmp_path, epochs=2)
    builder.fail(trial, Error(type="SlotDied", message="gone"))
    run(builder, trial, tmp_path)
    writer.flush()
    assert keys(results, "epochs") == [("t1", 0, e) for e in (1, 2, 3)]
    rows = read(results, "trials").select("continuation", "outcome", "epochs").rows()
    assert rows == [(0, "failed", 2), (1, "completed", 3)]


def chance(report, loss):
    return changed(report, loss=loss, accuracy=0.5, train_counts=made_up.AT_CHANCE)


@pytest.fixture
def patient(writer):
    return RecordBuilder(writer, replace(CONTEXT, next_sequence=0, keep_hopeless=True))


def test_a_hopeless_trial_is_named_and_ends(builder, writer, tmp_path):
    trial = make(made_up.data(tmp_path, train_images=32 * 250), epochs=4)
    builder.start(trial)
    first, second, *_ = (chance(r, 0.7) for r in reports(trial, tmp_path))
    assert builder.hopeless_reason(trial, first.epochs[0]) is None
    tell(builder, trial, first)
    reason = builder.hopeless_reason(trial, second.epochs[0])
    assert reason.startswith("at chance after 2 epochs: training accuracy .5000")
    assert tell(builder, trial, second, action="hopeless", reason=reason).outcome == "hopeless"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["outcome"], row["reason"], row["warning"], row["epochs"]) == ("hopeless", reason, None, 2)
    assert read(tmp_path / "results", "epochs")["decision"].to_list() == ["continue", "hopeless"]


def test_a_hopeless_trial_that_is_kept_is_warned_of(patient, writer, tmp_path):
    trial = make(made_up.data(tmp_path, train_images=32 * 250), epochs=2)
    patient.start(trial)
    for report in reports(trial, tmp_path):
        assert patient.hopeless_reason(trial, chance(report, 0.7).epochs[0]) is None
        ending = tell(patient, trial, chance(report, 0.7))
    assert ending.outcome == "completed"
    writer.flush()
    assert read(tmp_path / "results", "trials")["warning"][0].startswith("at chance after 2 epochs")


@pytest.mark.parametrize(("momentum", "cause"), [(0.99, "(momentum 0.99) lag behind after 4 steps"), (None, "check")])
def test_a_short_run_records_why_its_validation_is_at_chance(builder, writer, tmp_path, momentum, cause):
    """Two epochs of two steps: the first shows it, the last is recorded; the network comes with the first report."""
    trial = make(made_up.data(tmp_path, train_images=64), epochs=2)
    builder.start(trial)
    first, *later = (changed(report, val_counts=made_up.AT_CHANCE) for report in reports(trial, tmp_path))
    layers = (replace(first.network.layers[0], kind="Rescaling"),)
    first = replace(first, network=replace(first.network, layers=layers, normalization_momentum=momentum))
    for report in (first, *later):
        ending = tell(builder, trial, report)
        if ending is None:
            assert builder.running_trials[trial.trial_id].warning.startswith("validation is at chance after 1 epoch (")
    assert ending.outcome == "completed"
    writer.flush()
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert row["warning"].startswith("validation is at chance after 2 epochs (")
    assert cause in row["warning"]


def test_a_diverged_trial_that_is_kept_runs_on_and_has_diverged(patient, data, tmp_path):
    trial = make(data, epochs=3, misdeed="nan")
    told = reports(trial, tmp_path)
    patient.start(trial)
    assert [getattr(tell(patient, trial, report), "outcome", None) for report in told] == [None, None, "completed"]
    last = make(data, epochs=2, misdeed="nan")
    patient.start(last)
    assert [getattr(tell(patient, last, r), "outcome", None) for r in reports(last, tmp_path)] == [None, "diverged"]


def everything(results):
    times = pl.selectors.by_name("at", "started_at", "ended_at", require_all=False)
    return {name: str(read(results, name).drop(times).to_dicts()) for name in TABLES}


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_epochs_that_come_together_leave_the_records_of_epochs_that_come_alone(data, tmp_path, cut):
    trial, found = make(data, epochs=4), []
    for name in ("alone", "together"):
        writer = Writer(tmp_path / name, "s", config_types=domains.types(made_up.Config))
        builder = RecordBuilder(writer, replace(CONTEXT, next_sequence=0))
        builder.start(trial)
        told = list(reports(trial, tmp_path))
        if name == "together":
            several = tuple(epoch for report in told[:cut] for epoch in report.epochs)
            told = [replace(told[0], epochs=several), *told[cut:]]
        for report in told:
            ending = builder.report(trial, report, [GO_ON] * len(report.epochs), busy_slots=1)
        assert ending.outcome == "completed"
        writer.flush()
        found.append(everything(tmp_path / name) | {"seconds": builder.seconds})
    assert found[0] == found[1]


def test_epochs_behind_the_one_that_ends_the_trial_are_dropped(builder, writer, tmp_path):
    trial = make(made_up.data(tmp_path, train_images=32 * 250), epochs=4)
    builder.start(trial)
    told = [chance(r, 0.7) for r in reports(trial, tmp_path)][:3]
    epochs = tuple(r.epochs[0] for r in told)
    reasons = [builder.hopeless_reason(trial, epoch) for epoch in epochs[:2]]
    assert reasons[0] is None
    decisions = [GO_ON, Decision(action="hopeless", reason=reasons[1])]
    ending = builder.report(trial, replace(told[0], epochs=epochs), decisions, busy_slots=0)
    assert (ending.outcome, ending.epoch) == ("hopeless", 2)
    writer.flush()
    assert keys(tmp_path / "results", "epochs") == keys(tmp_path / "results", "layers") == [("t1", 0, 1), ("t1", 0, 2)]
    (row,) = read(tmp_path / "results", "trials").to_dicts()
    assert (row["epochs"], row["seconds_train"]) == (2, 2.0)


def test_no_test_is_computed_for_a_training_that_learns(builder, data, tmp_path, monkeypatch):
    monkeypatch.setattr("layersweep.tuning.driver.learning_check.p_value", lambda counts: pytest.fail("computed"))
    trial = make(data, epochs=3)
    builder.start(trial)
    for report in reports(trial, tmp_path):
        (epoch,) = report.epochs
        if epoch.epoch < trial.epochs:  # else Tune does not ask
            assert builder.hopeless_reason(trial, epoch) is None
        tell(builder, trial, report)
