"""Requests to a running sweep: put whole, read with distrust, in their order."""

import json
import os
from datetime import datetime

import pytest

from layersweep.records import requests
from layersweep.records.errors import ResultsError
from layersweep.records.requests import ADD_SEEDS, STOP_SWEEP, STOP_TRIAL, RequestWarning

ID = "20261130T120728584381-166294a1cef1f32b"
AT = "2026-11-30T12:07:28+00:00"
VALID = {
    "id": ID,
    "sweep": "s",
    "action": STOP_SWEEP,
    "trial_id": None,
    "seeds": None,
    "at": AT,
}


def put_file(results, text, name=f"{ID}.json"):
    file = requests.folder_of(results, "s") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())
    return file


def test_requests_come_in_the_order_in_which_they_were_put(tmp_path):
    put = [
        requests.put(tmp_path, "s", STOP_TRIAL, trial_id="0123456789abcdef"),
        requests.put(tmp_path, "s", ADD_SEEDS, seeds=3),
        requests.put(tmp_path, "s", STOP_SWEEP),
    ]
    requests.put(tmp_path, "other", STOP_SWEEP)
    assert requests.pending(tmp_path, "s") == put
    assert [r.text for r in put] == [
        "stop the trial 0123456789abcdef", "train 3 more seeds", "stop after the running trials",
    ]  # fmt: skip
    assert len({r.id.partition("-")[2] for r in put}) == 3
    requests.remove(tmp_path, put[1])
    requests.remove(tmp_path, put[1])
    assert requests.pending(tmp_path, "s") == [put[0], put[2]]


def test_without_requests_there_are_none(tmp_path):
    assert requests.pending(tmp_path, "s") == []
    assert not (tmp_path / ".state").exists()
    requests.folder_of(tmp_path, "s").mkdir(parents=True)
    assert requests.pending(tmp_path, "s") == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"action": "delete"}, "action 'delete' is not valid; valid: stop_trial, stop_sweep, add_seeds"),
        ({"action": STOP_TRIAL}, "trial_id None is not valid; valid: one with stop_trial only"),
        ({"action": STOP_TRIAL, "trial_id": "../x"}, "trial_id '../x' is not valid"),
        ({"action": STOP_SWEEP, "trial_id": "a1"}, "trial_id 'a1' is not valid"),
        ({"action": ADD_SEEDS}, "seeds None is not valid"),
        ({"action": ADD_SEEDS, "seeds": 0}, "seeds 0 is not valid; valid: 1 to 1,000"),
        ({"action": ADD_SEEDS, "seeds": True}, "seeds True is not valid"),
        ({"action": ADD_SEEDS, "seeds": 10**500}, "seeds 1000"),
        ({"action": STOP_SWEEP, "sweep": ".."}, "sweep '..' is not valid"),
        ({"action": STOP_SWEEP, "sweep": "a/b"}, "sweep 'a/b' is not valid"),
    ],
)
def test_a_request_that_is_not_valid_is_refused(tmp_path, values, said):
    with pytest.raises(ResultsError, match=said):
        requests.put(tmp_path, values.pop("sweep", "s"), values.pop("action"), **values)
    assert list(tmp_path.iterdir()) == []


def test_there_must_be_results(tmp_path):
    with pytest.raises(ResultsError, match="there is no results folder"):
        requests.put(tmp_path / "none", "s", STOP_SWEEP)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"null", b"[]", b"{", b"[" * 9_000, b"\xff\xfe", b'"' + b"x" * 10_000, b"1" * 5_000,
        json.dumps(VALID).encode() + b" " * 10_000,
        VALID | {"action": "rm"}, VALID | {"sweep": "other"}, VALID | {"id": f"{ID[:-1]}0"}, VALID | {"more": 1},
        VALID | {"at": 5}, VALID | {"at": "2026-11-30T12:07:28"}, VALID | {"seeds": 2},
        VALID | {"action": STOP_TRIAL, "trial_id": 7}, VALID | {"action": ADD_SEEDS, "seeds": 1e3},
        VALID | {"action": ["stop_sweep"]}, VALID | {"sweep": None},
    ],
)  # fmt: skip
def test_a_file_that_is_no_request_is_removed_and_named(tmp_path, text):
    file = put_file(tmp_path, text)
    valid = requests.put(tmp_path, "s", STOP_SWEEP)
    with pytest.warns(RequestWarning, match=f"{file.name}.* is no valid request.*; removed"):
        assert requests.pending(tmp_path, "s") == [valid]
    assert not file.exists()
    assert requests.pending(tmp_path, "s") == [valid]


def test_the_valid_one_of_these_is_one(tmp_path):
    put_file(tmp_path, VALID)
    (request,) = requests.pending(tmp_path, "s")
    assert request.at == datetime.fromisoformat(AT)


def test_links_pipes_and_folders_are_no_requests(tmp_path):
    target = put_file(tmp_path, VALID)
    folder = target.parent
    secret = target.rename(tmp_path / "secret")
    target.symlink_to(secret)
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    warned = []
    assert requests.pending(tmp_path, "s", warn=warned.append) == []
    assert [text.split("'")[1] for text in warned] == [str(folder / name) for name in (target.name, "folder", "pipe")]
    assert "it is no regular file" in warned[2]
    assert secret.exists()
    assert [path.name for path in folder.iterdir()] == ["folder"]


def test_a_request_that_is_being_written_is_left(tmp_path):
    file = put_file(tmp_path, b"{", name=f".{ID}.json.tmp")
    assert requests.pending(tmp_path, "s") == []
    assert file.exists()


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    put_file(tmp_path, VALID)

    def stale(_path):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("pathlib.Path.iterdir", stale)
    warned = []
    assert requests.pending(tmp_path, "s", warn=warned.append) == []
    assert "the requests to the sweep cannot be read" in warned[0]


def test_a_file_has_the_rights_of_the_other_files(tmp_path):
    request = requests.put(tmp_path, "s", STOP_SWEEP)
    other = tmp_path / "other"
    other.write_text("")
    file = requests.folder_of(tmp_path, "s") / f"{request.id}.json"
    assert file.stat().st_mode == other.stat().st_mode
    assert [path.name for path in file.parent.iterdir()] == [file.name]
