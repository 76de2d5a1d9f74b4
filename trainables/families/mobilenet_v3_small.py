"""MobileNetV3Small (Howard et al. 2019, https://arxiv.org/abs/1905.02244).

The base is that of keras.applications; the head is our own.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from trainables.config import between
from trainables.families.applications import Application, assembled, minus_one_to_one
from trainables.families.family import trains

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Config(Application):
    """The width, and what every application has: see `trainables.families.applications`."""

    minimum_size: ClassVar[int] = 32

    alpha: float = between(1.0, 0.05, 2, "filters of each layer, as a share of the paper's")


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras

    base = partial(keras.applications.MobileNetV3Small, alpha=config.alpha, include_preprocessing=False)
    return assembled(base, config, image_shape, classes, name="mobilenet_v3_small", preprocess=minus_one_to_one)


train = trains(build)
