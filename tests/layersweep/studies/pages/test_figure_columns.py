"""The columns of figures, worked out by hand."""

from itertools import pairwise
from typing import Any

import pytest

from layersweep.studies.pages.figure_columns import OTHER_WORK, WAITING, figure_columns
from layersweep.watch.live_sweep import empty


def payload(*trials: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A payload of trials: arm, values, and perhaps start and seconds of an epoch."""
    full = {**empty("s"), **more}
    arms = list(dict.fromkeys(trial["arm"] for trial in trials))
    ids = [f"t{i}" for i in range(len(trials))]
    columns: dict[str, list[Any]] = {name: [None] * len(trials) for name in full["trials"] if name != "config"}
    columns |= {
        "id": ids,
        "arm": [arms.index(trial["arm"]) for trial in trials],
        "state": [trial.get("state", "completed") for trial in trials],
        "question": [trial.get("question", "comparison") for trial in trials],
        "best": [max((v for v in trial["values"] if v is not None), default=None) for trial in trials],
        "value": [trial["values"][-1] for trial in trials],
        "start": [trial.get("start", 0.0) for trial in trials],
        "end": [trial.get("end") for trial in trials],
        "seed": list(range(len(trials))),
    }
    curves = {
        i: {
            "first": trial.get("first", 1),
            "v": trial["values"],
            "t": [trial.get("start", 0.0) + trial.get("seconds", 1.0) * (k + 1) for k in range(len(trial["values"]))],
            "s": [trial.get("seconds", 1.0) * (k + 1) for k in range(len(trial["values"]))],
        }
        for i, trial in zip(ids, trials, strict=True)
    }
    keys = full["keys"]
    config = {key["name"]: [trial.get(key["name"]) for trial in trials] for key in keys}
    return {**full, "arm_names": arms, "trials": {**columns, "config": config}, "curves": curves}


def test_a_mean_reaches_the_last_epoch_of_all_its_trials():
    both = payload({"arm": "a", "values": [0.2, 0.4, 0.9]}, {"arm": "a", "values": [0.4, 0.6], "seconds": 3.0})
    means, bands = (figure_columns(both)[name] for name in ("means", "bands"))
    assert (means["key"], means["epochs"], means["n"]) == (["a"], [[1, 2]], [2])
    assert means["ys"] == [[pytest.approx(0.3), pytest.approx(0.5)]]
    assert means["seconds"] == [[2.0, 4.0]]
    assert (bands["epochs"], bands["ys"]) == ([[1, 2, 2, 1]], [[0.4, 0.6, 0.4, 0.2]])


def test_a_mean_is_that_of_the_compared_trials_if_there_are_any():
    screened = {"arm": "a", "values": [0.9, 0.9], "question": "screening"}
    assert figure_columns(payload(screened, {"arm": "a", "values": [0.1]}))["means"]["ys"] == [[0.1]]
    assert figure_columns(payload(screened))["means"]["ys"] == [[0.9, 0.9]]


def test_a_value_that_is_not_finite_ends_a_mean():
    assert figure_columns(payload({"arm": "a", "values": [0.2, None, 0.9]}))["means"]["ys"] == [[0.2]]


def test_long_names_leave_room_for_the_figure():
    names = ["a" * 300, "b" * 300, "optimizer=adam " * 12]
    values = payload(*({"arm": name, "values": [0.2, 0.4], "optimizer": name} for name in names),
                     keys=[{"name": "optimizer", "log": False, "levels": names}])  # fmt: skip
    columns = figure_columns(values)
    labels = columns["means"]["label"]
    assert len({*labels}) == 3
    assert all(len(line) <= 50 for label in labels for line in label.split("\n"))
    assert all(len(text) <= 30 for text in columns["ticks"]["text"])


def test_unknown_seconds_are_none():
    values = payload({"arm": "a", "values": [0.2, 0.4]})
    values["curves"]["t0"]["s"][0] = None
    assert figure_columns(values)["means"]["seconds"] == [[0.0, 2.0]]


@pytest.mark.parametrize(("higher", "heights"), [(True, [0.5, 0.5, 0.7, 0.7, 0.7]), (False, [0.5, 0.5, 0.3, 0.3, 0.3])])
def test_the_best_so_far_rises_in_steps(higher, heights):
    trials = ({"arm": "a", "values": [0.5, 0.7 if higher else 0.3]}, {"arm": "b", "values": [0.4, 0.6], "start": 0.5})
    best = figure_columns(payload(*trials, higher=higher))["best"]
    assert (best["key"][0], best["arm"][0], best["rank"][0]) == ("", "all arms", -1)
    if higher:  # ends of epochs: a at 1 and 2, b at 1.5 and 2.5
        assert (best["epochs"][0], best["seconds"][0]) == ([1, 3, 3, 4, 4], [1.0, 2.0, 2.0, 2.5, 2.5])
        assert best["slot_seconds"][0] == [1.0, 3.0, 3.0, 4.0, 4.0]
        assert best["ys"][0] == heights
    assert best["ys"][0][-1] == heights[-1]
    assert best["key"] == ["", "a", "b"]


def test_first_phases_are_not_in_the_best_so_far():
    phase = {"arm": "a", "values": [0.99], "question": "first phase"}
    assert figure_columns(payload(phase, {"arm": "b", "values": [0.5]}))["best"]["ys"][0][-1] == 0.5


def test_axes_are_logarithmic_where_that_is_said_and_texts_have_levels():
    keys = [{"name": "rate", "log": True, "levels": None}, {"name": "kind", "log": False, "levels": ["x", "y"]}]
    trials = [{"arm": "a", "values": [0.1 * i], "rate": rate, "kind": kind}
              for i, (rate, kind) in enumerate([(0.001, "x"), (0.01, "y"), (0.1, "x"), (0.0, "z")])]  # fmt: skip
    columns = figure_columns(payload(*trials, keys=keys))
    first, second, third, last = columns["parallel"]["ys"]
    assert [row[0] for row in (first, second, third, last)] == [0.0, pytest.approx(0.5), pytest.approx(1.0), None]
    assert [row[1] for row in (first, second, third, last)] == [0.25, 0.75, 0.25, None]
    assert columns["axes"]["text"] == ["rate (log)", "kind", "val accuracy"]
    ticks = [text for x, text in zip(columns["ticks"]["x"], columns["ticks"]["text"], strict=True) if x == 0]
    assert ticks == ["0.001", "0.01", "0.1"]


def test_trials_at_the_same_time_are_in_different_lanes():
    spans = [(0.0, 10.0), (1.0, 5.0), (6.0, 9.0), (10.0, None)]
    trials = [{"arm": "a", "values": [0.1], "start": start, "end": end} for start, end in spans]
    lanes = figure_columns(payload(*trials, slots={"edges": [0.0, 20.0], "classes": {}}))["lanes"]
    assert (lanes["lane"], lanes["right"][-1]) == ([0, 1, 1, 0], 20.0)


def test_small_classes_of_work_are_one_area_and_waiting_is_on_top():
    classes = {"train": [1.5, 1.5], WAITING: [0.4, 0.4], "start": [0.05, 0.05], "close": [0.05, 0.05]}
    areas = figure_columns(payload(slots={"edges": [0.0, 1.0, 2.0], "classes": classes}))["slots"]
    assert areas["what"] == ["train", OTHER_WORK, WAITING]
    assert areas["xs"][0] == [0.0, 1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 0.0]
    assert areas["ys"][1] == pytest.approx([1.6] * 4 + [1.5] * 4)
    assert areas["ys"][2] == pytest.approx([2.0] * 4 + [1.6] * 4)


def test_names_at_the_ends_of_curves_do_not_overlap():
    trials = [{"arm": name, "values": [0.1, 0.9 + i / 1000]} for i, name in enumerate("abcdefghijkl")]
    labels = figure_columns(payload(*trials))["labels"]
    assert len(labels["key"]) == 10
    gaps = [b - a for a, b in zip(labels["y"], labels["y"][1:], strict=False)]
    assert min(gaps) >= 0.045 * 0.81 - 1e-9


@pytest.mark.parametrize("state", ["failed", "diverged", "hopeless"])
def test_a_trial_that_no_mean_counts_does_not_cut_the_mean(state):
    early, late = {"arm": "a", "values": [0.9], "state": state}, {"arm": "a", "values": [0.2, 0.4]}
    columns = figure_columns(payload(early, late))
    assert (columns["means"]["ys"], columns["means"]["n"]) == ([[0.2, 0.4]], [1])
    assert columns["seeds"]["ys"] == [[0.9], [0.2, 0.4]]
    assert figure_columns(payload(early))["means"]["ys"] == [[0.9]]


def test_lines_differ_by_dash_where_colours_are_equal_or_neighbours():
    trials = [{"arm": f"a{i:02}", "values": [0.5]} for i in range(40)]
    means = figure_columns(payload(*trials))["means"]
    assert len({(int(style) % 10, dash) for style, dash in zip(means["style"], means["dash"], strict=True)}) == 40
    assert all(one != other for one, other in pairwise(means["dash"][:10]))


def test_a_share_of_confused_images_is_of_all_images_of_the_class_also_of_those_that_are_not_shown():
    matrix = {"arm": 0, "set": "test", "classes": ["a", "b"], "counts": [[6, 2], [0, 5]], "images": [20, 5]}
    columns = figure_columns({**payload({"arm": "adam", "values": [0.5]}), "confusion": [matrix]})["confusion"]
    assert columns["share"] == [0.3, 0.1, 0.0, 1.0]
