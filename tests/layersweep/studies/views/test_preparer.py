"""The payload of a page, for sweeps of each kind; and what an update costs."""

import json
from datetime import timedelta

import big_sweep
import pytest
from recorded_rows import START, curve, plan, record, run, trial
from recorded_sweep import Sweep
from searched_sweep import candidate
from tuned_sweep import default_arm, tune

from layersweep.records.live_records import LiveRecords
from layersweep.records.study_question import StudyQuestion
from layersweep.studies.recorded_comparison import ArmGroup, load
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.views import curves
from layersweep.studies.views.preparer import ViewPreparer

KEYS = {
    "sweep", "question", "metric", "higher", "epochs", "state", "answer", "cautions", "notes", "arms", "arm_names",
    "keys", "trials", "curves", "curves_note", "rungs", "slots", "effects", "importance", "importance_note", "pareto",
    "confusion", "provenance", "details", "sentences",
}  # fmt: skip
LIVE = {"is_running": True, "now": START + timedelta(seconds=100)}


def prepare(results, sweep="optimizers", *, compared=False, question=None, group=None, **more):
    question = question or StudyQuestion(text="Which?")
    records = LiveRecords(results, sweep)
    records.refresh()
    comparison = load(results, sweep, group, Criteria(metric=question.metric))[0] if compared else None
    payload = ViewPreparer(results, sweep, question, group=group).prepare(records.tables, comparison, **more)
    check(payload)
    return payload


def check(payload):
    """It has the keys of the contract, lists of equal length, places that exist, and nothing that JSON cannot carry."""
    assert {*payload} == KEYS
    json.dumps(payload, allow_nan=False)
    trials, arms = payload["trials"], payload["arms"]
    config = trials["config"]
    assert {len(column) for name, column in trials.items() if name != "config"} == {len(trials["id"])}
    assert [*config] == [key["name"] for key in payload["keys"]]
    assert all(len(column) == len(trials["id"]) for column in config.values())
    assert len({len(column) for column in payload["rungs"].values()}) == 1
    places = {*trials["arm"], *payload["rungs"]["arm"], *(one["arm"] for one in payload["confusion"])}
    assert all(0 <= place < len(payload["arm_names"]) for place in places)
    assert payload["arm_names"][: len(arms["rows"])] == [row["arm"] for row in arms["rows"]]
    assert all(len(row["cells"]) == len(row["values"]) == len(arms["columns"]) for row in arms["rows"])
    assert {*payload["curves"]} <= {*trials["id"]}
    for one in payload["curves"].values():
        assert len(one["v"]) == len(one["t"]) == len(one["s"])
    for key in payload["keys"]:
        if key["levels"] is not None:
            assert {*config[key["name"]]} <= {*key["levels"], None}


def three_arms(folder):
    sweep = Sweep(folder)
    sweep.run(first_sequence=0, at=START)
    for seed in (1, 2):
        sweep.trial("adam", seed, [0.5, 0.7, 0.8 + seed / 100], test=0.8)
        sweep.trial("sgd", seed, [0.4, 0.5, 0.6 + seed / 100])
    sweep.trial("nadam", 1, [0.3, 0.4], "stopped", rung=2, cutoff=0.45)
    return sweep


def test_a_finished_sweep(tmp_path):
    payload = prepare(three_arms(tmp_path).write(), compared=True)
    assert payload["answer"].startswith("adam is best with .815")
    assert payload["arm_names"] == ["adam", "sgd", "nadam"]
    assert payload["arms"]["rows"][2]["verdict"] == "screened out"
    assert payload["trials"]["arm"] == [0, 1, 0, 1, 2]
    assert payload["trials"]["value"] == [0.81, 0.61, 0.82, 0.62, 0.4]
    assert payload["trials"]["cutoff"][4] == 0.45
    assert payload["curves"]["adam-1"]["v"] == [0.5, 0.7, 0.81]
    assert payload["curves"]["adam-1"]["s"] == [12.0, 24.0, 36.0]
    assert payload["epochs"] == 3
    assert payload["keys"] == [{"name": "optimizer", "log": False, "levels": ["adam", "nadam", "sgd"]}]
    assert dict(payload["provenance"])["Command"] == "python sweeps/optimizers.py --seeds 3"
    assert payload["state"]["running"] is False


