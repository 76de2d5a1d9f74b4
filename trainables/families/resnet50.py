"""ResNet50 (He, Zhang, Ren & Sun 2016, https://arxiv.org/abs/1512.03385).

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

    base = keras.applications.ResNet50
    return assembled(base, config, image_shape, classes, name="resnet50", preprocess=bgr_around_zero)


train = trains(build)
