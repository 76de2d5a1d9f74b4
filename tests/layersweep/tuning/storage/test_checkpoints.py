"""Which checkpoint a trial goes on from, judged without loading it."""

import zipfile

import made_up
import pytest

from layersweep.tuning.storage import checkpoints


@pytest.fixture
def folder(tmp_path):
    made = checkpoints.folder_of(tmp_path)
    made.mkdir(parents=True)
    return made


def put(folder, epoch, trial_id="ab12"):
    path = folder / checkpoints.name(trial_id, epoch)
    made_up.save(epoch, path)
    return path


def test_the_last_one_that_the_records_reach_is_taken(folder):
    put(folder, 2)
    four = put(folder, 4)
    put(folder, 9, trial_id="ab1234")
    found, problems = checkpoints.find(folder, "ab12", recorded_epochs=4)
    assert (found.path, found.epoch, problems) == (four, 4, [])


def test_one_that_is_ahead_of_the_records_is_not(folder):
    put(folder, 2)
    ahead = put(folder, 4)
    found, problems = checkpoints.find(folder, "ab12", recorded_epochs=3)
    assert found.epoch == 2
    assert problems == [f"{ahead} is ahead of the records, which end at epoch 3"]


def test_there_may_be_none(tmp_path):
    assert checkpoints.find(tmp_path / "nowhere", "ab12", recorded_epochs=3) == (None, [])


def test_one_that_asks_for_a_password_is_damaged(folder):
    path = put(folder, 2)
    with zipfile.ZipFile(path) as file:
        headers = [info.header_offset for info in file.infolist()]
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[headers[0] + 6] |= 1
    content[central + 8] |= 1
    path.write_bytes(content)
    found, (problem,) = checkpoints.find(folder, "ab12", recorded_epochs=3)
    assert found is None
    assert "is damaged" in problem
    assert "encrypted" in problem


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_one_is_said(folder, share):
    path = put(folder, 2)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    found, (problem,) = checkpoints.find(folder, "ab12", recorded_epochs=3)
    assert found is None
    assert problem.startswith(f"{path} is damaged (")


def test_every_flipped_bit_of_its_content_is_noticed(folder):
    path = put(folder, 2)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("epoch")
    content = info.header_offset + 30 + len("epoch")
    for bit in range(8):
        path.write_bytes(whole[:content] + bytes([whole[content] ^ 1 << bit]) + whole[content + 1 :])
        assert "epoch does not match its checksum" in checkpoints.find(folder, "ab12", recorded_epochs=3)[1][0]


def test_one_of_another_keras_is_not_taken(folder, monkeypatch):
    path = put(folder, 2)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0")
    found, (problem,) = checkpoints.find(folder, "ab12", recorded_epochs=3)
    assert found is None
    assert problem.startswith(f"{path} was made by Keras 3.")
    assert problem.endswith("and 99.0 is installed")


def test_deleting_leaves_what_is_needed_and_what_is_of_others(folder):
    put(folder, 1)
    two, other = put(folder, 2), put(folder, 1, trial_id="ab1234")
    (folder / ".ab12-3.keras").write_bytes(b"half")
    checkpoints.delete(folder, "ab12", but=[two])
    assert sorted(folder.iterdir()) == [two, other]
    checkpoints.delete(folder, "ab12")
    assert sorted(folder.iterdir()) == [other]
