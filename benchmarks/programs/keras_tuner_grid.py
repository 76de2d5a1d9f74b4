"""The optimizers with KerasTuner's grid search, at its defaults."""

import tempfile
from typing import Any

import keras
import keras_tuner

from benchmarks.programs import peer_task
from trainables.data.dataset import Data


class Optimizers(keras_tuner.HyperModel):
    """The model with optimizer and seed as hyperparameters; each seed has its own images."""

    def __init__(self, work: peer_task.Work, data: Data) -> None:
        super().__init__()
        self.results: list[peer_task.Result] = []
        self._work, self._data = work, data

    def build(self, hp: Any) -> Any:
        """The compiled model."""
        optimizer = hp.Choice("optimizer", list(self._work.optimizers))
        keras.utils.set_random_seed(hp.Choice("seed", list(range(1, self._work.seeds + 1))))
        return peer_task.build_model(optimizer, self._data)

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        """Trains the model, and evaluates it on the test set."""
        optimizer, seed = str(hp.get("optimizer")), int(hp.get("seed"))
        sets = self._data.split(seed)
        history = peer_task.fit(model, sets, self._work.epochs, callbacks)
        self.results.append(peer_task.evaluate(optimizer, seed, model, history, sets))
        return history


def main(arguments: peer_task.Arguments) -> None:
    """Searches the whole grid."""
    model = Optimizers(arguments.work, arguments.work.data)
    with tempfile.TemporaryDirectory(prefix="keras-tuner-") as folder:
        tuner = keras_tuner.GridSearch(
            model,
            objective="val_accuracy",
            max_trials=arguments.work.count,
            directory=folder,
            project_name="optimizers",
        )
        tuner.search(verbose=0)
    peer_task.write_answer(arguments.out, model.results)


if __name__ == "__main__":
    main(peer_task.read_arguments(__doc__))
