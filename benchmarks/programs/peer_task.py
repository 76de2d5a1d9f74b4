"""The task of every peer program, and its answer: the same models on the same images, trained by other tools."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import tyro

from trainables.data.arrays import Sets
from trainables.data.dataset import Data, prepare
from trainables.families import fashion_cnn

OPTIMIZERS: Final = ("adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd")
LOSS: Final = "sparse_categorical_crossentropy"


@dataclass(frozen=True, kw_only=True)
class Work:
    """Every optimizer on every seed, seeds counted from 1."""

    optimizers: tuple[str, ...] = OPTIMIZERS
    """Keras optimizers, each at Keras' learning rate."""
    seeds: int = 2
    """Trainings of each."""
    images: int = 2_000
    """Training images; validation and test sets shrink in proportion."""
    epochs: int = 2
    """Epochs of each training."""

    @property
    def trials(self) -> Iterator[tuple[str, int]]:
        """(optimizer, seed) of each training."""
        return ((optimizer, seed) for seed in range(1, self.seeds + 1) for optimizer in self.optimizers)

    @property
    def count(self) -> int:
        """The number of trainings."""
        return len(self.optimizers) * self.seeds

    @property
    def data(self) -> Data:
        """The data set, prepared."""
        return prepare("fashion_mnist", images=self.images)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """A peer's command line."""

    out: Path
    """The JSON file to write."""
    work: tyro.conf.OmitArgPrefixes[Work]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one training; accuracies are shares."""

    optimizer: str
    seed: int
    val_accuracy: float
    test_accuracy: float


def read_arguments(description: str | None) -> Arguments:
    """Reads the command line."""
    return tyro.cli(Arguments, description=description)


def build_model(optimizer: str, data: Data) -> Any:
    """The model of the sweep, compiled with Keras' defaults."""
    model = fashion_cnn.build(fashion_cnn.Config(), data.image_shape, len(data.classes))
    model.compile(optimizer=optimizer, loss=LOSS, metrics=["accuracy"])
    return model


def fit(model: Any, sets: Sets, epochs: int, callbacks: Sequence[Any] = ()) -> Any:
    """Trains with Keras' `fit` on NumPy arrays, and validates after each epoch."""
    return model.fit(
        sets.train.images,
        sets.train.labels,
        validation_data=(sets.validation.images, sets.validation.labels),
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    )


def evaluate(optimizer: str, seed: int, model: Any, history: Any, sets: Sets) -> Result:
    """Evaluates a trained model on the test set once."""
    _, accuracy = model.evaluate(sets.test.images, sets.test.labels, verbose=0)
    val_accuracy = float(history.history["val_accuracy"][-1])
    return Result(optimizer=optimizer, seed=seed, val_accuracy=val_accuracy, test_accuracy=float(accuracy))


def write_answer(out: Path, results: Sequence[Result], *, first_step: float | None = None) -> None:
    """Writes the results; `first_step` is the time when the first training step ended, in seconds since 1970."""
    out.write_text(json.dumps({"results": [asdict(r) for r in results], "first_step": first_step}))


def read_answer(out: Path) -> tuple[list[Result], float | None]:
    """The results that a peer wrote, and the time when its first training step ended."""
    content = json.loads(out.read_text())
    return [Result(**row) for row in content["results"]], content["first_step"]


def first_step_callback(times: list[float]) -> Any:
    """A Keras callback that appends the time when the first training step ends."""
    import keras

    def note(*_: object, **__: object) -> None:
        if not times:
            times.append(time.time())

    return keras.callbacks.LambdaCallback(on_train_batch_end=note)
