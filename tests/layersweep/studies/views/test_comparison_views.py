"""What a comparison tells besides its table."""

import itertools
import random

import pytest
from recorded_sweep import Sweep

from layersweep.records.study_question import StudyQuestion
from layersweep.studies.recorded_comparison import load
from layersweep.studies.statistics.judgement import Criteria
from layersweep.studies.views import comparison_views as module
from layersweep.studies.views.comparison_views import comparison_views

COUNTS = {"adam": [[9, 1], [2, 8]], "sgd": [[7, 3], [4, 6]]}


def views(sweep, **question):
    question = StudyQuestion(text="Which?", **question)
    results = sweep.write()
    comparison, runs = load(results, sweep.name, criteria=Criteria(metric=question.metric))
    return comparison_views(comparison, results, runs, question)


def grid(folder, *, full=True):
    sweep = Sweep(folder)
    choices = [*itertools.product(("relu", "elu"), (0.1, 0.01))]
    draws = random.Random(1)
    for seed, (activation, rate) in itertools.product((1, 2, 3), choices if full else choices[:3]):
        value = 0.7 + 0.1 * (activation == "elu") + draws.gauss(0, 0.002)
        config = {"activation": activation, "learning_rate": rate, "optimizer": "adam"}
        sweep.trial(f"{activation} {rate}", seed, [0.3, 0.5, value], config=config)
    return sweep


def test_effects_of_a_grid(tmp_path):
    effects = views(grid(tmp_path))["effects"]
    by_choice = {(row["key"], row["choice"]): row for row in effects}
    assert {*by_choice} == {
        ("activation", "elu"), ("activation", "relu"), ("learning_rate", "0.1"), ("learning_rate", "0.01"),
    }  # fmt: skip
    elu = by_choice["activation", "elu"]
    assert elu["effect"] == pytest.approx(0.05, abs=0.003)
    assert elu["low"] < elu["effect"] < elu["high"]


def test_no_effects_without_a_grid_unless_the_question_asks(tmp_path):
    assert views(grid(tmp_path / "a", full=False))["effects"] == []
    assert views(grid(tmp_path / "b", full=False), sections=["effects"])["effects"]
    assert views(grid(tmp_path / "c"), sections=[])["effects"] == []


def test_no_effects_on_a_loss(tmp_path):
    sweep = grid(tmp_path)
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 1 - row["val_accuracy"]
    assert views(sweep, metric="val_loss")["effects"] == []


def with_costs(folder):
    """`big` is better than `small`, and dearer; `waste` is as dear as big and no better than small."""
    sweep = Sweep(folder)
    arms = {"small": (0.7, 100), "big": (0.8, 900), "waste": (0.7, 900)}
    for seed, (arm, (value, flops)) in itertools.product((1, 2, 3, 4), arms.items()):
        noise = 0.001 * ((seed * 7 + flops) % 5)
        sweep.trial(arm, seed, [0.3, 0.5, value + noise], flops=flops, latency_ms_median=1.0, latency_ratio=flops / 50)
    return sweep


def test_pareto_fronts(tmp_path):
    fronts = {one["cost"]: one for one in views(with_costs(tmp_path))["pareto"]}
    flops = fronts["flops"]
    assert dict(zip(flops["arm"], flops["front"], strict=True)) == {"big": True, "small": True, "waste": False}
    assert dict(zip(flops["arm"], flops["x"], strict=True)) == {"big": 900, "small": 100, "waste": 900}
    assert "parameters" not in fronts  # all arms have as many
    assert fronts["latency"]["heading"] == "latency of one image, ×"


def test_pareto_fronts_of_a_loss(tmp_path):
    sweep = with_costs(tmp_path)
    for row in sweep.rows["epochs"]:
        row["val_loss"] = 1 - row["val_accuracy"]
    (flops,) = (one for one in views(sweep, metric="val_loss")["pareto"] if one["cost"] == "flops")
    assert dict(zip(flops["arm"], flops["front"], strict=True)) == {"big": True, "small": True, "waste": False}


def classified(folder, counts=COUNTS, *, sets=("validation",), names=None):
    sweep = Sweep(folder, epochs=1)
    for arm, matrix in counts.items():
        for seed in (1, 2):
            trial_id = sweep.trial(arm, seed, [matrix[0][0] / 10 + seed / 1000])
            for set_name, (index, row) in itertools.product(sets, enumerate(matrix)):
                name = names[index] if names else "ab"[index]
                sweep.add("classes", {"trial_id": trial_id, "attempt": 0, "epoch": 1, "set_name": set_name,
                                      "class_index": index, "class_name": name, "support": sum(row),
                                      "predicted": row})  # fmt: skip
    return sweep


def test_confusion_adds_up_the_trainings_of_an_arm(tmp_path):
    confusion = views(classified(tmp_path))["confusion"]
    assert confusion[0] == {
        "arm": "adam", "set": "validation", "classes": ["a", "b"], "counts": [[18, 2], [4, 16]], "images": [20, 20],
    }  # fmt: skip


def test_confusion_of_each_set(tmp_path):
    confusion = views(classified(tmp_path, {"adam": COUNTS["adam"]}, sets=("validation", "test")))["confusion"]
    assert [one["set"] for one in confusion] == ["test", "validation"]


def test_a_class_of_which_a_row_is_missing_keeps_its_place(tmp_path):
    sweep = classified(tmp_path, {"adam": COUNTS["adam"]}, sets=("test", "validation"))
    is_missing = {"set_name": "test", "class_index": 0}
    sweep.rows["classes"] = [row for row in sweep.rows["classes"] if not is_missing.items() <= row.items()]
    confusion, _ = views(sweep)["confusion"]
    assert (confusion["classes"], confusion["counts"]) == (["0", "b"], [[0, 0], [4, 16]])


def test_of_many_classes_the_most_confused_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_CLASSES", 2)
    matrix = [[9, 0, 1, 0], [0, 10, 0, 0], [5, 0, 5, 0], [0, 0, 0, 10]]
    (confusion,) = views(classified(tmp_path, {"adam": matrix}, names="wxyz"))["confusion"]
    assert (confusion["classes"], confusion["counts"]) == (["w", "y"], [[18, 2], [10, 10]])
    assert confusion["images"] == [20, 20]


def test_the_origin_ends_with_the_method(tmp_path):
    sweep = grid(tmp_path)
    sweep.run()
    origin = views(sweep)["provenance"]
    assert ["Command", "python sweeps/optimizers.py --seeds 3"] in origin
    assert origin[-1][0] == "Method"
    assert all(text for _, text in origin)


def test_nothing_was_compared(tmp_path):
    sweep = Sweep(tmp_path)
    sweep.trial("adam", 1, [0.5], None)
    result = views(sweep)
    assert (result["pareto"], result["confusion"], result["effects"]) == ([], [], [])
    assert result["answer"]
