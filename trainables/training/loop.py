"""A training as a generator: it yields `NetworkSummary`, then an `Epoch` after each epoch. The last has the test.

    for value in run(build, config, data, TrainingOptions(seed=1, epochs=3)):
        ...

The caller may stop after any value: nothing depends on code after a yield. On a CPU with one thread
(`trainables.hardware.one_thread`) two runs with equal arguments are equal in every digit; docs/decisions/determinism.md
explains why.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

import trainables.layers.batch_normalization
import trainables.layers.dropout  # noqa: F401  (a checkpoint may hold their layers)
from layersweep.records.values import ClassCounts, Epoch, NetworkSummary, Test
from trainables.data.arrays import Images, ImageSet, Labels, Sets
from trainables.data.dataset import Data
from trainables.hardware import on_gpu
from trainables.keys import UNWEIGHTED, Keys
from trainables.layers.batch_normalization import set_momentum
from trainables.layers.standardization import Standardization
from trainables.layers.weight_copies import copy_weights
from trainables.measures import model_measures
from trainables.optimizers import optimizer
from trainables.training import saved_network
from trainables.training.batches import batches, epoch_rows
from trainables.training.class_balance import class_weights
from trainables.training.functional import functional
from trainables.training.inputs import Inputs, prepare_inputs
from trainables.training.random_states import reseed
from trainables.training.step import Step
from trainables.training.traced_models import TracedModel, traced_model

PROBE_IMAGES: Final = 64
"""The layers are measured on this many first images of the training set: the same images for every arm of a seed."""


Build = Callable[[Any, tuple[int, int, int], int], keras.Model]
"""Makes a family's model, not compiled, from a Config, the images' shape, and the number of classes."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train a model. These are also the options of each family's `train`.

    Attributes:
        seed: draws the validation set, the initial weights, the order of the images, and dropout.
        epochs: the number of epochs, those before the checkpoint included.
        precision: one of Keras' dtype policies (`trainables.keras_names.PRECISIONS`).
        start: the checkpoint to continue from; None for a new training.
        parent: a saved network with the same layers, whose weights a new training starts with.
        lite: whether LiteRT converts the network after the last epoch (`trainables.measures.litert`).
    """

    seed: int
    epochs: int
    precision: str = "float32"
    start: Path | None = None
    parent: Path | None = None
    lite: bool = False

    @property
    def first_epoch(self) -> int:
        """The first epoch to train; epochs count from 1."""
        return 1 if self.start is None else 1 + saved_network.saved_after(self.start)


def run(build: Build, config: Keys, data: Data, options: TrainingOptions) -> Iterator[NetworkSummary | Epoch]:
    """Trains the model that `build` makes, epoch by epoch.

    An epoch that meets a NaN ends at once, and its losses are NaN; the caller decides whether to continue.
    """
    clock = _Clock()
    sets, views = data.split(options.seed), config.augmented_views
    if options.start is None:
        key = (build, _layers(config), data.image_shape, len(data.classes))
        make_model = partial(_compile, build, config, data, sets, options.parent)
    else:
        key, make_model = None, partial(keras.saving.load_model, options.start, safe_mode=True)
    seed, precision = options.seed, options.precision
    weighted = config.class_weight != UNWEIGHTED
    with traced_model(key, make_model, seed=seed, precision=precision, augmented=views > 0, weighted=weighted) as model:
        yield model_measures.model_size(model.model, seconds_build=clock.lap())
        clock = _Clock()
        training = _Training(
            model=model,
            inputs=prepare_inputs(model, data, sets, views=views, precision=precision),
            probe=sets.train.first(PROBE_IMAGES),
            classes=data.classes,
            config=config,
            seed=seed,
            epochs=options.epochs,
        )
        seconds_features = clock.lap()
        for number in range(options.first_epoch, options.epochs + 1):
            epoch = training.epoch(number)
            if options.lite and number == options.epochs and not epoch.diverged:
                epoch = _with_exports(epoch, model.model, sets)
            yield replace(epoch, seconds_features=seconds_features)
            seconds_features = 0.0


def _now() -> float:
    return time.perf_counter()  # looked up on each call: a test replaces `time`


@dataclass
class _Clock:
    """A stopwatch: `lap` returns the seconds since its last call."""

    last: float = field(default_factory=_now)

    def lap(self) -> float:
        now = _now()
        seconds, self.last = now - self.last, now
        return seconds


_TRAINING_KEYS: Final = frozenset(
    {"optimizer", "learning_rate", "momentum", "batch_size", "class_weight", "oversample"}
)
"""The keys of a Config on which the layers never depend."""


def _layers(config: Keys) -> tuple[object, ...]:
    """The type of a Config, and all its values on which the layers may depend."""
    names = (key.name for key in fields(config) if key.name not in _TRAINING_KEYS)
    return type(config), *(getattr(config, name) for name in names)


def _compile(build: Build, config: Keys, data: Data, sets: Sets, parent: Path | None) -> keras.Model:
    model = functional(build(config, data.image_shape, len(data.classes)))
    set_momentum(model, config.normalization_momentum)
    for layer in model.layers:
        if isinstance(layer, Standardization) and not layer.has_statistics:
            layer.measure(sets.train.images)
    if parent is not None:
        copy_weights(model, keras.saving.load_model(parent, safe_mode=True, compile=False))
    model.compile(
        optimizer=optimizer(config.optimizer, config.learning_rate, config.momentum),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],  # for people who load the saved model
        jit_compile=on_gpu(),  # XLA makes convolutions 2-4x slower on a CPU
    )
    return model


def is_measured_epoch(epoch: int, epochs: int) -> bool:
    """Whether the layers are measured after this epoch: after 1, 2, 4, 8, ... and the last."""
    return epoch == epochs or epoch & (epoch - 1) == 0


def _save(model: keras.Model, epoch: int, path: Path) -> None:
    """Saves the model, its optimizer and the epoch: the optimizer does not count steps that float16 skipped."""
    model.save(path)
    saved_network.mark(path, epoch)


def _with_exports(epoch: Epoch, model: keras.Model, sets: Sets) -> Epoch:
    """The last epoch, with the network converted by LiteRT."""
    from trainables.measures import litert

    clock = _Clock()
    exports = litert.exports(model, train=sets.train, validation=sets.validation)
    return replace(epoch, exports=exports, seconds_measure=epoch.seconds_measure + clock.lap())


@dataclass(frozen=True, kw_only=True)
class _EpochMeans:
    """Means over the images of an epoch, their predicted classes (n,), and the seconds of a first step if traced."""

    loss: float
    predicted: Labels
    seconds_build: float


def _train_epoch(
    step: Step, images: Iterable[tuple[Images, Labels]], weights: npt.NDArray[np.float32] | None
) -> _EpochMeans:
    """Takes a step for each batch, with the weights (classes,) if any; stops after a batch whose loss is not finite."""
    clock, seconds_build = _Clock(), 0.0
    losses, predicted = 0.0, []
    for batch, labels in images:
        tracing = step.needs_tracing
        result = step(batch, labels) if weights is None else step(batch, labels, weights[labels])
        if tracing:
            seconds_build = clock.lap()
        losses += result.loss * len(labels)
        predicted.append(result.predicted)
        if not math.isfinite(result.loss):
            break
    predictions = np.concatenate(predicted)
    return _EpochMeans(loss=losses / len(predictions), predicted=predictions, seconds_build=seconds_build)


@dataclass(frozen=True, kw_only=True)
class _Training:
    """A model in training, its inputs, its configuration and its options."""

    model: TracedModel
    inputs: Inputs
    probe: ImageSet
    classes: Sequence[str]
    config: Keys
    seed: int
    epochs: int

    @cached_property
    def _weights(self) -> npt.NDArray[np.float32] | None:
        if self.config.class_weight == UNWEIGHTED:
            return None
        labels = self.inputs.of_epoch(1).labels
        return class_weights(labels, len(self.classes), oversample=self.config.oversample)

    def epoch(self, epoch: int) -> Epoch:
        """Trains one epoch, and takes all measurements that are due after it."""
        model, clock, last = self.model.model, _Clock(), epoch == self.epochs
        images = self.inputs.of_epoch(epoch)
        rows = epoch_rows(images.labels, seed=self.seed, epoch=epoch, oversample=self.config.oversample)
        reseed(model, self.seed, epoch)
        means = _train_epoch(self.model.step, batches(images, rows, self.config.batch_size), self._weights)
        rows = rows[: len(means.predicted)]
        seconds_train = clock.lap() - means.seconds_build
        validation = model_measures.evaluate(self.model.forward_inputs, self.inputs.validation)
        seconds_validate = clock.lap()
        test = model_measures.evaluate(self.model.forward_inputs, self.inputs.test) if last else None
        seconds_test = clock.lap()
        statistics = self.model.layer_probe.statistics(self.probe) if is_measured_epoch(epoch, self.epochs) else ()
        latency = model_measures.latency(self.model.forward, self.probe.images) if last else None
        val_counts = self._counts(validation.labels, validation.predicted)
        readings = {"validation": validation, "test": test} if test else {}
        reports = [model_measures.class_reports(name, reading, self.classes) for name, reading in readings.items()]
        return Epoch(
            epoch=epoch,
            loss=means.loss,
            accuracy=float((means.predicted == images.labels[rows]).mean()),
            val_loss=validation.loss,
            val_accuracy=validation.accuracy,
            val_balanced_accuracy=val_counts.balanced_accuracy,
            val_macro_f1=val_counts.macro_f1,
            train_counts=self._first_counts(images.labels, rows, means.predicted),
            val_counts=val_counts,
            learning_rate=float(model.optimizer.learning_rate),
            seconds_build=means.seconds_build,
            seconds_train=seconds_train,
            seconds_validate=seconds_validate,
            seconds_test=seconds_test,
            seconds_measure=clock.lap(),
            statistics=statistics,
            test=self._test(test) if test else None,
            classes=tuple(chain(*reports)),
            latency=latency,
            save=partial(_save, model, epoch),
        )

    def _counts(self, labels: Labels, predicted: Labels) -> ClassCounts:
        return model_measures.class_counts(labels, predicted, len(self.classes))

    def _first_counts(self, labels: Labels, rows: Labels, predicted: Labels) -> ClassCounts:
        """The counts of the images that an epoch has shown, each when it was first shown."""
        unique_rows, first = np.unique(rows, return_index=True)
        return self._counts(labels[unique_rows], predicted[first])

    def _test(self, test: model_measures.Reading) -> Test:
        counts = self._counts(test.labels, test.predicted)
        return Test(
            loss=test.loss,
            accuracy=test.accuracy,
            images=test.images,
            balanced_accuracy=counts.balanced_accuracy,
            macro_f1=counts.macro_f1,
        )
