"""A plain CNN of 18 layers with weights, after VGG (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556).

The reports give its depth and its training (Adam at 1e-5, batches of 64, the defaults here), but not its layers. Here
it has 16 convolutions 3x3 "same" in five stages of 2, 2, 4, 4 and 4 with 64, 128, 256, 512 and 512 filters, as in VGG's
deepest network. Each convolution has an activation, and each stage ends with MaxPool 2. Then Flatten, Dense,
activation, Dropout, Dense softmax. The width scales the numbers of filters.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

STAGES: Final = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""The number of convolutions and filters of each stage."""


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Width, activation, head."""

    minimum_size: ClassVar[int] = 32

    width: float = between(0.5, 0, 2, "filters of each stage, as a share of VGG's", above=True)
    activation: str = one_of("relu", ACTIVATIONS, "activation of every layer but the last")
    dense_units: int = between(512, 1, 65536, "units of the dense layer")
    head_dropout: float = between(0.5, 0, 0.95, "share of the dense layer's outputs dropped")
    learning_rate: float | None = between(
        1e-5, 0, 100, "learning rate; None: the optimizer's default in Keras", above=True, scale="log"
    )
    batch_size: int = between(64, 1, 1_000_000, "images per training step", scale="log", step=2)


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.dropout import Dropout

    for convolutions, vgg_filters in STAGES:
        filters = max(1, round(config.width * vgg_filters))
        for _ in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_uniform")(x)
            x = layers.Activation(config.activation)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Activation(config.activation)(layers.Dense(config.dense_units)(layers.Flatten()(x)))
    return Dropout(config.head_dropout)(x)


train = trains(build)