def test_before_the_first_look(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.run(first_sequence=0, at=START)
    sweep.trial("adam", 1, [0.5, 0.7, 0.8])
    sweep.trial("sgd", 1, [0.9], None)
    sweep.plan("nadam", 1, "nadam-1")
    for number, row in enumerate(sweep.rows["epochs"]):
        row |= {"sequence": number, "at": START + timedelta(seconds=12 * number)}
    payload = prepare(sweep.write(), **LIVE)
    assert payload["answer"] == ""
    assert [row["cells"] for row in payload["arms"]["rows"]] == [
        ["sgd", ".9000", "1", "1", "1 running"],
        ["adam", ".8000", "1", "3", "1 completed"],
        ["nadam", "", "", "0", "1 waiting"],
    ]
    assert payload["state"]["sentence"].startswith("1 of 3 trials has ended, 1 runs")
    assert payload["state"]["look"].startswith("No look has ended yet")
    assert payload["provenance"] == payload["pareto"] == payload["effects"] == []


def test_arms_that_join_after_the_last_look(tmp_path):
    comparison = load(three_arms(tmp_path / "before").write(), "optimizers")[0]
    sweep = three_arms(tmp_path / "now")
    sweep.run("r1", event="end")
    sweep.run("r2", first_sequence=14)
    sweep.plan("ftrl", 1, "ftrl-1", run="r2")
    results = sweep.write()
    records = LiveRecords(results, "optimizers")
    records.refresh()
    payload = ViewPreparer(results, "optimizers", StudyQuestion(text="Which?")).prepare(
        records.tables, comparison, **LIVE
    )
    check(payload)
    assert payload["arm_names"] == ["adam", "sgd", "nadam", "ftrl"]
    assert payload["arms"]["rows"][3]["verdict"] == ""
    assert "1 waiting" in payload["arms"]["rows"][3]["cells"]
    assert payload["state"]["look"].endswith("1 trial of this one has not ended.")


def test_searches_without_a_comparison(tmp_path):
    sweep = Sweep(tmp_path, name="nas")
    for search, best in (("random", 0.6), ("greedy", 0.7)):
        for number in range(3):
            candidate(sweep, search, number, [0.3, best + number / 100], start=30 * number)
    candidate(sweep, "greedy", 3, [0.2], None, start=90)
    results = sweep.write()
    payload = prepare(results, "nas", compared=True)
    assert {*payload["arm_names"]} == {"random", "greedy"}
    assert payload["trials"]["state"].count("completed") == 6
    assert prepare(results, "nas")["arms"]["rows"][0]["arm"] == "greedy"  # the best candidate so far


def test_tuned_arms_and_their_candidates(tmp_path):
    sweep = Sweep(tmp_path)
    default_arm(sweep, "adam", [0.80, 0.81, 0.82])
    tune(sweep, "adam", 3.2e-3, [0.88, 0.87, 0.89], ends={0: "stopped", 1: "diverged", 2: "unfinished"})
    payload = prepare(sweep.write(), compared=True)
    assert payload["arm_names"] == ["adam tuned", "adam"]
    assert payload["trials"]["question"].count("tuning") == 6
    assert payload["keys"] == [{"name": "learning_rate", "log": True, "levels": None}]
    assert 0.0032 in payload["trials"]["config"]["learning_rate"]


def test_folds(tmp_path):
    sweep = Sweep(tmp_path)
    for fold in (0, 1):
        for arm, value in (("adam", 0.8), ("sgd", 0.7)):
            ids = {"trial_id": f"{arm}-{fold}", "fold": fold}
            sweep.plan(arm, 1, ids["trial_id"], fold=fold)
            sweep.trial(arm, 1, [value / 2, value, value + fold / 50], planned=False, **ids)
    payload = prepare(sweep.write(), compared=True)
    assert payload["trials"]["fold"] == [0, 0, 1, 1]
    assert "folds" in [column["heading"] for column in payload["arms"]["columns"]]


def test_a_sweep_that_is_judged_by_its_loss(tmp_path):
    sweep = three_arms(tmp_path)
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 1 - row["val_accuracy"]
    payload = prepare(sweep.write(), compared=True, question=StudyQuestion(text="Which?", metric="val_loss"))
    assert payload["higher"] is False
    assert payload["arm_names"][0] == "adam"
    assert payload["trials"]["best"][0] == pytest.approx(0.19)
    assert payload["curves"]["adam-1"]["v"] == [0.5, 0.3, 0.19]
    assert payload["effects"] == []


def test_groups_of_arms_that_are_not_compared(tmp_path):
    sweep = Sweep(tmp_path)
    for classes in ("3", "10"):
        for arm, value in (("adam", 0.8), ("sgd", 0.7)):
            config = {"optimizer": arm, "classes": classes}
            sweep.trial(f"{arm} classes={classes}", 1, [value / 2, value, value], config=config,
                        trial_id=f"{arm}-{classes}", classes=None)  # fmt: skip
    for row in sweep.rows["trials"]:
        row.pop("classes")
    payload = prepare(sweep.write(), compared=True, group=ArmGroup("classes", "3", "all"))
    assert payload["trials"]["id"] == ["adam-3", "sgd-3"]
    assert {*payload["curves"]} == {"adam-3", "sgd-3"}
    assert payload["question"] == "Which? (classes 3)"


def test_first_phases_are_trials_but_no_arms_of_the_table(tmp_path):
    sweep = three_arms(tmp_path)
    sweep.plan("head", 1, "head-1", question="first phase")
    payload = prepare(sweep.write(), compared=True)
    assert payload["trials"]["question"][-1] == "first phase"
    assert "head" not in [row["arm"] for row in payload["arms"]["rows"]]
    assert payload["arm_names"][-1] == "head"


def test_a_plan_and_nothing_else(tmp_path):
    record(tmp_path, "s", plan=[plan("aa"), plan("bb", arm="sgd")], runs=[run(first_sequence=0, slots=2)])
    payload = prepare(tmp_path, "s", **LIVE)
    assert payload["trials"]["state"] == ["waiting", "waiting"]
    assert payload["curves"] == {}
    assert payload["slots"]["classes"] == {"waiting": [2.0] * 100}
    payload = prepare(tmp_path, "s", compared=True)
    assert payload["trials"]["state"] == ["unfinished", "unfinished"]
    assert payload["state"]["sentence"].startswith("killed or interrupted")


def test_nothing_at_all(tmp_path):
    payload = prepare(tmp_path, "s")
    assert payload["trials"]["id"] == []
    assert payload["state"]["sentence"] == "not running: 0 trials"


def test_values_that_are_no_numbers(tmp_path):
    record(tmp_path, "s", plan=[plan("aa")], epochs=curve("aa", 0.5, float("nan"), float("inf")))
    payload = prepare(tmp_path, "s")
    assert payload["curves"]["aa"]["v"] == [0.5, None, None]
    assert payload["trials"]["value"] == [None]


def test_notes_about_the_records_come_first(tmp_path):
    payload = prepare(three_arms(tmp_path).write(), compared=True, notes=["a part is damaged"])
    assert payload["notes"][0] == "a part is damaged"


def test_nobody_is_told_to_run_a_sweep_that_runs(tmp_path):
    sweep = three_arms(tmp_path)
    sweep.trial("sgd", 3, [0.4], None)
    results = sweep.write()
    assert [note for note in prepare(results, compared=True)["notes"] if "run the sweep again" in note]
    assert not [note for note in prepare(results, compared=True, **LIVE)["notes"] if "again" in note]


def test_the_command_of_another_sweep_that_trained_the_trials_is_an_origin(tmp_path):
    other = three_arms(tmp_path)
    other.write()
    sweep = Sweep(tmp_path, name="again")
    sweep.rows["plan"] = [row | {"sweep": "again"} for row in other.rows["plan"]]
    sweep.run("r9", command="python sweeps/again.py", first_sequence=0, at=START)
    origin = dict(prepare(sweep.write(), "again", compared=True)["provenance"])
    assert origin["Command"] == "python sweeps/optimizers.py --seeds 3"


def test_each_new_comparison_is_shown(tmp_path):
    results = three_arms(tmp_path).write()
    records = LiveRecords(results, "optimizers")
    records.refresh()
    preparer = ViewPreparer(results, "optimizers", StudyQuestion(text="Which?"))
    for number in range(1, 6):
        later = three_arms(tmp_path / str(number))
        for seed in range(3, 3 + number):
            later.trial("adam", seed, [0.5, 0.7, 0.8])
        comparison = load(later.write(), "optimizers")[0]
        (cells,) = (row["cells"] for row in preparer.prepare(records.tables, comparison)["arms"]["rows"][:1])
        assert f"({2 + number})" in cells[1]
        del comparison


def test_many_trials(tmp_path, monkeypatch):
    """The curves are those that run, then the best of each arm, then the best; the page names how many."""
    big_sweep.write(tmp_path, trials=60, epochs=10, running=2, waiting=5)
    monkeypatch.setattr(curves, "MOST_EPOCHS", 150)
    payload = prepare(tmp_path, "big", **LIVE)
    trials = dict(zip(payload["trials"]["id"], range(60), strict=True))
    assert sum(len(one["v"]) for one in payload["curves"].values()) <= 150
    assert payload["curves_note"].startswith("the curves of the best ")
    running = [name for name, i in trials.items() if payload["trials"]["state"][i] == "running"]
    assert len(running) == 2
    assert {*running} <= {*payload["curves"]}
    shown_arms = {payload["trials"]["arm"][trials[name]] for name in payload["curves"]}
    assert len(shown_arms) == 4  # all of them
    best = max((i for i in trials.values()), key=lambda i: payload["trials"]["best"][i] or 0)
    assert payload["trials"]["id"][best] in payload["curves"]


def test_more_trials_than_the_page_shows(tmp_path, monkeypatch):
    record(tmp_path, "s", plan=[plan(f"t{n}") for n in range(9)])
    monkeypatch.setattr("layersweep.studies.views.preparer.MOST_TRIALS", 5)
    payload = prepare(tmp_path, "s")
    assert payload["trials"]["id"] == [f"t{n}" for n in range(4, 9)]
    assert payload["notes"] == ["The page shows the last 5 of 9 trials."]


def test_an_update_is_equal_to_a_new_page_and_keeps_what_did_not_change(tmp_path):
    """Whatever is cached: after each part of a sweep, the payload is the one that a new preparer makes."""
    results = tmp_path / "results"
    records = LiveRecords(results, "s")
    preparer = ViewPreparer(results, "s", StudyQuestion(text="Which?"))
    payload = None
    for number in range(12):
        name = f"t{number // 3}"
        step = {"epochs": [row | {"sequence": number, "at": START + timedelta(seconds=number)}
                           for row in curve(name, number / 12, first=number % 3 + 1)]}  # fmt: skip
        if number % 3 == 0:
            step["plan"] = [plan(name, arm=f"arm{number % 2}", epochs=3) | {"config_json": f'{{"filters": {number}}}'}]
        if number % 3 == 2:
            step["trials"] = [trial(name, arm=f"arm{number % 2}", epochs=3, filters=number, ended_at=START)]
        if number == 0:
            step["runs"] = [run(first_sequence=0, slots=1)]
        record(results, "s", **step)
        records.refresh()
        before, live = payload, {"is_running": True, "now": START + timedelta(seconds=number + 1)}
        payload = preparer.prepare(records.tables, changed=records.take_changes(), **live)
        check(payload)
        assert payload == ViewPreparer(results, "s", StudyQuestion(text="Which?")).prepare(records.tables, **live)
        if before is not None:
            assert all(payload["curves"][t] is old for t, old in before["curves"].items() if t != name)
