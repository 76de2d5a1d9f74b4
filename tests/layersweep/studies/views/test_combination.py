"""Several sweeps as one page: nothing gets lost, and each thing names its sweep."""

import copy
from itertools import pairwise

import pytest

from layersweep.studies.pages.page_values import page_values
from layersweep.studies.views.combination import combine
from layersweep.watch.live_sweep import empty


def payload(sweep, arms=("x", "y"), **more):
    """A payload with one trial for each arm."""
    full = copy.deepcopy(dict(empty(sweep)))
    ids = [f"{i:016x}" for i in range(len(arms))]
    columns = dict.fromkeys(full["trials"], None)
    del columns["config"]
    rows = {name: [None] * len(ids) for name in columns}
    arm_columns = [{"name": name, "heading": name, "is_text": True, "shown": True} for name in ("arm", "n")]
    full |= {
        "arm_names": list(arms),
        "trials": {**rows, "id": ids, "arm": list(range(len(arms))), "question": ["comparison"] * len(ids),
                   "state": ["completed"] * len(ids), "config": {},
                   "best": [0.5] * len(ids), "value": [0.5] * len(ids)},
        "curves": {i: {"first": 1, "v": [0.5], "t": [1.0], "s": [1.0]} for i in ids},
        "rungs": {"id": ids, "arm": list(range(len(arms))), "rung": [1] * len(ids), "value": [0.5] * len(ids),
                  "cutoff": [None] * len(ids), "stopped": [False] * len(ids)},
        "arms": {"columns": arm_columns,
                 "rows": [{"arm": arm, "verdict": "", "cells": [arm, "1"], "values": [arm, 1]} for arm in arms]},
        "pareto": [{"cost": "flops", "heading": "FLOPs", "arm": [0], "x": [1.0], "y": [0.5], "front": [True]}],
        "confusion": [{"arm": 1, "set": "validation", "classes": ["a"], "counts": [[1]], "images": [1]}],
        "effects": [{"key": "k", "choice": "c", "effect": 0.1, "low": 0.0, "high": 0.2}],
        "importance": [{"key": "k", "share": 0.5}],
        "provenance": [["Command", "python s.py"]],
        "details": {ids[0]: {"config": [], "attempts": [], "layers": None, "log": "l", "traceback": ""}},
        "notes": ["a note"], "answer": "x is best", "question": "Which?",
    }  # fmt: skip
    return {**full, **more}


def test_one_sweep_stays_as_it_is():
    one = payload("a")
    assert combine([one]) is one


def test_arms_and_trials_are_side_by_side_with_their_sweeps_names():
    both = combine([payload("a"), payload("b", arms=("x", "z", "w"))])
    assert both["sweep"] == "a, b"
    assert both["sweeps"] == ["a", "b"]
    assert both["arm_names"] == ["a: x", "a: y", "b: x", "b: z", "b: w"]
    assert both["trials"]["arm"] == both["rungs"]["arm"] == [0, 1, 2, 3, 4]
    ids = both["trials"]["id"]
    assert ids[0] == "a:0000000000000000"
    assert ids[2] == "b:0000000000000000"  # the same trial in both sweeps
    assert [*both["curves"]] == ids == both["rungs"]["id"]
    assert [row["arm"] for row in both["arms"]["rows"]] == both["arm_names"]
    assert [row["cells"][0] for row in both["arms"]["rows"]] == both["arm_names"]
    (front,) = both["pareto"]
    assert (front["arm"], front["x"], front["y"], front["front"]) == ([0, 2], [1.0, 1.0], [0.5, 0.5], [True, True])
    assert [matrix["arm"] for matrix in both["confusion"]] == [1, 3]
    assert [effect["key"] for effect in both["effects"]] == ["a: k", "b: k"]
    assert both["answer"] == "a: x is best\nb: x is best"
    assert "a: a note" in both["notes"]
    assert [*both["details"]] == ["a:0000000000000000", "b:0000000000000000"]
    assert len(page_values(both)["sources"]["trials"]["key"]) == 5


