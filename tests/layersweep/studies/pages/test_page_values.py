"""The values of a page, and the changes that a page of earlier values needs."""

import copy
import json

import page_content
import pytest
from recorded_sweep import Sweep

from layersweep.escaping import to_script_json
from layersweep.studies.pages import view_page
from layersweep.studies.pages.page_values import changes, page_values
from layersweep.studies.views import payload_of


@pytest.fixture
def payload(sweep: Sweep):
    for arm, top in (("sgd", 0.8), ("adam", 0.9)):
        for seed in (1, 2):
            config = {"optimizer": arm, "learning_rate": 0.1 if arm == "sgd" else 0.001}
            sweep.trial(arm, seed, [0.5, 0.7, top + seed / 100], config=config, host="alder", latency_ms_median=2.0)
    sweep.trial("ftrl", 1, [0.2], "stopped", rung=1, cutoff=0.4, config={"optimizer": "ftrl", "learning_rate": 0.01})
    sweep.run()
    return payload_of(sweep.write(), sweep.name)


def applied(old, changed):
    """What the page's script makes of changes."""
    new = copy.deepcopy(old)
    for name, part in changed.get("sources", {}).items():
        if "columns" in part:
            new["sources"][name] = part["columns"]
            continue
        rows, before = part["rows"], new["sources"][name]
        keys = part.get("keys", before["key"])
        at = {key: i for i, key in enumerate(rows["key"])}
        was = {key: i for i, key in enumerate(before["key"])}
        new["sources"][name] = {
            column: [values[at[key]] if key in at else before[column][was[key]] for key in keys]
            for column, values in rows.items()
        }
    new["details"].update(changed.get("details", {}))
    return new | {name: value for name, value in changed.items() if name not in ("sources", "details")}


def test_changes_make_the_old_values_the_new_ones(payload):
    new = page_values(payload)
    earlier = copy.deepcopy(payload)
    last = earlier["trials"]["id"][-1]
    earlier["curves"].pop(last)
    earlier["trials"]["state"][0] = "running"
    earlier["answer"] = "before"
    old = page_values(earlier)
    changed = changes(old, new)
    assert json.loads(json.dumps(applied(old, changed))) == json.loads(json.dumps(new))
    assert "parallel" not in changed["sources"]
    assert changed["sources"]["trials"]["rows"]["key"] == [payload["trials"]["id"][0]]
    assert changes(new, page_values(payload)) == {}
    assert applied(json.loads(json.dumps({"sources": {}, "details": {}})), changes({}, new)) == new


def test_every_row_of_a_trial_or_an_arm_has_its_name(payload):
    values = page_values(payload)
    trials, arms = set(payload["trials"]["id"]), set(payload["arm_names"])
    for name in ("seeds", "rungs", "parallel", "lanes", "trials"):
        assert set(values["sources"][name]["key"]) <= trials, name
    for name in ("means", "bands", "labels", "differences", "pareto", "best"):
        assert set(values["sources"][name]["key"]) <= arms | {""}, name
    lengths = {name: {len(column) for column in rows.values()} for name, rows in values["sources"].items()}
    assert all(len(found) == 1 for found in lengths.values()), lengths


def test_an_arm_keeps_its_style_when_the_order_changes(payload):
    styles = page_values(payload)["styles"]
    turned = copy.deepcopy(payload)
    names = turned["arm_names"]
    turned["arm_names"] = names[::-1]
    turned["trials"]["arm"] = [len(names) - 1 - arm for arm in turned["trials"]["arm"]]
    turned["rungs"]["arm"] = [len(names) - 1 - arm for arm in turned["rungs"]["arm"]]
    turned["pareto"] = turned["confusion"] = []
    assert page_values(turned)["styles"] == styles


def test_no_name_ends_a_script_or_makes_an_element(payload):
    bad = "</script><script>alert(1)</script>"
    payload["arm_names"][0] = payload["arms"]["rows"][0]["arm"] = payload["question"] = bad
    payload["notes"] = [bad]
    page = view_page.html(page_values(payload))
    assert bad not in page
    assert page.count("<script") == 5
    assert to_script_json(bad) in page


def test_a_page_says_whose_curves_it_leaves_out(payload):
    payload["curves_note"] = "the curves of the best 1,000 of 10,000 trials"
    page = view_page.html(page_values(payload))
    assert '<p class="quiet" data-text="curves_note"></p>' in page
    assert page_content.values(page)["curves_note"] == payload["curves_note"]


def test_the_script_is_short():
    """The page is Bokeh's work; what is ours stays small."""
    lines = view_page.page.own_file("view_page.js").splitlines()
    assert len([line for line in lines if line.strip() and not line.strip().startswith("//")]) <= 200
    assert max(map(len, lines)) <= 130
