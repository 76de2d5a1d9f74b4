"""Optimizers, each at the learning rate that Keras gives it."""

from typing import Final

EVERY_OPTIMIZER: Final = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lamb",
    "lion",
    "muon",
    "nadam",
    "rmsprop",
    "schedulefreeadamw",
    "sgd",
)
"""All that this version of Keras has; `--set optimizer=lion,muon` tries others than those below."""

SPACES: Final = [
    {"optimizer": ["adadelta", "adagrad", "adam", "adamax", "ftrl", "nadam", "rmsprop", "sgd"]},
]
