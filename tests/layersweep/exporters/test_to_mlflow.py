"""MLflow's own client sees what is recorded: parameters, curves with their times, verdicts as tags."""

import math
import shutil
from datetime import timedelta

import pytest
from recorded_sweep import START

from layersweep.records.errors import ResultsError

pytestmark = pytest.mark.filterwarnings("ignore")
mlflow = pytest.importorskip("mlflow", reason="uv sync --group mlflow")
pytest.importorskip("alembic", reason="uv sync --group mlflow")

ADAMAX = {"optimizer": "adamax", "learning_rate": 0.3}


class Experiment:
    """An experiment as MLflow reads it."""

    def __init__(self, out, name="optimizers"):
        self.client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{out}/mlflow.db")
        self.experiment = self.client.get_experiment_by_name(name)

    @property
    def runs(self):
        runs = self.client.search_runs([self.experiment.experiment_id])
        by_id = {run.data.tags["trial_id"]: run for run in runs}
        assert len(by_id) == len(runs)
        return by_id

    def curve(self, trial_id, metric="val_accuracy"):
        return self.client.get_metric_history(self.runs[trial_id].info.run_id, metric)


def milliseconds(seconds):
    return round((START + timedelta(seconds=seconds)).timestamp() * 1000)


@pytest.fixture
def exported(mixed, exporter, mlflow_store):
    exporter.out.mkdir()
    shutil.copy(mlflow_store, exporter.out)
    mixed.write()
    assert "11 trials added" in exporter(mixed, "mlflow")
    return Experiment(exporter.out)


def test_a_run_has_parameters_tags_and_a_curve(exported):
    run = exported.runs["adam1"]
    assert run.data.params == {"optimizer": "adam", "learning_rate": "0.001"}
    tags = {name: text for name, text in run.data.tags.items() if not name.startswith(("mlflow.", "layersweep."))}
    assert tags == {
        "trial_id": "adam1", "arm": "adam", "verdict": "best", "state": "completed", "question": "comparison",
        "seed": "1", "reason": "", "group": "",
    }  # fmt: skip
    assert run.info.run_name == "adam, seed 1"
    assert (run.info.start_time, run.info.end_time) == (milliseconds(0), milliseconds(300))
    points = [(p.step, p.value, p.timestamp) for p in exported.curve("adam1")]
    assert points == [(1, 0.5, milliseconds(10)), (2, 0.7, milliseconds(20)), (3, 0.901, milliseconds(30))]
    assert exported.client.search_runs([exported.experiment.experiment_id], "tags.verdict = 'best'")


def test_the_status_follows_the_outcome_and_nan_stays(exported):
    status = {trial_id: run.info.status for trial_id, run in exported.runs.items()}
    assert status["ftrl1"] == status["nadam1"] == "FINISHED"
    assert status["lion1"] == status["muon1"] == "FAILED"
    assert status["adamax1"] == "RUNNING"
    assert math.isnan(exported.curve("lion1")[1].value)


def test_a_repeated_export_adds_only_what_is_missing(exported, mixed, exporter):
    before = {trial_id: run.info.run_id for trial_id, run in exported.runs.items()}
    assert "0 trials added, 11 unchanged" in exporter(mixed, "mlflow")
    mixed.trial("adamax", 1, [0.7, 0.8], after=1, planned=False, trial_id="adamax1", config=ADAMAX)
    sgd = {"optimizer": "sgd", "learning_rate": 0.1}
    mixed.trial("sgd", 3, [0.1, 0.1, 0.2], attempt=1, planned=False, trial_id="sgd3", config=sgd)
    mixed.write()
    exporter(mixed, "mlflow")
    runs = exported.runs
    assert runs["adamax1"].info.run_id == before["adamax1"]
    assert runs["adamax1"].info.status == "FINISHED"
    assert [p.step for p in exported.curve("adamax1")] == [1, 2, 3]
    assert runs["sgd3"].info.run_id != before["sgd3"]  # another attempt: another curve
    assert [p.value for p in exported.curve("sgd3")] == [0.1, 0.1, 0.2]


def test_an_export_that_was_killed_is_completed(exported, mixed, exporter):
    run = exported.runs["adam1"]
    exported.client.delete_tag(run.info.run_id, "layersweep.fingerprint")  # written last
    assert "1 written anew, 10 unchanged" in exporter(mixed, "mlflow")
    assert exported.runs["adam1"].info.run_id == run.info.run_id
    assert len(exported.curve("adam1")) == 3


def test_another_sweep_is_another_experiment(exported, mixed, exporter):
    mixed.name = "second"
    for rows in mixed.rows.values():
        for row in rows:
            row["sweep"] = "second"
    mixed.write()
    exporter(mixed, "mlflow")
    assert len(Experiment(exporter.out, "second").runs) == len(exported.runs) == 11


def test_a_refusal_is_one_line(exported, mixed, exporter):
    exported.client.delete_experiment(exported.experiment.experiment_id)
    with pytest.raises(ResultsError, match=r"MLflow cannot write .*mlflow\.db: .*deleted"):
        exporter(mixed, "mlflow")


@pytest.mark.parametrize("name", ["a?b=1", "a%41"])
def test_a_folder_that_mlflow_would_not_find_is_refused(mixed, exporter, name):
    mixed.write()
    exporter.out /= name
    with pytest.raises(ResultsError, match=r"whose path has [?%]: give another --out"):
        exporter(mixed, "mlflow")
    assert {path.name for path in exporter.out.parent.rglob("*")} == {name, ".layersweep.lock"}
