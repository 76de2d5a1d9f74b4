"""What every peer is asked to do, and what it answers: the same models on the same images, by other means."""

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
        """How many trainings there are."""
        return len(self.optimizers) * self.seeds

    @property
    def data(self) -> Data:
        """The data set, prepared."""
        return prepare("fashion_mnist", images=self.images)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A peer's command line."""

    out: Path
    """The JSON file to write."""
    work: tyro.conf.OmitArgPrefixes[Work]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One training's end; accuracies are shares."""

    optimizer: str
    seed: int
    val_accuracy: float
    test_accuracy: float


def asked(description: str | None) -> Asked:
    """Reads the command line."""
    return tyro.cli(Asked, description=description)


def model(optimizer: str, data: Data) -> Any:
    """The model of the sweep, compiled as Keras does unless told otherwise."""
    made = fashion_cnn.build(fashion_cnn.Config(), data.image_shape, len(data.classes))
    made.compile(optimizer=optimizer, loss=LOSS, metrics=["accuracy"])
    return made


def fit(made: Any, sets: Sets, epochs: int, callbacks: Sequence[Any] = ()) -> Any:
    """Trains on NumPy arrays, and validates after each epoch."""
    return made.fit(
        sets.train.images,
        sets.train.labels,
        validation_data=(sets.validation.images, sets.validation.labels),
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
    )


def result(optimizer: str, seed: int, made: Any, fitted: Any, sets: Sets) -> Result:
    """Reads the test set once."""
    _, accuracy = made.evaluate(sets.test.images, sets.test.labels, verbose=0)
    reached = float(fitted.history["val_accuracy"][-1])
    return Result(optimizer=optimizer, seed=seed, val_accuracy=reached, test_accuracy=float(accuracy))


def answer(out: Path, results: Sequence[Result], *, first_step: float | None = None) -> None:
    """Writes what was reached; `first_step` is when the first training step had ended, seconds since 1970."""
    out.write_text(json.dumps({"results": [asdict(r) for r in results], "first_step": first_step}))


def read_answer(out: Path) -> tuple[list[Result], float | None]:
    """What a peer wrote."""
    said = json.loads(out.read_text())
    return [Result(**row) for row in said["results"]], said["first_step"]


def first_step_noted(times: list[float]) -> Any:
    """A Keras callback that appends the time at which the first training step has ended."""
    import keras

    def note(*_: object, **__: object) -> None:
        if not times:
            times.append(time.time())

    return keras.callbacks.LambdaCallback(on_train_batch_end=note)
