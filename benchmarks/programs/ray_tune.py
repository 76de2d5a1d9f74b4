"""The optimizers with Ray Tune and its callback for Keras: a function trainable, one core per trial, all defaults."""

import tempfile
from typing import Any

import ray
from ray import tune

from benchmarks.programs import peer_task
from trainables.data.dataset import Data


def train(config: dict[str, Any], work: peer_task.Work, data: Data) -> None:
    """Trains one model, reports and saves it after each epoch, and evaluates it on the test set."""
    import keras
    from ray.tune.integration.keras import TuneReportCheckpointCallback

    optimizer, seed = str(config["optimizer"]), int(config["seed"])
    keras.utils.set_random_seed(seed)
    sets, model = data.split(seed), peer_task.build_model(optimizer, data)
    history = peer_task.fit(model, sets, work.epochs, [TuneReportCheckpointCallback()])
    result = peer_task.evaluate(optimizer, seed, model, history, sets)
    tune.report({"val_accuracy": result.val_accuracy, "test_accuracy": result.test_accuracy})


def main(arguments: peer_task.Arguments) -> None:
    """Runs the grid."""
    work = arguments.work
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
        results = tuner.fit()
    peer_task.write_answer(arguments.out, [_result(one.config, one.metrics) for one in results if one.error is None])


def _result(config: dict[str, Any], metrics: dict[str, Any]) -> peer_task.Result:
    accuracies = {name: float(metrics[name]) for name in ("val_accuracy", "test_accuracy")}
    return peer_task.Result(optimizer=config["optimizer"], seed=config["seed"], **accuracies)


if __name__ == "__main__":
    main(peer_task.read_arguments(__doc__))
