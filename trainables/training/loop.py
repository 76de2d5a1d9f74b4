"""A training as a generator: `Built` first, then one `Epoch` after each epoch; the last one carries the test set.

    for value in run(build, config, data, seed=1, epochs=3):
        ...

Whoever reads it may stop after any value: nothing depends on code behind a yield. On a CPU with one thread
(`trainables.hardware.one_thread`) two runs with equal arguments are equal in every digit.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

import keras

from layersweep.records.values import Built, ClassReport, Epoch, Test
from trainables.data.dataset import Data, Images, ImageSet, Labels, Sets
from trainables.hardware import on_gpu
from trainables.keras_names import LEARNING_RATES
from trainables.layers.standardization import Standardization
from trainables.measures import model_measures
from trainables.training import saved_network
from trainables.training.batches import batches
from trainables.training.inputs import fed
from trainables.training.random_states import reseed
from trainables.training.step import Step
from trainables.training.traced_models import Traced, traced

PROBE_IMAGES: Final = 64
"""The layers are measured on the first images of the training set: the same for every arm of a seed."""


class Trainable(Protocol):
    """What the training itself reads of a family's Config, a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def optimizer(self) -> str:
        """A name in `LEARNING_RATES`."""

    @property
    def learning_rate(self) -> float | None:
        """Step size, filled in."""

    @property
    def batch_size(self) -> int:
        """Images a step."""


C = TypeVar("C", bound=Trainable)
Build = Callable[[C, tuple[int, int, int], int], keras.Model]


def run(
    build: Build[C],
    config: C,
    data: Data,
    *,
    seed: int,
    epochs: int,
    precision: str = "float32",
    start: Path | None = None,
    parent: Path | None = None,
    lite: bool = False,
) -> Iterator[Built | Epoch]:
    """Trains a model from `build`, epoch by epoch, to `epochs`; from the checkpoint `start` if one is given.

    It begins with the weights of the network saved as `parent`, if one is given, which has the same layers. With `lite`
    the network is converted by LiteRT after the last epoch (`trainables.measures.litert`).

    The seed draws validation set, initial weights, order of the images and dropout. An epoch that meets a NaN ends at
    once, and its losses say so; the reader decides whether to go on.
    """
    clock = _Clock()
    sets, views = data.split(seed), getattr(config, "augmented_views", 0)
    if start is None:
        key = build, _layers(config), data.image_shape, len(data.classes)
        made = traced(
            key,
            lambda: _compiled(build, config, data, sets, parent),
            seed=seed,
            precision=precision,
            augmented=views > 0,
        )
    else:
        made = traced(None, lambda: _loaded(start), seed=seed, precision=precision, augmented=views > 0)
    probe = _probe(sets.train)
    with made as model:
        yield model_measures.built(model.model, seconds_build=clock.lap())
        clock = _Clock()
        given = fed(model, data, sets, views=views, precision=precision)
        seconds_features = clock.lap()
        evaluation = _Evaluation(validation=given.validation, test=given.test, probe=probe, classes=data.classes)
        for epoch in range(1 if start is None else 1 + saved_network.saved_after(start), epochs + 1):
            images = batches(given.of_epoch(epoch), config.batch_size, seed=seed, epoch=epoch)
            done = _epoch(model, images, evaluation, epoch=epoch, epochs=epochs, seed=seed)
            if lite and epoch == epochs and not done.diverged:
                done = _exported(done, model.model, sets)
            yield replace(done, seconds_features=seconds_features)
            seconds_features = 0.0


@dataclass
class _Clock:
    """A stopwatch that gives the seconds since it was last read."""

    last: float = 0.0

    def __post_init__(self) -> None:
        self.last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return seconds


_OF_TRAINING: Final = frozenset({"optimizer", "learning_rate", "momentum", "batch_size"})
"""What of a Config says how a model is trained, and nothing of its layers."""


def _layers(config: Trainable) -> tuple[object, ...]:
    """What of a Config the layers may depend on."""
    named = (field.name for field in fields(config) if field.name not in _OF_TRAINING)
    return type(config), *(getattr(config, name) for name in named)


def _compiled(build: Build[C], config: C, data: Data, sets: Sets, parent: Path | None) -> keras.Model:
    model = build(config, data.image_shape, len(data.classes))
    momentum = getattr(config, "normalization_momentum", 0.0)
    for layer in model.layers:
        if momentum and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = momentum
        if isinstance(layer, Standardization) and not layer.measured:
            layer.measure(sets.train.images)
    if parent is not None:
        model.set_weights(keras.saving.load_model(parent, safe_mode=True, compile=False).get_weights())
    model.compile(
        optimizer=optimizer(config.optimizer, config.learning_rate, getattr(config, "momentum", 0.0)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],  # for whoever loads it
        jit_compile=on_gpu(),  # XLA makes convolutions 2-4x slower on a CPU
    )
    return model


