"""The optimizers by Ray Tune with its callback for Keras: a function a trial, one core each, every default."""

import tempfile
from typing import Any

import ray
from ray import tune

from benchmarks.programs import asked
from trainables.data.dataset import Data


def train(config: dict[str, Any], work: asked.Work, data: Data) -> None:
    """Trains one model, reports and saves it each epoch, and reads the test set."""
    import keras
    from ray.tune.integration.keras import TuneReportCheckpointCallback

    optimizer, seed = str(config["optimizer"]), int(config["seed"])
    keras.utils.set_random_seed(seed)
    sets, model = data.split(seed), asked.model(optimizer, data)
    fitted = asked.fit(model, sets, work.epochs, [TuneReportCheckpointCallback()])
    reached = asked.result(optimizer, seed, model, fitted, sets)
    tune.report({"val_accuracy": reached.val_accuracy, "test_accuracy": reached.test_accuracy})


def main(wanted: asked.Asked) -> None:
    """Runs the grid."""
    work = wanted.work
    grid = {
        "optimizer": tune.grid_search(list(work.optimizers)),
        "seed": tune.grid_search(list(range(1, work.seeds + 1))),
    }
    ray.init(address="local")  # never a cluster that happens to run here
    with tempfile.TemporaryDirectory(prefix="ray-tune-") as folder:
        tuner = tune.Tuner(
            tune.with_parameters(train, work=work, data=work.data),
            param_space=grid,
            run_config=tune.RunConfig(name="optimizers", storage_path=folder),
        )
        ended = tuner.fit()
    asked.answer(wanted.out, [_result(one.config, one.metrics) for one in ended if one.error is None])


def _result(config: dict[str, Any], metrics: dict[str, Any]) -> asked.Result:
    measured = {name: float(metrics[name]) for name in ("val_accuracy", "test_accuracy")}
    return asked.Result(optimizer=config["optimizer"], seed=config["seed"], **measured)


if __name__ == "__main__":
    main(asked.asked(__doc__))
