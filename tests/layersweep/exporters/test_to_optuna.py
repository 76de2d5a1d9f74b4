"""Optuna itself loads the study: values, ranges, states, the best trial, importances."""

import math

import pytest
from recorded_sweep import CONFIG_TYPES

from layersweep.records.errors import ResultsError
from layersweep.records.study_question import StudyQuestion

pytestmark = pytest.mark.filterwarnings("ignore")
optuna = pytest.importorskip("optuna", reason="uv sync --group optuna")

ADAMAX = {"optimizer": "adamax", "learning_rate": 0.3}


def load(out, name="optimizers", file="optimizers"):
    backend = optuna.storages.journal.JournalFileBackend(str(out / f"{file}.log"))
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))


@pytest.fixture
def exported(mixed, exporter):
    mixed.write()
    assert "11 trials added" in exporter(mixed, "optuna")
    return load(exporter.out)


def by_id(study):
    trials = {trial.user_attrs["trial_id"]: trial for trial in study.trials}
    assert len(trials) == len(study.trials)
    return trials


def test_the_best_trial_has_its_parameters_its_curve_and_the_verdict(exported):
    best = exported.best_trial
    assert (best.user_attrs["trial_id"], best.value) == ("adam3", 0.903)
    assert best.params == {"optimizer": "adam", "learning_rate": 0.001}
    assert best.intermediate_values == {1: 0.5, 2: 0.7, 3: 0.903}
    labels = {name: text for name, text in best.user_attrs.items() if "fingerprint" not in name}
    assert labels == {
        "trial_id": "adam3", "arm": "adam", "seed": 3, "verdict": "best", "state": "completed",
        "question": "comparison",
    }  # fmt: skip
    assert best.distributions["learning_rate"] == optuna.distributions.FloatDistribution(0.001, 1.0, log=True)
    assert {"adam", "sgd", "muon"} < {*best.distributions["optimizer"].choices}


def test_states_are_those_of_optuna(exported):
    states = {trial_id: trial.state.name for trial_id, trial in by_id(exported).items()}
    assert states["ftrl1"] == "PRUNED"
    assert states["lion1"] == states["muon1"] == "FAIL"
    assert states["adamax1"] == "RUNNING"
    assert states["nadam1"] == states["sgd1"] == "COMPLETE"
    assert math.isnan(by_id(exported)["lion1"].intermediate_values[2])


def test_optuna_computes_importances_and_draws(exported):
    importances = optuna.importance.get_param_importances(
        exported, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    assert {*importances} == {"optimizer", "learning_rate"}
    assert optuna.visualization.matplotlib.plot_intermediate_values(exported).lines
    assert optuna.visualization.matplotlib.plot_optimization_history(exported)


def test_a_repeated_export_doubles_nothing(exported, mixed, exporter):
    file = exporter.out / "optimizers.log"
    before = file.stat()
    assert "0 trials added, 11 unchanged" in exporter(mixed, "optuna")
    assert (file.stat().st_ino, file.stat().st_size) == (before.st_ino, before.st_size)
    mixed.trial("adamax", 1, [0.7, 0.8], after=1, planned=False, trial_id="adamax1", config=ADAMAX)
    mixed.write()
    exporter(mixed, "optuna")
    trials = by_id(load(exporter.out))
    assert len(trials) == 11
    assert trials["adamax1"].state.name == "COMPLETE"
    assert sorted(path.name for path in exporter.out.iterdir()) == [".layersweep.lock", "optimizers.log"]


def test_a_study_to_which_someone_has_added_trials_is_not_overwritten(exported, mixed, exporter):
    exported.add_trial(optuna.create_trial(value=0.5, params={}, distributions={}))
    size = (exporter.out / "optimizers.log").stat().st_size
    with pytest.raises(ResultsError, match=r"optimizers\.log has trials that no export wrote: give another --out"):
        exporter(mixed, "optuna")
    assert (exporter.out / "optimizers.log").stat().st_size == size


def test_a_damaged_journal_is_named(exported, mixed, exporter):
    (exporter.out / "optimizers.log").write_text("{no\n{no\n")
    with pytest.raises(ResultsError, match=r"Optuna cannot .*optimizers\.log"):
        exporter(mixed, "optuna")


def test_a_loss_is_minimized_and_groups_are_studies(sweep, exporter):
    for classes in (5, 10):
        for seed in (1, 2):
            curve = [0.3, 0.4, 0.5 + seed / 100]
            sweep.trial(f"adam {classes}", seed, curve, config={"classes": classes}, trial_id=f"{classes}-{seed}")
    for row in sweep.rows["epochs"]:
        row["val_loss"] = row["val_accuracy"]
    sweep.run(**StudyQuestion(text="?", apart={"classes": "all"}, metric="val_loss").columns)
    sweep.write()
    exporter(sweep, "optuna")
    study = load(exporter.out, "optimizers classes=5")
    assert study.direction.name == "MINIMIZE"
    assert [trial.user_attrs["trial_id"] for trial in study.trials] == ["5-1", "5-2"]
    assert study.best_trial.user_attrs["trial_id"] == "5-1"


def test_ranges_fit_all_values_that_a_key_can_have(sweep, exporter, monkeypatch):
    keys = {"a": [1, 2, 300], "b": [0.5, 1, 2], "c": [True, False, True], "d": ["x", 3, "y"], "e": [-1, 0, 5]}
    for key in keys:
        monkeypatch.setitem(CONFIG_TYPES, key, str)
    for number in range(3):
        config = {key: values[number] for key, values in keys.items()} | ({"f": 7} if number else {})
        stored = {key: str(value) for key, value in config.items() if key != "f"}
        sweep.trial(f"arm{number}", 1, [0.3, 0.4, 0.5], config=config, trial_id=f"t{number}", **stored)
    for row in sweep.rows["trials"]:
        row.pop("f", None)
    sweep.write()
    exporter(sweep, "optuna")
    d = optuna.distributions
    ranges = load(exporter.out).trials[2].distributions
    assert ranges == {
        "a": d.IntDistribution(1, 300, log=True),
        "b": d.FloatDistribution(0.5, 2.0),
        "c": d.CategoricalDistribution([True, False]),
        "d": d.CategoricalDistribution(["x", 3, "y"]),
        "e": d.IntDistribution(-1, 5),
        "f": d.IntDistribution(7, 7),
    }
    assert load(exporter.out).trials[1].params["d"] == 3