def test_the_payloads_stay_as_they_were():
    payloads = [payload("a", keys=[{"name": "k", "log": False, "levels": None}]), payload("b")]
    before = copy.deepcopy(payloads)
    combine(payloads)
    combine(payloads)
    assert payloads == before


def test_a_column_with_different_headings_has_both():
    a, b = payload("a"), payload("b")
    b["arms"]["columns"][1]["heading"] = "at 6 epochs"
    columns = combine([a, b])["arms"]["columns"]
    assert [column["heading"] for column in columns] == ["arm", "n / at 6 epochs"]


def test_columns_that_one_sweep_lacks_are_empty_there():
    b = payload("b")
    b["arms"]["columns"].append({"name": "folds", "heading": "folds", "is_text": False, "shown": True})
    for row in b["arms"]["rows"]:
        row["cells"].append("5")
        row["values"].append(5)
    both = combine([payload("a"), b])
    names = [column["name"] for column in both["arms"]["columns"]]
    place = names.index("folds")
    assert sorted(names) == ["arm", "folds", "n"]
    assert [row["cells"][place] for row in both["arms"]["rows"]] == ["", "", "5", "5"]
    assert [row["values"][place] for row in both["arms"]["rows"]] == [None, None, 5, 5]
    assert {len(row["cells"]) for row in both["arms"]["rows"]} == {3}


@pytest.mark.parametrize("order", [1, -1])
def test_a_key_that_is_a_text_in_one_sweep_is_one_in_all(order):
    a, b = payload("a"), payload("b")
    a["keys"] = [{"name": "rate", "log": True, "levels": None}, {"name": "only", "log": False, "levels": None}]
    a["trials"]["config"] = {"rate": [0.1, None], "only": [1, 2]}
    b["keys"] = [{"name": "rate", "log": False, "levels": ["decay", "0.1"]}]
    b["trials"]["config"] = {"rate": ["decay", "0.1"]}
    both = combine([a, b][::order])
    (rate,) = (key for key in both["keys"] if key["name"] == "rate")
    assert rate["log"] is False
    assert sorted(rate["levels"]) == ["0.1", "decay"]
    assert both["trials"]["config"]["only"] == [1, 2, None, None][:: order if order > 0 else -1] or order < 0
    assert {len(column) for column in both["trials"]["config"].values()} == {4}


def test_slots_of_sweeps_of_unlike_length_add_up():
    short = {"edges": [0, 10, 20], "classes": {"train": [2.0, 1.0]}}
    long = {"edges": [0, 60], "classes": {"train": [1.0], "waiting": [1.0]}}
    both = combine([payload("a", slots=short), payload("b", slots=long), payload("c")])
    edges, classes = both["slots"]["edges"], both["slots"]["classes"]
    assert (edges[0], edges[-1], len(edges)) == (0.0, 60.0, 121)
    widths = [b - a for a, b in pairwise(edges)]
    seconds = {name: sum(v * w for v, w in zip(values, widths, strict=True)) for name, values in classes.items()}
    assert seconds == pytest.approx({"train": 30 + 60, "waiting": 60}, rel=1e-3)
    assert classes["train"][0] == 3.0


def test_states_add_up_and_unlike_metrics_are_said():
    state = dict(empty("a")["state"])
    running = {"running": True, "sentence": "2 run", "seconds_left": 60.0, "slots": 2, "slot_hours": 1.0}
    a = payload("a", state={**state, **running})
    b = payload("b", state={**state, "sentence": "ended", "slots": 4, "slot_hours": 0.5}, metric="val_loss")
    both = combine([a, b])
    assert both["state"] == {
        **running,
        "sentence": "a: 2 run\nb: ended",
        "slots": 6,
        "slot_hours": 1.5,
        "look": "",
    }
    assert "validation accuracy and validation loss: their values are not comparable" in both["notes"][0]
    assert "not comparable" not in str(combine([a, a])["notes"])


def test_sweeps_without_anything_are_shown_too():
    both = combine([empty("a"), payload("b"), empty("c")])
    assert both["arm_names"] == ["b: x", "b: y"]
    assert page_values(combine([empty("a"), empty("b")]))["sources"]["trials"]["key"] == []
