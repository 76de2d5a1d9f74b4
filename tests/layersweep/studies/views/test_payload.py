"""The payload of a recorded sweep, with details, whatever is wrong with the records."""

import big_sweep
import pytest
from recorded_rows import curve, plan, record, run, trial

from layersweep.records.errors import ResultsError
from layersweep.records.read import parts
from layersweep.studies.statistics.judgement import LEADING
from layersweep.studies.views import payload, payload_of


def test_details_of_failed_trials_come_first(tmp_path, monkeypatch):
    results = big_sweep.write(tmp_path, trials=400, epochs=3)
    monkeypatch.setattr(payload, "_MOST_DETAILS", 20)
    page = payload_of(results, "big")
    state = dict(zip(page["trials"]["id"], page["trials"]["state"], strict=True))
    failed = [name for name in state if state[name] == "failed"]
    assert 0 < len(failed) < 20
    assert {*failed} <= {*page["details"]}
    assert len(page["details"]) == 20
    detail = page["details"][failed[0]]
    assert detail["traceback"].endswith("ValueError: made to fail")
    assert detail["log"].startswith("line\n")
    others = [name for name in page["details"] if name not in failed]
    arms = dict(zip(page["trials"]["id"], page["trials"]["arm"], strict=True))
    leader = next(place for place, row in enumerate(page["arms"]["rows"]) if row["verdict"] in LEADING)
    assert {arms[name] for name in others} == {leader}  # which has more trainings than there is room for
    assert page["details"][others[0]]["config"][0][1:] == [page["details"][others[0]]["config"][0][2]] * 2


def test_a_damaged_part_is_a_note(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], epochs=curve("aa", 0.5), trials=[trial("aa", epochs=1)])
    record(tmp_path, "s", epochs=curve("aa", 0.6, first=2))
    last = parts(tmp_path / "epochs" / "s")[-1]
    last.write_bytes(last.read_bytes()[:-9])
    page = payload_of(tmp_path, "s")
    assert [note for note in page["notes"] if "is damaged" in note and str(last) in note]
    assert page["curves"]["aa"]["v"] == [0.5]


@pytest.mark.parametrize("table", ["classes", "layers"])
def test_a_damaged_part_of_a_table_that_is_read_last_is_a_note_too(tmp_path, table):
    ids = {"trial_id": "aa", "attempt": 0, "epoch": 1}
    record(
        tmp_path, "s", plan=[plan("aa")], epochs=curve("aa", 0.5), trials=[trial("aa", epochs=1)],
        classes=[ids | {"set_name": "validation", "class_index": 0}], layers=[ids | {"index": 0}],
    )  # fmt: skip
    (part,) = parts(tmp_path / table / "s")
    part.write_bytes(b"no parquet")
    notes = payload_of(tmp_path, "s")["notes"]
    assert len([note for note in notes if f"{part} is damaged" in note]) == 1


def test_a_missing_epoch_in_the_middle(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], epochs=[*curve("aa", 0.5), *curve("aa", 0.7, 0.8, first=3)])
    assert payload_of(tmp_path, "s")["curves"]["aa"] == {
        "first": 1, "v": [0.5, None, 0.7, 0.8], "t": [None] * 4, "s": [0.0, None, 0.0, 0.0],
    }  # fmt: skip


def test_trials_of_another_sweep(tmp_path):
    record(tmp_path, "other", plan=[plan("aa")], epochs=curve("aa", 0.5, 0.6), trials=[trial("aa")])
    record(tmp_path, "s", plan=[plan("aa"), plan("bb", seed=2)])
    page = payload_of(tmp_path, "s")
    assert page["trials"]["state"] == ["completed", "unfinished"]
    assert page["curves"]["aa"]["v"] == [0.5, 0.6]
    assert [row["outcome"] for row in page["details"]["aa"]["attempts"]] == ["completed"]


def test_a_sweep_that_runs(tmp_path, monkeypatch):
    record(tmp_path, "s", plan=[plan("aa"), plan("bb")], runs=[run(first_sequence=0, slots=1)],
           epochs=[row | {"sequence": 0} for row in curve("aa", 0.5)])  # fmt: skip
    assert payload_of(tmp_path, "s")["state"]["sentence"].startswith("killed or interrupted")
    for module in ("studies.views.payload", "records.lock"):  # this process's own lock does not count
        monkeypatch.setattr(f"layersweep.{module}.is_busy", lambda results, sweep: True)
    page = payload_of(tmp_path, "s")
    assert page["trials"]["state"] == ["running", "waiting"]
    assert page["state"]["look"] == "The sweep runs: the verdicts are about what it has recorded by now."
    assert "run the sweep again" not in " ".join(page["notes"])


def test_an_unknown_sweep(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")])
    with pytest.raises(ResultsError, match=r"no results of sweep 'none' .*recorded sweeps: s"):
        payload_of(tmp_path, "none")


def test_records_of_a_newer_schema(tmp_path, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr("layersweep.records.write.SCHEMA_VERSION", 99)
        record(tmp_path, "s", plan=[plan("aa")])
    with pytest.raises(ResultsError, match="use a newer Layersweep"):
        payload_of(tmp_path, "s")
