"""What every export is made of: the latest attempt of each trial, with words that do nothing."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imbalanced_sweep import imbalanced_sweep
from recorded_sweep import START, Sweep

from layersweep.exporters.sweep_values import SweepValues, folder_name, sweep_values
from layersweep.records.errors import ResultsError
from layersweep.records.metrics import ACCURACY, BALANCED_ACCURACY, MACRO_F1
from layersweep.records.study_question import StudyQuestion


def trials(sweep: Sweep):
    return {trial.trial_id: trial for trial in sweep_values(sweep.write(), sweep.name).trials}


def test_each_trial_has_its_state_its_curve_and_the_verdict_on_its_arm(mixed):
    values = sweep_values(mixed.write(), "optimizers")
    by_id = {trial.trial_id: trial for trial in values.trials}
    states = {trial_id: (trial.state, len(trial.epochs)) for trial_id, trial in by_id.items()}
    assert states == {
        **{f"{arm}{seed}": ("completed", 3) for seed in (1, 2, 3) for arm in ("adam", "sgd")},
        "ftrl1": ("stopped", 2),
        "lion1": ("diverged", 2),
        "muon1": ("failed", 0),
        "nadam1": ("completed", 3),
        "adamax1": ("unfinished", 1),
    }
    assert values.waiting_trials == 1
    assert by_id["adam1"].verdict == "best"
    assert by_id["sgd2"].verdict == "worse"
    assert by_id["ftrl1"].verdict.startswith("screened out at epoch 2")
    assert by_id["muon1"].reason == "ValueError: no"
    assert by_id["adam3"].config == {"optimizer": "adam", "learning_rate": 0.001}
    assert by_id["adam3"].replicate == {"seed": 3}
    first = by_id["adam1"].epochs[0]
    assert (first.at, first.values) == (
        START + timedelta(seconds=10),
        {"loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.5},
    )
    assert math.isnan(by_id["lion1"].epochs[1].values["val_accuracy"])


def test_the_latest_attempt_counts(mixed):
    trial = trials(mixed)["nadam1"]
    assert (trial.attempt, [epoch.values["val_accuracy"] for epoch in trial.epochs]) == (1, [0.3, 0.4, 0.5])
    assert not trial.reason


def test_a_trial_that_goes_on_after_its_end_is_unfinished(sweep):
    sweep.trial("adam", 1, [0.5, 0.6], "failed", reason="RuntimeError: x", trial_id="a")
    sweep.trial("adam", 1, [0.7], None, after=2, planned=False, trial_id="a")
    (trial,) = trials(sweep).values()
    assert (trial.state, trial.reason, len(trial.epochs)) == ("unfinished", "", 3)


def test_folds_are_told_apart(sweep):
    for fold in (0, 1):
        sweep.plan("adam", 1, f"f{fold}", fold=fold)
        sweep.trial("adam", 1, [0.5, 0.6, 0.7], planned=False, trial_id=f"f{fold}", fold=fold)
    assert {trial.title for trial in trials(sweep).values()} == {"adam, seed 1 fold 0", "adam, seed 1 fold 1"}


def test_a_candidate_of_a_tuned_arm_has_the_verdict_on_that_arm(sweep):
    for number, rate in enumerate((0.1, 0.01)):
        sweep.trial(
            "adam tuned", 0, [0.5, 0.6, 0.7], question="tuning", candidate=number, trial_id=f"c{number}",
            config={"optimizer": "adam", "learning_rate": rate},
        )  # fmt: skip
    sweep.trial("adam tuned", 1, [0.5, 0.6, 0.7], trial_id="a1", config={"optimizer": "adam", "learning_rate": 0.1})
    by_id = trials(sweep)
    assert {trial.verdict for trial in by_id.values()} == {"only arm"}
    assert by_id["c1"].title == "adam tuned, seed 0, tuning"


def test_a_first_phase_belongs_to_no_arm(sweep):
    sweep.trial("adam", 1, [0.5, 0.6, 0.7], question="first phase", trial_id="p")
    sweep.trial("adam", 1, [0.5, 0.6, 0.7], trial_id="a")
    phase = trials(sweep)["p"]
    assert (phase.arm, phase.verdict, phase.title) == ("", "", "seed 1, first phase")


def test_arms_that_are_not_compared_are_in_different_groups(sweep):
    for classes in (5, 10):
        for seed in (1, 2):
            sweep.trial(f"adam {classes}", seed, [0.3, 0.4, 0.5 + seed / 100], config={"classes": classes})
    sweep.run(**StudyQuestion(text="?", apart={"classes": "all"}).columns)
    groups = {(trial.arm, trial.group) for trial in trials(sweep).values()}
    assert {group for _, group in groups} == {"classes=5", "classes=10"}


def test_a_trial_that_another_sweep_trained_has_its_curve(sweep, tmp_path):
    sweep.plan("adam", 1, "shared")
    sweep.write()
    other = Sweep(tmp_path / "results", "other")
    other.trial("adam", 1, [0.5, 0.6, 0.7], trial_id="shared")
    other.write()
    (trial,) = sweep_values(tmp_path / "results", "optimizers").trials
    assert (trial.state, len(trial.epochs)) == ("completed", 3)


def test_an_epoch_without_a_time_has_that_of_the_trials_end(sweep):
    sweep.trial("adam", 1, [0.5], trial_id="a")
    assert trials(sweep)["a"].epochs[0].at == START + timedelta(minutes=5)


def test_configuration_values_are_plain_and_their_keys_no_labels(sweep):
    values = {"a": True, "b": None, "c": 1 << 70, "arm": "x", "seed": 3, "d\n\x1b": "\ud800\x00"}
    sweep.trial("adam", 1, [0.5], None, trial_id="a", config=values)
    (trial,) = trials(sweep).values()
    assert trial.config == {"a": True, "c": str(1 << 70), "config arm": "x", "d\n\\x1b": "\\ud800\\x00"}


def test_the_fingerprint_changes_with_whatever_is_exported(mixed):
    trial = trials(mixed)["adam1"]
    assert trial.fingerprint == trials(mixed)["adam1"].fingerprint
    epoch = replace(trial.epochs[0], values={"loss": math.inf})
    others = [replace(trial, verdict="worse"), replace(trial, epochs=[epoch]), replace(trial, config={"a": 1})]
    others.append(replace(others[-1], config={"a": True}))
    assert len({other.fingerprint for other in [trial, *others]}) == 5


def test_an_unknown_sweep_is_named_with_those_that_are_recorded(mixed):
    results = mixed.write()
    with pytest.raises(ResultsError, match=r"'../plan'.*recorded sweeps: optimizers"):
        sweep_values(results, "../plan")


@given(st.text(max_size=300))
def test_any_text_makes_the_name_of_one_file(text):
    name = folder_name(text)
    assert "/" not in name
    assert name not in ("", ".", "..")
    assert name.isprintable()
    assert len(name.encode()) < 240
    assert not name.startswith((".", "~", "-", " "))


@given(st.text(max_size=80), st.text(max_size=80))
def test_two_sweeps_have_two_folders(first, second):
    a, b = (SweepValues(sweep=name, question="", metric="", trials=[], waiting_trials=0) for name in (first, second))
    assert (a.folder == b.folder) == (first == second)


def test_the_metric_of_the_sweep_decides_and_all_metrics_are_exported(tmp_path):
    sweep = imbalanced_sweep(tmp_path / "results", older=("constant",))
    values = sweep_values(sweep.results, sweep.name)
    assert (values.metric, values.is_loss) == (BALANCED_ACCURACY, False)
    by_arm = {trial.arm: trial for trial in values.trials}
    assert by_arm["careful"].verdict == "leads"
    recorded = {name for epoch in by_arm["careful"].epochs for name in epoch.values}
    assert {ACCURACY, BALANCED_ACCURACY, MACRO_F1} <= recorded
    assert {name for epoch in by_arm["constant"].epochs for name in epoch.values} == {ACCURACY}
