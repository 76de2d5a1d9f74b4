"""One traced model a process, used again by trainings that differ in seed and in how they train alone.

A model's functions are traced when they are first called: for a small CNN as long as half an epoch of 2,000 images.
What a training leaves in the model is written over before the next one, so that both are equal in every digit to
trainings in processes of their own.
"""

import gc
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras
import numpy as np

from trainables.features import feature_cache
from trainables.features.frozen_part import frozen
from trainables.measures.layer_statistics import Probed
from trainables.measures.model_measures import forward
from trainables.training.step import Step


class Traced:
    """A compiled model, with what is traced or made for it besides.

    Args:
        model: the model.
        key: what trainings that may use it share; None if no other may.
        augmented: whether its frozen part sees each image in a few ways alone (`trainables.features.frozen_part`).

    Attributes:
        step: trains it, a batch at a time.
        probed: gives the output of every layer.
        forward: the model in inference.
        frozen: the model cut behind its frozen part, if it has one.
        ahead: what is trained in inference: of features where there is a frozen part, else the model.
    """

    def __init__(self, model: keras.Model, key: Hashable = None, *, augmented: bool = False) -> None:
        self.model, self.key = model, key
        _build_optimizer(model)
        self.frozen = frozen(model, augmented=augmented) if feature_cache.kept() else None
        trained = self.frozen.head if self.frozen else model
        self.step, self.probed, self.forward = Step(model, trained), Probed(model, self.frozen), forward(model)
        self.ahead = forward(trained) if self.frozen else self.forward

    def run_through(self) -> None:
        """Trains through the frozen part, as if there were none."""
        self.frozen = None
        self.step, self.ahead = Step(self.model), self.forward

    def fits(self, fresh: keras.Model) -> bool:
        """Whether another model has the same layers, whatever it took from how it is trained."""
        return _layers(self.model) == _layers(fresh)

    def begin_again(self, fresh: keras.Model) -> None:
        """Takes over all that another model of the same layers has, one just compiled: every variable, the optimizer.

        An optimizer of the same settings stays, and so does what was compiled for it.
        """
        _take_over(self.model.variables, fresh.variables)  # first: what an optimizer begins with may be made of them
        if _settings(fresh.optimizer) == _settings(self.model.optimizer):
            _build_optimizer(fresh)
            _take_over(self.model.optimizer.variables, fresh.optimizer.variables)
        else:
            self.model.compile_from_config(fresh.get_compile_config())  # builds the optimizer too
            self.step.take(self.model.optimizer)
            gc.collect()  # else the last optimizer's state stays for a while


def _build_optimizer(model: keras.Model) -> None:
    """Has a model's optimizer make its state; one that came from a file has it."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _take_over(mine: Iterable[keras.Variable], theirs: Iterable[keras.Variable]) -> None:
    for variable, other in zip(mine, theirs, strict=True):
        variable.assign(other)


def _layers(model: keras.Model) -> list[tuple[type, dict[str, Any]]]:
    """Kind and settings of each layer, without names, which count up in a process."""
    return [(type(layer), {**layer.get_config(), "name": None}) for layer in model.layers]


def _settings(optimizer: keras.optimizers.Optimizer) -> dict[str, Any]:
    """What an optimizer was made with; its learning rate is a variable."""
    return {**optimizer.get_config(), "learning_rate": None, "name": type(optimizer)}


_SCALED: Final = "mixed_float16"
"""Its optimizer scales the loss, and a second training through the same one was seen to differ: never used again."""

_kept: list[Traced] = []
"""The last model, while no training uses it."""


def kept() -> Traced | None:
    """The model that the next training may use."""
    return _kept[0] if _kept else None


def forget() -> None:
    """The next training makes a model of its own."""
    _kept.clear()


def _seed_keras(seed: int) -> None:
    """Seeds what Keras' initializers and layers draw from.

    TensorFlow's own seed, which they do not use, stays: when it is set, TensorFlow forgets every function that it has
    optimized, and takes half a second to do so again.
    """
    random.seed(seed)
    np.random.seed(seed)


@contextmanager
def traced(
    key: Hashable, compiled: Callable[[], keras.Model], *, seed: int, precision: str, augmented: bool = False
) -> Iterator[Traced]:
    """What `compiled` makes in this precision after the seed was set, or a model of the same key, made equal to that.

    While it is in use no other training gets it; afterwards it is kept for the next. With the key None it is neither
    one that was kept nor kept itself.
    """
    wanted = None if key is None or precision == _SCALED else (key, precision)
    found = _kept.pop() if _kept else None
    if found is None or found.key != wanted or wanted is None:
        found = None
        keras.backend.clear_session(free_memory=True)
    keras.config.set_dtype_policy(precision)
    if found is None:
        keras.utils.set_random_seed(seed)
        found = Traced(compiled(), wanted, augmented=augmented)
    else:
        _seed_keras(seed)
        fresh = compiled()
        if found.fits(fresh):
            found.begin_again(fresh)
        else:
            found = Traced(fresh, wanted, augmented=augmented)
    try:
        yield found
    finally:
        _kept[:] = [] if wanted is None else [found]
