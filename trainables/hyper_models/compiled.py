"""What the compile() of a hypermodel says: its optimizer and loss, as far as the keys can say the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import keras
from keras.src.backend.common import global_state

from trainables.errors import ConfigError
from trainables.optimizers import LEARNING_RATES, optimizer

_LOSSES: Final = ("sparse_categorical_crossentropy", "categorical_crossentropy")
_FREE_SETTINGS: Final = frozenset({"name", "learning_rate", "momentum"})


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """The optimizer of a compiled model, its learning rate and its momentum."""

    optimizer: str
    rate: float
    momentum: float


def compiled(model: keras.Model) -> Compiled | None:
    """What a model was compiled with; None if it was not compiled.

    Raises:
        ConfigError: if the loss or the optimizer is one that no key stands for.
    """
    if not model.compiled:
        return None
    _check_loss(model.loss)
    own = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # half precision wraps it
    name = type(own).__name__.lower()
    if name not in LEARNING_RATES:
        raise ConfigError(f"compile() sets optimizer={type(own).__name__}; valid: {', '.join(LEARNING_RATES)}")
    if isinstance(own._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ConfigError(
            f"compile() sets a learning rate that changes ({type(own._learning_rate).__name__}), which no key stands "
            "for; valid: one number, or hp.Float('learning_rate', ...)"
        )
    rate, momentum = float(keras.ops.convert_to_numpy(own.learning_rate)), float(getattr(own, "momentum", 0.0) or 0.0)
    _check_settings(own, name)
    return Compiled(optimizer=name, rate=float(f"{rate:.6g}"), momentum=momentum)


def takes_logits(model: keras.Model) -> bool:
    """Whether the outputs are logits, by the loss that compile() sets."""
    config = model.loss.get_config() if isinstance(model.loss, keras.losses.Loss) else {}
    return bool(config.get("from_logits"))


def _check_loss(loss: Any) -> None:
    name = str(loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", loss))
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    if name not in _LOSSES:
        raise ConfigError(
            f"compile() sets loss={name!r}, but classifiers are trained here with cross-entropy; valid: "
            f"{' or '.join(_LOSSES)}, with a softmax over the classes"
        )
    config = loss.get_config() if isinstance(loss, keras.losses.Loss) else {}
    if config.get("label_smoothing") or config.get("ignore_class") is not None:
        raise ConfigError(f"compile() sets label_smoothing or ignore_class of {name}; valid: the loss without them")


def _check_settings(own: keras.optimizers.Optimizer, name: str) -> None:
    """Refuses an optimizer with settings that no key stands for."""
    with outside_scope():
        usual = optimizer(name, None).get_config()
    for key, value in own.get_config().items():
        if key not in _FREE_SETTINGS and value != usual.get(key):
            raise ConfigError(
                f"compile() sets {key}={value} of {type(own).__name__}, which no key stands for; valid: leave it out "
                f"({key}={usual.get(key)})"
            )


@contextmanager
def outside_scope() -> Iterator[None]:
    """Makes variables with values, also inside `keras.StatelessScope`."""
    scope = global_state.get_global_attribute("stateless_scope")
    global_state.set_global_attribute("stateless_scope", None)
    try:
        yield
    finally:
        global_state.set_global_attribute("stateless_scope", scope)


@contextmanager
def optimizers_allowed() -> Iterator[None]:
    """Lets a hypermodel make its optimizer inside `keras.StatelessScope`, in which Keras refuses that."""
    class_ = keras.optimizers.Optimizer
    original = class_.__init__

    def make(self: Any, *arguments: Any, **options: Any) -> None:
        with outside_scope():
            original(self, *arguments, **options)

    own = "__init__" in vars(class_)
    class_.__init__ = make
    try:
        yield
    finally:
        if own:
            class_.__init__ = original
        else:
            del class_.__init__
