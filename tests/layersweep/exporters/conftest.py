"""Recorded sweeps for the exports."""

import io
from datetime import timedelta
from pathlib import Path

import pytest
from recorded_sweep import START, Sweep

from layersweep.exporters.command import export
from layersweep.terminal import Console

NAN = float("nan")


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """An empty sweep of 3 epochs."""
    return Sweep(tmp_path / "results")


@pytest.fixture
def mixed(sweep: Sweep) -> Sweep:
    """Trials of every fate: two arms compared on three seeds, others that end otherwise."""
    for seed in (1, 2, 3):
        sweep.trial("adam", seed, [0.5, 0.7, 0.9 + seed / 1000], trial_id=f"adam{seed}", config=config("adam", 0.001))
        sweep.trial("sgd", seed, [0.4, 0.5, 0.6 + seed / 1000], trial_id=f"sgd{seed}", config=config("sgd", 0.1))
    sweep.trial("ftrl", 1, [0.1, 0.2], "stopped", trial_id="ftrl1", config=config("ftrl", 0.01), rung=2, cutoff=0.4)
    sweep.trial("lion", 1, [0.3, NAN], "diverged", trial_id="lion1", config=config("lion", 1.0))
    sweep.trial("muon", 1, [], "failed", trial_id="muon1", config=config("muon", 0.5), reason="ValueError: no")
    sweep.trial("nadam", 1, [0.2, 0.2], "failed", trial_id="nadam1", config=config("nadam", 0.2))
    sweep.trial("nadam", 1, [0.3, 0.4, 0.5], attempt=1, planned=False, trial_id="nadam1", config=config("nadam", 0.2))
    sweep.trial("adamax", 1, [0.6], None, trial_id="adamax1", config=config("adamax", 0.3))
    sweep.plan("rmsprop", 1, "rmsprop1", config=config("rmsprop", 0.3))
    for row in sweep.rows["epochs"]:
        number = row["epoch"]
        row |= {"loss": 1 / number, "at": START + timedelta(seconds=10 * number), "learning_rate": 0.5}
    sweep.run()
    return sweep


def config(optimizer: str, rate: float) -> dict[str, object]:
    return {"optimizer": optimizer, "learning_rate": rate}


class Exporter:
    """`layersweep export` to a folder of a test, with the text that it prints."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __call__(self, sweep: Sweep, to: str) -> str:
        text = io.StringIO()
        export(sweep.results, sweep.name, to, out=self.out, console=Console(file=text, width=300))
        return text.getvalue()


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    return Exporter(tmp_path / "out")


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with MLflow's tables: making them takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file
