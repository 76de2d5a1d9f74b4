"""Slots on machines that do not see the driver's disk, without Ray: what they need comes, what they make goes home."""

import dataclasses
import os
from pathlib import Path

import made_up
import numpy as np
import pytest

from layersweep.records.errors import ResultsError
from layersweep.records.questions import FIRST_PHASE
from layersweep.tuning.common import kept_weights
from layersweep.tuning.common.worker_report import unpack
from layersweep.tuning.experiment.arm import Arm
from layersweep.tuning.experiment.trials import Trial
from layersweep.tuning.storage import checkpoints
from layersweep.tuning.worker import file_transfer, local_files, worker_actor
from layersweep.tuning.worker.assignment import Assignment
from layersweep.tuning.worker.file_transfer import DriverFiles
from layersweep.tuning.worker.local_files import LocalFiles, NotFetchedError
from layersweep.tuning.worker.worker_actor import Slot
from trainables.data import cache
from trainables.data import dataset as data_sets
from trainables.data.arrays import ARRAYS, Arrays

TRIAL_ID = "0123456789abcdef"


class Direct(DriverFiles):
    """The driver's files without Ray, which a slot on the same machine takes for another's."""

    def __init__(self):
        self.broken = False

    def is_shared(self):
        return False

    def call(self, function, *arguments, **options):
        if self.broken:
            raise OSError("the driver does not answer")
        return function(*arguments, **options)


@pytest.fixture
def disk(tmp_path):
    return Direct()


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """A data set in the driver's cache; the slot's is another."""
    there = tmp_path / "driver" / f"none-{'f' * 16}"
    there.parent.mkdir()
    arrays = {name: np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) for name in ARRAYS}
    cache.write(there, Arrays(**arrays, classes=("a", "b")))
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "cache here"))
    return dataclasses.replace(made_up.data(there), name="none")


@pytest.fixture
def ticket(tmp_path, disk, prepared, monkeypatch):
    monkeypatch.setattr(worker_actor, "_slots_on_this_machine", lambda _ticket: 1)
    monkeypatch.setattr(worker_actor, "PATIENCE_SECONDS", 0.0)
    home = tmp_path / "home"

    def make(*, question="comparison", misdeed="none", **more):
        trial = Trial(
            trial_id=TRIAL_ID, arm=Arm(name="a", config=made_up.Config(misdeed=misdeed)), question=question, seed=1,
            epochs=3, precision="float32", data=prepared,
        )  # fmt: skip
        fixed = {"family": made_up.CODE, "warm_up": made_up.WARM_UP, "log": home / "logs" / "t.log", "slots": 1}
        kept = {"checkpoints": home / ".state" / "checkpoints", "checkpoint_every": 60.0, "results": home}
        return Assignment(trial=trial, **fixed, **kept | more, driver_files=disk)

    return make


def trained(ticket):
    made = Slot({"assignment": ticket})
    results = []
    while not results or not results[-1]["done"]:
        results.append(made.step())
    made.cleanup()
    return [unpack(result["record"]) for result in results]


# data


def test_a_data_set_is_brought_once(prepared, tmp_path):
    pieces = []

    def piece(path, offset):
        pieces.append(path.name)
        return file_transfer._piece(path, offset)

    gone = tmp_path / "moved"
    prepared.folder.rename(gone)  # the other machine's path does not exist here
    brought = data_sets.local_copy(prepared, lambda path, offset: piece(gone / path.name, offset))
    assert brought == dataclasses.replace(prepared, folder=tmp_path / "cache here" / prepared.folder.name)
    for name in ARRAYS:
        np.testing.assert_array_equal(np.load(brought.folder / f"{name}.npy"), np.load(gone / f"{name}.npy"))
    number = len(pieces)
    assert data_sets.local_copy(prepared, piece) == brought
    assert len(pieces) == number


def test_a_data_set_that_is_seen_stays_where_it_is(prepared):
    assert data_sets.local_copy(prepared, lambda *_: pytest.fail("nothing is to be brought")) is prepared


def test_what_arrives_damaged_is_not_used(prepared, tmp_path):
    gone = tmp_path / "moved"
    prepared.folder.rename(gone)
    with pytest.raises(data_sets.DataError, match="damaged"):
        data_sets.local_copy(prepared, lambda path, offset: file_transfer._piece(gone / path.name, offset)[:-1])
    assert not (tmp_path / "cache here" / prepared.folder.name).exists()


# files


