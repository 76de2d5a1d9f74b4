"""The optimizers by KerasTuner's grid search, with its defaults."""

import tempfile
from typing import Any

import keras
import keras_tuner

from benchmarks.programs import asked
from trainables.data.dataset import Data


class Optimizers(keras_tuner.HyperModel):
    """The model with the optimizer and the seed as what varies; each seed has its own images."""

    def __init__(self, work: asked.Work, data: Data) -> None:
        super().__init__()
        self.results: list[asked.Result] = []
        self._work, self._data = work, data

    def build(self, hp: Any) -> Any:
        """The compiled model."""
        optimizer = hp.Choice("optimizer", list(self._work.optimizers))
        keras.utils.set_random_seed(hp.Choice("seed", list(range(1, self._work.seeds + 1))))
        return asked.model(optimizer, self._data)

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        """Trains it, and reads the test set."""
        optimizer, seed = str(hp.get("optimizer")), int(hp.get("seed"))
        sets = self._data.split(seed)
        fitted = asked.fit(model, sets, self._work.epochs, callbacks)
        self.results.append(asked.result(optimizer, seed, model, fitted, sets))
        return fitted


def main(wanted: asked.Asked) -> None:
    """Searches the whole grid."""
    model = Optimizers(wanted.work, wanted.work.data)
    with tempfile.TemporaryDirectory(prefix="keras-tuner-") as folder:
        tuner = keras_tuner.GridSearch(
            model, objective="val_accuracy", max_trials=wanted.work.count, directory=folder, project_name="optimizers"
        )
        tuner.search(verbose=0)
    asked.answer(wanted.out, model.results)


if __name__ == "__main__":
    main(asked.asked(__doc__))
