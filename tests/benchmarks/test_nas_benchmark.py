import json
import math
import sys
from datetime import UTC, datetime

import polars as pl
import pytest

from benchmarks import processes
from benchmarks.nas import (
    AUTOKERAS,
    OURS,
    REACHED,
    Options,
    Search,
    Step,
    draw,
    measurements,
    medians,
    read_or_run,
    within,
)
from benchmarks.programs.autokeras_fit import SPACE, Line, auto_model, read_lines
from benchmarks.report import number

BUDGET = 100.0


def search(*steps):
    epochs = [Step(seconds=seconds, candidate=name, val_accuracy=accuracy) for seconds, name, accuracy in steps]
    return Search(steps=epochs, commit="abc", load=1.0)


SEARCHES = {
    AUTOKERAS: [search((30, "1", 0.5), (80, "2", 0.75)), search((60, "1", 0.5))],
    OURS: [search((20, "a", 0.625), (40, "b", 0.75), (90, "b", 0.875)), search((10, "a", 0.25))],
}


def test_what_ended_behind_the_budget_does_not_count():
    steps = search((120, "1", 0.9), (80, "1", 0.7), (100, "1", 0.8)).steps
    assert [step.seconds for step in within(steps, BUDGET)] == [80, 100]


def test_the_best_so_far_never_falls():
    one_search = search((10, "1", 0.5), (20, "2", 0.25), (30, "2", 0.75))
    assert [one_search.best(seconds) for seconds in (5, 10, 25, 30)] == [-math.inf, 0.5, 0.5, 0.75]
    assert (one_search.time_to(0.5), one_search.time_to(0.6), one_search.time_to(0.8)) == (10, 30, math.inf)
    assert one_search.counts["candidates with an epoch", ""] == 2


def test_the_table_has_accuracies_times_and_counts():
    rows = {(row.case, row.measure): row.values for row in measurements(SEARCHES, BUDGET)}
    assert (AUTOKERAS, "best validation accuracy by 1/4 of the budget") not in rows  # no epoch by then
    assert rows[OURS, "best validation accuracy by 1/4 of the budget"] == [0.625, 0.25]
    assert rows[AUTOKERAS, "best validation accuracy by 1/2 of the budget"] == [0.5]
    assert rows[OURS, "best validation accuracy by the budget"] == [0.875, 0.25]
    assert rows[AUTOKERAS, REACHED] == [80, 60]
    assert rows[OURS, REACHED] == [40, math.inf]
    assert rows[f"{OURS} / budget", REACHED] == [0.4, math.inf]
    assert rows[f"{OURS} / {AUTOKERAS}", REACHED] == [0.5, math.inf]
    assert rows[OURS, "candidates with an epoch"] == [2, 1]
    assert rows[AUTOKERAS, "epochs"] == [2, 1]


def test_what_was_never_reached_is_said():
    assert number(math.inf) == "not reached"


def test_a_median_begins_once_half_of_the_searches_have():
    assert medians(SEARCHES[OURS], [5, 15, 20, 40]) == [-math.inf, -math.inf, 0.4375, 0.5]


def test_the_figure_is_drawn(tmp_path):
    draw(SEARCHES, BUDGET, tmp_path / "nas.png")
    assert (tmp_path / "nas.png").read_bytes().startswith(b"\x89PNG")


def test_a_search_is_run_once(tmp_path, monkeypatch):
    options, runs = Options(minutes=1, out=tmp_path), []

    def run(*arguments):
        runs.append(arguments)
        return [Step(seconds=70, candidate="1", val_accuracy=0.75), Step(seconds=50, candidate="1", val_accuracy=0.5)]

    monkeypatch.setattr("benchmarks.nas._ours", run)
    first = read_or_run(OURS, 1, options, tmp_path)
    assert first.steps == [Step(seconds=50, candidate="1", val_accuracy=0.5)]
    assert read_or_run(OURS, 1, options, tmp_path) == first
    assert len(runs) == 1
    with pytest.raises(processes.ProgramFailed, match=r"is of \{.*1\}, not \{.*2\}: choose another --out"):
        read_or_run(OURS, 1, Options(minutes=2, out=tmp_path), tmp_path)
    monkeypatch.setattr("benchmarks.nas._ours", lambda *_: [])
    with pytest.raises(processes.ProgramFailed, match="no epoch within 60 s"):
        read_or_run(OURS, 2, options, tmp_path)


def test_our_epochs_count_from_the_command_on_and_only_candidates_do(tmp_path, monkeypatch):
    from benchmarks.nas import recorded_steps

    def at(second):
        return datetime.fromtimestamp(second, UTC)

    tables = {
        "plan": pl.DataFrame({"trial_id": ["a", "a", "b"], "question": ["tuning", "tuning", "comparison"]}),
        "epochs": pl.DataFrame(
            {
                "trial_id": ["a", "a", "a", "b"],
                "attempt": [0, 1, 0, 0],
                "epoch": [1, 1, 2, 1],
                "val_accuracy": [0.5, 0.5, 0.75, 0.25],
                "at": [at(110), at(150), at(120), at(130)],
            }
        ),
    }
    monkeypatch.setattr("benchmarks.nas.read", lambda _results, table, *, columns: tables[table].select(columns))
    steps = sorted((step.seconds, step.candidate, step.val_accuracy) for step in recorded_steps(tmp_path, 100.0))
    assert steps == [(10, "a", 0.5), (20, "a", 0.75)]


def test_a_line_is_read_as_it_was_written(tmp_path):
    line = Line(seconds=1.5, candidate=1, epoch=2, val_accuracy=0.5, parameters=10)
    (tmp_path / "lines").write_text(json.dumps(vars(line)) + "\n")
    assert read_lines(tmp_path / "lines") == [line]


def test_a_command_is_told_to_end_after_its_limit(tmp_path):
    program = "import pathlib, sys, time; time.sleep(60); pathlib.Path(sys.argv[1]).touch()"
    processes.run([sys.executable, "-c", program, tmp_path / "end"], log=tmp_path / "log.txt", limit=1.0)
    assert not (tmp_path / "end").exists()


def test_both_programs_search_the_same_space(tmp_path):
    import keras
    import numpy as np

    from trainables.nas.blocks import build_model, first_candidates, with_values

    def choices_of(space):
        """The choices of a space by name, without those that have one value."""
        configs = {hp.name: hp.get_config() for hp in space if type(hp).__name__ != "Fixed"}
        return {name: (config.get("values"), config["default"]) for name, config in configs.items()}

    images, labels = np.zeros((20, 28, 28, 1), np.uint8), np.arange(20) % 10
    model = auto_model(1, tmp_path)
    model._analyze_data(model._check_and_adapt(images, labels, None)[0])
    model._build_hyper_pipeline()
    model.tuner.hypermodel.set_fit_args(0, epochs=2)
    theirs, ours = {}, {}
    for values in first_candidates(SPACE):
        space = with_values(values)
        model.tuner._prepare_model_build(space, x=images, y=labels)
        parameters = model.tuner._try_build(space).count_params()
        theirs |= choices_of(space.space)
        keras.backend.clear_session()
        hyperparameters = with_values(values)
        assert (
            build_model(SPACE, hyperparameters, (28, 28, 1), 10).count_params() == parameters - 1
        )  # theirs counts images, too
        ours |= choices_of(hyperparameters.space)
    del theirs["image_block_1/image_augmentation_1/zoom_factor"]  # AutoKeras 3.0 does not use it
    assert theirs == ours
    assert {"image_block_1/normalize", "image_block_1/augment", "image_block_1/res_net_block_1/version"} <= set(ours)
