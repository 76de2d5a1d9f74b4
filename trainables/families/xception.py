"""Xception (Chollet 2017, https://arxiv.org/abs/1610.02357).

The base is that of keras.applications; the head is our own.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainables.families.applications import Application, assembled, minus_one_to_one
from trainables.families.family import trains

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Config(Application):
    """What every application has: see `trainables.families.applications`."""

    minimum_size: ClassVar[int] = 71


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras

    base = keras.applications.Xception
    return assembled(base, config, image_shape, classes, name="xception", preprocess=minus_one_to_one)


train = trains(build)
