"""The optimizers that a model can have: Keras' own, by name, with their default learning rates.

Keras is imported when an optimizer is made. Tests compare the names with the installed Keras. The learning rates that
are searched are in search_spaces/optimizers.py.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import keras

LEARNING_RATES: Final[Mapping[str, float]] = {
    "adadelta": 0.001,
    "adafactor": 0.001,
    "adagrad": 0.001,
    "adam": 0.001,
    "adamax": 0.001,
    "adamw": 0.001,
    "ftrl": 0.001,
    "lamb": 0.001,
    "lion": 0.001,
    "muon": 0.001,
    "nadam": 0.001,
    "rmsprop": 0.001,
    "schedulefreeadamw": 0.0025,
    "sgd": 0.01,
}
"""Every optimizer of Keras: its class' name in lower case, and its default learning rate in Keras."""


def optimizer(name: str, learning_rate: float | None, momentum: float = 0.0) -> "keras.optimizers.Optimizer":
    """The Keras optimizer with this name, a key of `LEARNING_RATES`.

    A learning rate of None is Keras' default. A momentum of 0 is not passed on: some optimizers have none.
    """
    import keras

    rate = LEARNING_RATES[name] if learning_rate is None else learning_rate
    arguments = {"momentum": momentum} if momentum else {}
    classes = {each.lower(): getattr(keras.optimizers, each) for each in dir(keras.optimizers)}  # `get` lacks Lamb
    new_optimizer: keras.optimizers.Optimizer = classes[name](learning_rate=rate, **arguments)
    return new_optimizer
