"""The seven-convolution CNN of the reports on Tiny-ImageNet at 32x32.

Convolutions 3x3 of 16, 16, 32, 32, 64, 64, 64 filters, the odd ones "same", the even ones "valid", each followed by its
activation and batch normalisation. MaxPool 2 and Dropout follow the second, fourth, sixth and seventh. Then global
average pooling, activation, Dropout, Dense softmax. With fewer `convolutions` the last ones are left out.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

FILTERS: Final = (16, 16, 32, 32, 64, 64, 64)
_POOLED: Final = (2, 4, 6, 7)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Depth, activation, dropout."""

    minimum_size: ClassVar[int] = 30

    convolutions: int = between(7, 2, 7, "number of convolutions")
    activation: str = one_of("relu", ACTIVATIONS, "activation of every convolution, and after the last pooling")
    dropout: float = between(0.2, 0, 0.95, "share of outputs dropped after each pooling")
    head_dropout: float = between(0.3, 0, 0.95, "share of outputs dropped before the last layer")


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout

    for number in range(1, config.convolutions + 1):
        x = layers.Conv2D(FILTERS[number - 1], 3, padding="same" if number % 2 else "valid")(x)
        x = BatchNormalization()(layers.Activation(config.activation)(x))
        if number in _POOLED:
            x = Dropout(config.dropout)(layers.MaxPooling2D(2)(x))
    x = layers.Activation(config.activation)(layers.GlobalAveragePooling2D()(x))
    return Dropout(config.head_dropout)(x)


train = trains(build)