def _loaded(path: Path) -> keras.Model:
    return keras.saving.load_model(path, safe_mode=True)


def optimizer(name: str, learning_rate: float | None, momentum: float = 0.0) -> keras.optimizers.Optimizer:
    """The Keras optimizer of that name: its class' name in lower case, a key of `LEARNING_RATES`.

    One without momentum takes none.
    """
    by_name = {n.lower(): getattr(keras.optimizers, n) for n in dir(keras.optimizers)}
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    more = {"momentum": momentum} if momentum else {}
    made: keras.optimizers.Optimizer = by_name[name](learning_rate=rate, **more)
    return made


@dataclass(frozen=True, kw_only=True)
class _Evaluation:
    """What a model is measured on."""

    validation: ImageSet
    test: ImageSet
    probe: ImageSet
    classes: Sequence[str]


def _probe(train: ImageSet) -> ImageSet:
    return ImageSet(images=train.images[:PROBE_IMAGES], labels=train.labels[:PROBE_IMAGES])


def measured(epoch: int, epochs: int) -> bool:
    """Whether the layers are measured after an epoch: 1, 2, 4, 8, ... and the last."""
    return epoch == epochs or epoch & (epoch - 1) == 0


def _save(model: keras.Model, epoch: int, path: Path) -> None:
    """Saves model and optimizer with the epoch: the optimizer's own count leaves out steps that float16 skipped."""
    model.save(path)
    saved_network.mark(path, epoch)


def _reports(
    validation: model_measures.Reading, test: model_measures.Reading, classes: Sequence[str]
) -> tuple[ClassReport, ...]:
    return (
        *model_measures.class_reports("validation", validation, classes),
        *model_measures.class_reports("test", test, classes),
    )


def _exported(done: Epoch, model: keras.Model, sets: Sets) -> Epoch:
    """The last epoch with what its network was converted to."""
    from trainables.measures import litert

    clock = _Clock()
    exports = litert.exports(model, train=sets.train, validation=sets.validation)
    return replace(done, exports=exports, seconds_measure=done.seconds_measure + clock.lap())


@dataclass(frozen=True, kw_only=True)
class _Trained:
    """Means over the images of an epoch, and the seconds of its first step if that had something to trace."""

    loss: float
    accuracy: float
    seconds_build: float


def _trained(step: Step, images: Iterable[tuple[Images, Labels]]) -> _Trained:
    """Takes a step for each batch, up to the first whose loss is no number."""
    clock, seconds_build = _Clock(), 0.0
    losses, hits, seen = 0.0, 0, 0
    for batch, labels in images:
        fresh = step.fresh
        stepped = step(batch, labels)
        if fresh:
            seconds_build = clock.lap()
        losses, hits, seen = losses + stepped.loss * len(labels), hits + stepped.hits, seen + len(labels)
        if not math.isfinite(stepped.loss):
            break
    return _Trained(loss=losses / seen, accuracy=hits / seen, seconds_build=seconds_build)


def _epoch(
    traced_model: Traced,
    images: Iterable[tuple[Images, Labels]],
    evaluation: _Evaluation,
    *,
    epoch: int,
    epochs: int,
    seed: int,
) -> Epoch:
    """Trains one epoch and reads everything that is due after it."""
    model = traced_model.model
    clock, last = _Clock(), epoch == epochs
    reseed(model, seed, epoch)
    trained = _trained(traced_model.step, images)
    seconds_train = clock.lap() - trained.seconds_build
    validation = model_measures.evaluate(traced_model.ahead, evaluation.validation)
    seconds_validate = clock.lap()
    test = model_measures.evaluate(traced_model.ahead, evaluation.test) if last else None
    seconds_test = clock.lap()
    statistics = traced_model.probed.statistics(evaluation.probe) if measured(epoch, epochs) else ()
    latency = model_measures.latency(traced_model.forward, evaluation.probe.images) if last else None
    classes = _reports(validation, test, evaluation.classes) if test else ()
    return Epoch(
        epoch=epoch,
        loss=trained.loss,
        accuracy=trained.accuracy,
        val_loss=validation.loss,
        val_accuracy=validation.accuracy,
        learning_rate=float(model.optimizer.learning_rate),
        seconds_build=trained.seconds_build,
        seconds_train=seconds_train,
        seconds_validate=seconds_validate,
        seconds_test=seconds_test,
        seconds_measure=clock.lap(),
        statistics=statistics,
        test=Test(loss=test.loss, accuracy=test.accuracy, images=test.images) if test else None,
        classes=classes,
        latency=latency,
        save=partial(_save, model, epoch),
    )
