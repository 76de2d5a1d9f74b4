"""One traced model per process, which trainings reuse if they differ only in the seed and in how they train.

A model's functions are traced at their first call. For a small CNN that takes as long as half an epoch of 2,000 images.
Before the next training, everything in the model is overwritten: results are equal in every digit to those of a
training in its own process.
"""

import gc
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import numpy as np

from trainables.features import feature_cache
from trainables.features.frozen_part import split_model
from trainables.measures.layer_statistics import LayerProbe
from trainables.measures.model_measures import forward
from trainables.training.step import Step


class TracedModel:
    """A compiled model with its traced functions.

    Args:
        model: the model.
        key: equal for trainings that may share the model; None if no other training may use it.
        augmented: whether the frozen part gets a few fixed views of each image (`trainables.features.frozen_part`).
        weighted: whether each image has a weight in the loss of a step.

    Attributes:
        step: trains the model, one batch at a time.
        layer_probe: measures every layer.
        forward: the model in inference, on images.
        split: the model split after its frozen part; None without a frozen part.
        forward_inputs: the part that is trained, in inference: on features if there is a frozen part, else on images.
    """

    def __init__(
        self, model: keras.Model, key: Hashable = None, *, augmented: bool = False, weighted: bool = False
    ) -> None:
        self.model, self.key, self._weighted = model, key, weighted
        _build_optimizer(model)
        self.split = split_model(model, augmented=augmented) if feature_cache.is_enabled() else None
        trained_part = self.split.head if self.split else model
        self.step, self.layer_probe, self.forward = (
            Step(model, trained_part, weighted=weighted),
            LayerProbe(model, self.split),
            forward(model),
        )
        self.forward_inputs = forward(trained_part) if self.split else self.forward

    def ignore_frozen_part(self) -> None:
        """Runs the frozen part in each step, as if nothing were frozen."""
        self.split = None
        self.step, self.forward_inputs = Step(self.model, weighted=self._weighted), self.forward

    def has_layers_of(self, new_model: keras.Model) -> bool:
        """Whether another model has the same layers with the same settings."""
        return _layers(self.model) == _layers(new_model)

    def restart_from(self, new_model: keras.Model) -> None:
        """Copies every variable and the optimizer from a model with the same layers that was just compiled.

        An optimizer with the same settings stays, and so do its compiled functions.
        """
        # The variables come first: an optimizer's first state may depend on them.
        _copy_values(self.model.variables, new_model.variables)
        if _settings(new_model.optimizer) == _settings(self.model.optimizer):
            _build_optimizer(new_model)
            _copy_values(self.model.optimizer.variables, new_model.optimizer.variables)
        else:
            self.model.compile_from_config(new_model.get_compile_config())  # builds the optimizer too
            self.step.use_optimizer(self.model.optimizer)
            gc.collect()  # else the last optimizer's state stays for a while


def _build_optimizer(model: keras.Model) -> None:
    """Builds a model's optimizer, unless it came from a file and is built already."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _copy_values(targets: Iterable[keras.Variable], sources: Iterable[keras.Variable]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.assign(source)


def _layers(model: keras.Model) -> list[tuple[type, dict[str, Any]]]:
    """The type and settings of each layer, without names: Keras numbers these through a process."""
    return [(type(layer), {**layer.get_config(), "name": None}) for layer in model.layers]


def _settings(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """An optimizer's settings without its learning rate, which is a variable."""
    return {**optimizer.get_config(), "learning_rate": None, "name": type(optimizer)}


_LOSS_SCALING: Final = "mixed_float16"
"""Its optimizer scales the loss. A second training with that optimizer gave other results, so no model is reused."""

_idle_models: list[TracedModel] = []
"""The last model, or nothing while a training uses it."""


def idle_model() -> TracedModel | None:
    """The model that the next training may reuse."""
    return _idle_models[0] if _idle_models else None


def forget_idle_model() -> None:
    """Makes the next training build a new model."""
    _idle_models.clear()


def _seed_keras(seed: int) -> None:
    """Seeds the generators that Keras' initializers and layers use.

    They do not use TensorFlow's own seed. It stays: if it were set, TensorFlow would optimize every function again,
    which takes half a second.
    """
    random.seed(seed)
    np.random.seed(seed)


@contextmanager
def traced_model(
    key: Hashable,
    make_model: Callable[[], keras.Model],
    *,
    seed: int,
    precision: str,
    augmented: bool = False,
    weighted: bool = False,
) -> Iterator[TracedModel]:
    """The model that `make_model` makes with this precision and seed, or the idle model of this key, made equal to it.

    Afterwards the model is idle, and the next training may reuse it. With a key of None the model is always new, and
    is not reused.
    """
    model_key = None if key is None or precision == _LOSS_SCALING else (key, precision, augmented, weighted)
    model = _idle_models.pop() if _idle_models else None
    if model is None or model.key != model_key or model_key is None:
        model = None
        keras.backend.clear_session(free_memory=True)
    keras.config.set_dtype_policy(precision)
    if model is None:
        keras.utils.set_random_seed(seed)
        model = TracedModel(make_model(), model_key, augmented=augmented, weighted=weighted)
    else:
        _seed_keras(seed)
        new_model = make_model()
        if model.has_layers_of(new_model):
            model.restart_from(new_model)
        else:
            model = TracedModel(new_model, model_key, augmented=augmented, weighted=weighted)
    try:
        yield model
    finally:
        _idle_models[:] = [] if model_key is None else [model]
