"""A training as a generator: `Built` first, then one `Epoch` after each epoch; the last one carries the test set.

    for value in run(build, config, data, seed=1, epochs=3):
        ...

Whoever reads it may stop after any value: nothing depends on code behind a yield. On a CPU with one thread
(`trainables.hardware.one_thread`) two runs with equal arguments are equal in every digit; why is in
docs/decisions/determinism.md.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import keras

import trainables.layers.batch_normalization
import trainables.layers.dropout  # noqa: F401  (a checkpoint may hold their layers)
from layersweep.records.values import Built, Epoch, Test
from trainables.data.arrays import Images, ImageSet, Labels, Sets
from trainables.data.dataset import Data
from trainables.hardware import on_gpu
from trainables.keras_names import LEARNING_RATES
from trainables.keys import Keys
from trainables.layers.standardization import Standardization
from trainables.measures import model_measures
from trainables.training import saved_network
from trainables.training.batches import batches
from trainables.training.inputs import Fed, fed
from trainables.training.random_states import reseed
from trainables.training.step import Step
from trainables.training.traced_models import Traced, traced

PROBE_IMAGES: Final = 64
"""The layers are measured on the first images of the training set: the same for every arm of a seed."""


Build = Callable[[Any, tuple[int, int, int], int], keras.Model]
"""Makes a family's model, not compiled, of a Config, the shape of its images, and the number of classes."""


def run(
    build: Build,
    config: Keys,
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
    sets, views = data.split(seed), config.augmented_views
    if start is None:
        compiled = partial(_compiled, build, config, data, sets, parent)
    else:
        compiled = partial(keras.saving.load_model, start, safe_mode=True)
    key = (build, _layers(config), data.image_shape, len(data.classes)) if start is None else None
    with traced(key, compiled, seed=seed, precision=precision, augmented=views > 0) as model:
        yield model_measures.built(model.model, seconds_build=clock.lap())
        clock = _Clock()
        training = _Training(
            model=model,
            inputs=fed(model, data, sets, views=views, precision=precision),
            probe=sets.train.first(PROBE_IMAGES),
            classes=data.classes,
            batch_size=config.batch_size,
            seed=seed,
            epochs=epochs,
        )
        seconds_features = clock.lap()
        for epoch in range(1 if start is None else 1 + saved_network.saved_after(start), epochs + 1):
            done = training.epoch(epoch)
            if lite and epoch == epochs and not done.diverged:
                done = _exported(done, model.model, sets)
            yield replace(done, seconds_features=seconds_features)
            seconds_features = 0.0


def _now() -> float:
    return time.perf_counter()  # looked up each time: a test gives `time` another clock


@dataclass
class _Clock:
    """A stopwatch that gives the seconds since it was last read."""

    last: float = field(default_factory=_now)

    def lap(self) -> float:
        now = _now()
        seconds, self.last = now - self.last, now
        return seconds


_OF_TRAINING: Final = frozenset({"optimizer", "learning_rate", "momentum", "batch_size"})
"""What of a Config says how a model is trained, and nothing of its layers."""


def _layers(config: Keys) -> tuple[object, ...]:
    """What of a Config the layers may depend on."""
    named = (key.name for key in fields(config) if key.name not in _OF_TRAINING)
    return type(config), *(getattr(config, name) for name in named)


def _compiled(build: Build, config: Keys, data: Data, sets: Sets, parent: Path | None) -> keras.Model:
    model = build(config, data.image_shape, len(data.classes))
    for layer in model.layers:
        if config.normalization_momentum and isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.normalization_momentum
        if isinstance(layer, Standardization) and not layer.measured:
            layer.measure(sets.train.images)
    if parent is not None:
        model.set_weights(keras.saving.load_model(parent, safe_mode=True, compile=False).get_weights())
    model.compile(
        optimizer=optimizer(config.optimizer, config.learning_rate, config.momentum),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],  # for whoever loads it
        jit_compile=on_gpu(),  # XLA makes convolutions 2-4x slower on a CPU
    )
    return model


def optimizer(name: str, learning_rate: float | None, momentum: float = 0.0) -> keras.optimizers.Optimizer:
    """The Keras optimizer of that name: its class' name in lower case, a key of `LEARNING_RATES`.

    One without momentum takes none.
    """
    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    more = {"momentum": momentum} if momentum else {}
    by_name = {n.lower(): getattr(keras.optimizers, n) for n in dir(keras.optimizers)}  # keras' own `get` lacks Lamb
    return by_name[name](learning_rate=rate, **more)


def measured(epoch: int, epochs: int) -> bool:
    """Whether the layers are measured after an epoch: 1, 2, 4, 8, ... and the last."""
    return epoch == epochs or epoch & (epoch - 1) == 0


def _save(model: keras.Model, epoch: int, path: Path) -> None:
    """Saves model and optimizer with the epoch: the optimizer's own count leaves out steps that float16 skipped."""
    model.save(path)
    saved_network.mark(path, epoch)


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


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A model in training, what it is trained and measured on, and for how long."""

    model: Traced
    inputs: Fed
    probe: ImageSet
    classes: Sequence[str]
    batch_size: int
    seed: int
    epochs: int

    def epoch(self, epoch: int) -> Epoch:
        """Trains one epoch and reads everything that is due after it."""
        model, clock, last = self.model.model, _Clock(), epoch == self.epochs
        images = batches(self.inputs.of_epoch(epoch), self.batch_size, seed=self.seed, epoch=epoch)
        reseed(model, self.seed, epoch)
        trained = _trained(self.model.step, images)
        seconds_train = clock.lap() - trained.seconds_build
        validation = model_measures.evaluate(self.model.ahead, self.inputs.validation)
        seconds_validate = clock.lap()
        test = model_measures.evaluate(self.model.ahead, self.inputs.test) if last else None
        seconds_test = clock.lap()
        statistics = self.model.probed.statistics(self.probe) if measured(epoch, self.epochs) else ()
        latency = model_measures.latency(self.model.forward, self.probe.images) if last else None
        readings = {"validation": validation, "test": test} if test else {}
        classes = [model_measures.class_reports(name, read, self.classes) for name, read in readings.items()]
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
            classes=tuple(chain(*classes)),
            latency=latency,
            save=partial(_save, model, epoch),
        )
