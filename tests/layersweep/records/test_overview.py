"""What is said of recorded sweeps is what was recorded."""

from datetime import timedelta

import polars as pl
import pytest
from recorded_rows import START, curve, plan, record, run, trial, two_sweeps

from layersweep.records import overview
from layersweep.records.errors import ResultsError
from layersweep.records.study_question import StudyQuestion
from layersweep.records.tables import TABLES
from layersweep.records.write import Writer


def test_every_sweep_is_summed_up(results):
    two_sweeps(results)
    (results / "studies").mkdir()
    (results / "studies" / "big.html").write_text("a study")
    big, small = overview.summaries(results)
    assert (big.sweep, big.outcomes) == ("big", {"completed": 3, "stopped": 1, "failed": 1})  # ff66: by `small`
    assert list(big.outcomes) == ["completed", "stopped", "failed"]
    assert (big.unfinished, big.epochs) == (1, 9)
    assert (big.last_run, big.last_outcome) == (START + timedelta(hours=1), "running or killed")
    assert (small.outcomes, small.unfinished, small.epochs) == ({"completed": 2}, 0, 2)
    assert (small.last_run, small.last_outcome) == (START, "interrupted")
    written = [p for table in TABLES for p in (results / table / "big").glob("*")]
    assert big.size_bytes == sum(p.stat().st_size for p in written) > 5000


def test_a_clock_that_was_set_back_does_not_hide_the_last_run(results):
    runs = [run("r1"), run("r1", "end", outcome="ended"), run("r2", at=START - timedelta(hours=1))]
    runs = [row | {"study_question": f"of {row['run']}?", "study_json": "{}"} for row in runs]
    for row in runs:
        record(results, "s", runs=[row])
    (summary,) = overview.summaries(results)
    assert (summary.last_run, summary.last_outcome) == (START - timedelta(hours=1), "running or killed")
    assert StudyQuestion.last(results, "s").text == "of r2?"


def test_a_sweep_without_runs_or_epochs_is_summed_up(results):
    record(results, "s", plan=[plan("a")])
    (summary,) = overview.summaries(results)
    assert (summary.outcomes, summary.unfinished, summary.epochs) == ({}, 1, 0)
    assert (summary.last_run, summary.last_outcome) == (None, None)


def test_without_sweeps_there_is_none_and_without_results_it_is_said(results):
    with pytest.raises(ResultsError, match=f"there is no results folder {results}"):
        overview.summaries(results)
    Writer(results, "s")
    assert overview.summaries(results) == []
    with pytest.raises(ResultsError, match=f"no results of sweep 's' in {results}; no sweep is recorded there"):
        overview.trials(results, "s")


def test_a_row_a_trial_with_what_became_of_it(results):
    two_sweeps(results)
    shown = overview.trials(results, "big").select(pl.exclude("reason", "warning")).rows()
    assert shown == [
        ("aa11", "adam", "comparison", 1, "completed", 2, 0.75),
        ("ab22", "sgd", "comparison", 1, "failed", 2, None),
        ("cc33", "adam", "comparison", 2, "completed", 2, 0.625),
        ("dd44", "sgd", "comparison", 2, "stopped", 1, 0.125),
        ("ee55", "adam", "comparison", 3, "unfinished", 1, 0.25),
        ("ff66", "adam", "comparison", 4, "completed", 2, 0.5),
    ]
    messages = overview.trials(results, "big").select("trial_id", "reason", "warning").rows()
    assert messages[:3] == [("aa11", None, "slow"), ("ab22", "ValueError: no", None), ("cc33", None, None)]


def test_a_sweeps_own_end_goes_before_anothers(results):
    record(results, "a", plan=[plan("t")], trials=[trial("t", "completed", attempt=5)])
    record(results, "b", plan=[plan("t")], trials=[trial("t", "failed")])
    assert overview.trials(results, "a")["outcome"].to_list() == ["completed"]
    assert overview.trials(results, "b")["outcome"].to_list() == ["failed"]


def test_all_about_a_trial(results):
    two_sweeps(results)
    story = overview.trial(results, "big", "ab")
    assert (story.trial_id, story.arm, story.seed, story.trained_by) == ("ab22", "sgd", 1, "big")
    assert [(e["attempt"], e["continuation"], e["traceback"]) for e in story.ends] == [
        (0, 0, "Trace\n[x]"),
        (1, 0, "Trace\n[x]"),
    ]
    assert story.epochs.select("attempt", "epoch", "val_accuracy").rows() == [(0, 1, 0.5), (1, 1, 0.25), (1, 2, 0.5)]
    assert story.log == "/gone/ab22.log"
    (results / "logs").mkdir()
    (results / "logs" / "ab22.log").write_text("said")
    assert overview.trial(results, "big", "ab").log == str(results / "logs" / "ab22.log")
    assert [e["outcome"] for e in overview.trial(results, "big", "cc33").ends] == ["failed", "completed"]


def test_a_trial_that_another_sweep_trained_or_none(results):
    two_sweeps(results)
    story = overview.trial(results, "big", "ff")
    assert (story.trained_by, len(story.ends), story.epochs.height) == ("small", 1, 2)
    record(results, "small", plan=[plan("99")])
    story = overview.trial(results, "small", "99")
    assert (story.trained_by, story.ends, story.epochs.height, story.log) == (None, [], 0, None)


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("a", "the ids of 2 trials of sweep 'big' start with 'a'; valid: aa11 (adam, seed 1), ab22 (sgd, seed 1)"),
        ("zz", "no trial id of sweep 'big' starts with 'zz'; valid: aa11 (adam, seed 1), ab22 (sgd, seed 1), cc33 "),
    ],
)
def test_a_beginning_of_several_trials_or_none_is_refused_with_the_candidates(results, prefix, words):
    two_sweeps(results)
    with pytest.raises(ResultsError) as refused:
        overview.trial(results, "big", prefix)
    assert str(refused.value).startswith(words)


def test_of_many_candidates_the_first_are_listed(results):
    record(results, "s", plan=[plan(f"t{n}", seed=n) for n in range(30)], runs=[run()], epochs=curve("t0", 0.5))
    with pytest.raises(ResultsError, match=r"t11 \(adam, seed 11\) and 18 more$"):
        overview.trial(results, "s", "t")


def test_an_unknown_sweep_is_refused_and_those_that_exist_are_named(results):
    two_sweeps(results)
    for ask in (lambda: overview.trials(results, "medium"), lambda: overview.trial(results, "..", "a")):
        with pytest.raises(ResultsError, match=f"in {results}; recorded sweeps: big, small$"):
            ask()


@pytest.mark.parametrize(("metric", "best"), [("val_balanced_accuracy", 0.8), ("val_loss", 0.25)])
def test_the_best_value_of_the_sweeps_own_metric_has_a_column(tmp_path, metric, best):
    rows = [*curve("aa11", 0.5, 0.75), *curve("aa11", 0.9, 0.9, attempt=1)]
    for row, value in zip(rows, (0.1, 0.2, 0.8, 0.25), strict=True):
        row[metric] = value
    record(tmp_path, "photos", plan=[plan("aa11"), plan("bb22")], epochs=rows)
    frame = overview.trials(tmp_path, "photos", metric=metric)
    assert frame[f"best_{metric}"].to_list() == [best, None]
    assert frame.columns.index(f"best_{metric}") == frame.columns.index("best_val_accuracy") + 1
    assert f"best_{metric}" not in overview.trials(tmp_path, "photos").columns
