"""VGG16 (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556).

The base is that of keras.applications; the head is our own.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainables.families.applications import Application, assembled, bgr_around_zero
from trainables.families.family import trains

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Config(Application):
    """What every application has: see `trainables.families.applications`."""

    minimum_size: ClassVar[int] = 32


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras

    base = keras.applications.VGG16
    return assembled(base, config, image_shape, classes, name="vgg16", preprocess=bgr_around_zero)


train = trains(build)