def test_files_travel_in_pieces_and_arrive_whole(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(file_transfer, "PIECE", 1000)
    content = os.urandom(2500)
    (tmp_path / "a").write_bytes(content)
    assert disk.fetch(tmp_path / "a", tmp_path / "there" / "b").read_bytes() == content
    disk.send(tmp_path / "there" / "b", tmp_path / "home" / "c")
    assert (tmp_path / "home" / "c").read_bytes() == content
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["c"]


def test_what_a_killed_slot_has_left_is_swept_up(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(local_files.tempfile, "gettempdir", lambda: str(tmp_path))
    at_work = LocalFiles(disk)
    (tmp_path / "layersweep-slot-killed" / "results").mkdir(parents=True)
    (tmp_path / "layersweep-slot-killed.lock").touch()  # a process that has died holds no lock
    other = LocalFiles(disk)
    assert {path.name for path in tmp_path.iterdir()} == {
        name for made in (at_work, other) for name in (made._folder.name, f"{made._folder.name}.lock")
    }
    at_work.close()
    other.close()
    assert not list(tmp_path.iterdir())


# a slot elsewhere


def test_a_training_elsewhere_is_the_same_and_leaves_nothing_at_home(ticket, tmp_path):
    reports = trained(ticket())
    assert [epoch.epoch for report in reports for epoch in report.epochs] == [1, 2, 3]
    assert reports[-1].log == str(tmp_path / "home" / "logs" / "t.log")
    assert not (tmp_path / "home").exists()


def test_what_a_training_elsewhere_says_comes_home(ticket, tmp_path):
    trained(ticket(misdeed="talk"))
    assert (tmp_path / "home" / "logs" / "t.log").read_text() == "something was said\n"


def test_an_error_elsewhere_is_in_the_log_at_home(ticket, tmp_path):
    report = trained(ticket(misdeed="raise"))[-1]
    assert report.error.type == "ValueError"
    assert "made to fail" in (tmp_path / "home" / "logs" / "t.log").read_text()


def test_checkpoints_come_home_the_last_two_alone(ticket, tmp_path):
    trained(ticket(checkpoint_every=0.0))
    there = sorted(path.name for path in (tmp_path / "home" / ".state" / "checkpoints").iterdir())
    assert there == [checkpoints.name(TRIAL_ID, 1), checkpoints.name(TRIAL_ID, 2)]


def test_a_trial_goes_on_elsewhere_from_a_checkpoint_at_home(ticket, tmp_path):
    start = tmp_path / "home" / checkpoints.name(TRIAL_ID, 2)
    start.parent.mkdir()
    made_up.save(2, start)
    reports = trained(ticket(start=start, start_epoch=2))
    assert [epoch.epoch for report in reports for epoch in report.epochs] == [3]


def test_weights_that_are_kept_come_home(ticket, tmp_path):
    trained(ticket(keep_weights="best"))
    assert [path.name for path in kept_weights.folder_of(tmp_path / "home").iterdir()] == [f"{TRIAL_ID}-3.keras"]


def test_a_child_begins_elsewhere_with_its_first_phases_weights(ticket, tmp_path):
    trained(ticket(question=FIRST_PHASE, keep_weights="last"))
    parent = kept_weights.file(tmp_path / "home", TRIAL_ID, 3)
    trained(ticket(parent=parent))
    assert f"begins with epoch 3 of {parent.name}" in (tmp_path / "home" / "logs" / "t.log").read_text()


def test_what_cannot_be_brought_is_a_row_that_says_so(ticket, tmp_path):
    report = trained(ticket(start=tmp_path / "none.keras", start_epoch=2))[-1]
    assert report.error.type == "NotFetched"
    assert "none.keras" in report.error.message


def test_a_checkpoint_that_does_not_come_home_is_a_warning(ticket, disk, tmp_path):
    made = Slot({"assignment": ticket(checkpoint_every=0.0)})
    made.step()
    disk.broken = True
    report = unpack(made.step()["record"])
    assert report.problem == (
        f"{TRIAL_ID}-1.keras could not be copied to {tmp_path}/home/.state/checkpoints: the driver does not answer"
    )
    assert [epoch.epoch for epoch in report.epochs] == [2]
    made.cleanup()


def test_a_slot_that_sees_the_results_works_there(ticket, disk, tmp_path, monkeypatch):
    monkeypatch.setattr(Direct, "is_shared", lambda _self: True)
    disk.broken = True
    trained(ticket(keep_weights="last"))
    assert [path.name for path in kept_weights.folder_of(tmp_path / "home").iterdir()] == [f"{TRIAL_ID}-3.keras"]


def test_it_gets_the_data_set_all_the_same_since_caches_are_each_machines_own(ticket, prepared, tmp_path, monkeypatch):
    gone = tmp_path / "moved"
    prepared.folder.rename(gone)
    monkeypatch.setattr(Direct, "is_shared", lambda _self: True)
    monkeypatch.setattr(Direct, "piece", lambda _self, path, offset: file_transfer._piece(gone / path.name, offset))
    made = Slot({"assignment": ticket()})
    made._localize()
    made.cleanup()
    assert made.state.local.trial.data.folder == tmp_path / "cache here" / prepared.folder.name
    assert made.state.local.trial.data.folder.is_dir()
    assert made.state.local.results == tmp_path / "home"


def test_a_file_that_is_not_there_is_named(disk, tmp_path, ticket):
    place = LocalFiles(disk)
    with pytest.raises(NotFetchedError, match=r"could not be copied to this machine: .*none.keras"):
        place.localized(ticket(parent=tmp_path / "none.keras"))
    place.close()


def test_a_results_folder_that_cannot_be_written_is_an_error_of_the_results():
    with pytest.raises(ResultsError, match=r"cannot write /proc/results/.state/here-s-"):
        DriverFiles(Path("/proc/results"), "s")
