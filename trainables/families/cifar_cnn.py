"""The CIFAR-10 CNN of the reports, whose features are transferred to Tiny-ImageNet.

Three blocks of 32, 64 and 128 filters: Conv 3x3 "same", activation, BN; Conv 3x3 "valid", activation, BN; MaxPool 2;
SpatialDropout (the third: Dropout). The head is Flatten, Dense, activation, Dropout, Dense softmax. For images of 32x32
the features are 2x2x128.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

FILTERS: Final = (32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Activation, dropouts, head."""

    minimum_size: ClassVar[int] = 22

    activation: str = one_of("relu", ACTIVATIONS, "activation of every convolution and of the dense layer")
    dropout_1: float = between(0.2, 0, 0.95, "share of channels dropped after the first block")
    dropout_2: float = between(0.3, 0, 0.95, "share of channels dropped after the second block")
    dropout_3: float = between(0.4, 0, 0.95, "share of outputs dropped after the third block")
    dense_units: int = between(512, 1, 65536, "units of the dense layer")
    head_dropout: float = between(0.5, 0, 0.95, "share of the dense layer's outputs dropped")


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout

    first, second = layers.SpatialDropout2D(config.dropout_1), layers.SpatialDropout2D(config.dropout_2)
    drops = first, second, Dropout(config.dropout_3)
    for filters, drop in zip(FILTERS, drops, strict=True):
        for padding in ("same", "valid"):
            x = layers.Activation(config.activation)(layers.Conv2D(filters, 3, padding=padding)(x))
            x = BatchNormalization()(x)
        x = drop(layers.MaxPooling2D(2)(x))
    x = layers.Activation(config.activation)(layers.Dense(config.dense_units)(layers.Flatten()(x)))
    return Dropout(config.head_dropout)(x)


train = trains(build)
