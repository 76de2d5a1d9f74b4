"""InceptionV3 (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).

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

    minimum_size: ClassVar[int] = 75


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras

    base = keras.applications.InceptionV3
    return assembled(base, config, image_shape, classes, name="inception_v3", preprocess=minus_one_to_one)


train = trains(build)
