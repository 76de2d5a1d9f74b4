"""The CIFAR-10 CNN of the reports, whose features are transferred to Tiny-ImageNet.

Three blocks of 32, 64 and 128 filters: Conv 3x3 "same", activation, BN; Conv 3x3 "valid", activation, BN; MaxPool 2;
SpatialDropout (the third: Dropout). Then, as its head, Flatten, Dense, activation, Dropout, Dense softmax. At 32x32
the blocks leave features of 2x2x128.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from trainables.config import between, one_of
from trainables.families.family import trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

if TYPE_CHECKING:
    import keras

FILTERS: Final = (32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Activation, dropouts, head."""

    minimum_size: ClassVar[int] = 22

    activation: str = one_of("relu", ACTIVATIONS, "activation of every convolution and of the dense layer")
    dropout_1: float = between(0.2, 0, 0.95, "share of channels dropped after the first block")
    dropout_2: float = between(0.3, 0, 0.95, "the same after the second")
    dropout_3: float = between(0.4, 0, 0.95, "share of outputs dropped after the third block")
    dense_units: int = between(512, 1, 65536, "units of the dense layer")
    head_dropout: float = between(0.5, 0, 0.95, "share of its outputs dropped")


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: uint8 images (batch, *image_shape) in, class probabilities (batch, classes) out."""
    import keras
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout
    from trainables.layers.preprocessing import pictures

    drops = (
        layers.SpatialDropout2D(config.dropout_1),
        layers.SpatialDropout2D(config.dropout_2),
        Dropout(config.dropout_3),
    )
    image, x = pictures(config, image_shape)
    x = layers.Rescaling(1 / 255)(x)
    for filters, drop in zip(FILTERS, drops, strict=True):
        for padding in ("same", "valid"):
            x = layers.Activation(config.activation)(layers.Conv2D(filters, 3, padding=padding)(x))
            x = BatchNormalization()(x)
        x = drop(layers.MaxPooling2D(2)(x))
    x = layers.Activation(config.activation)(layers.Dense(config.dense_units)(layers.Flatten()(x)))
    x = Dropout(config.head_dropout)(x)
    return keras.Model(image, layers.Dense(classes, activation="softmax", dtype="float32")(x), name="cifar_cnn")


train = trains(build)
