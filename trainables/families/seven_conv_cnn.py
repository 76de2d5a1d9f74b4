"""The seven-convolution CNN of the reports on Tiny-ImageNet at 32x32.

Convolutions 3x3 of 16, 16, 32, 32, 64, 64, 64 filters, the odd ones "same", the even ones "valid", each followed by its
activation and batch normalisation; MaxPool 2 and Dropout after the second, fourth, sixth and seventh; global average
pooling, activation, Dropout, Dense softmax. With fewer `convolutions` the last ones are left out.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from trainables.config import between, one_of
from trainables.families.family import trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

if TYPE_CHECKING:
    import keras

FILTERS: Final = (16, 16, 32, 32, 64, 64, 64)
_POOLED: Final = (2, 4, 6, 7)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Depth, activation, dropout."""

    minimum_size: ClassVar[int] = 30

    convolutions: int = between(7, 2, 7, "how many convolutions there are")
    activation: str = one_of("relu", ACTIVATIONS, "activation of every convolution, and after the last pooling")
    dropout: float = between(0.2, 0, 0.95, "share of outputs dropped after each pooling")
    head_dropout: float = between(0.3, 0, 0.95, "the same before the last layer")


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout
    from trainables.layers.preprocessing import pictures

    image, x = pictures(config, image_shape)
    x = layers.Rescaling(1 / 255)(x)
    for number in range(1, config.convolutions + 1):
        x = layers.Conv2D(FILTERS[number - 1], 3, padding="same" if number % 2 else "valid")(x)
        x = BatchNormalization()(layers.Activation(config.activation)(x))
        if number in _POOLED:
            x = Dropout(config.dropout)(layers.MaxPooling2D(2)(x))
    x = layers.Activation(config.activation)(layers.GlobalAveragePooling2D()(x))
    x = Dropout(config.head_dropout)(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", dtype="float32")(x), name="seven_conv_cnn")


train = trains(build)
