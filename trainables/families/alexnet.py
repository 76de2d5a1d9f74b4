"""AlexNet at its own size (Krizhevsky, Sutskever & Hinton 2012, Advances in Neural Information Processing Systems 25).

Conv 11x11x96 stride 4 "valid"; MaxPool 3 stride 2; BN; Conv 5x5x256 "same"; MaxPool 3 stride 2; BN; Conv 3x3x384, 384
and 256 "same"; MaxPool 3 stride 2; Flatten; twice Dense 4096 and Dropout; Dense softmax. The activation is relu. Batch
normalisation replaces the paper's local response normalisation. Images are resized to 227x227 unless `image_size` has
another value.
"""

from dataclasses import dataclass
from typing import ClassVar

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys
from trainables.optimizers import LEARNING_RATES


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Size, activation, head."""

    minimum_size: ClassVar[int] = 67

    image_size: int = between(227, 0, 1024, "height and width of resized images, pixels; 0: not resized")
    activation: str = one_of("relu", ACTIVATIONS, "activation of every layer but the last")
    dense_units: int = between(4096, 1, 65536, "units of each dense layer")
    dropout: float = between(0.5, 0, 0.95, "share of outputs dropped after each dense layer")
    optimizer: str = one_of("sgd", tuple(LEARNING_RATES), "Keras optimizer")


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout

    def convolution(x: Tensor, filters: int, kernel_size: int) -> Tensor:
        return layers.Conv2D(filters, kernel_size, padding="same", activation=config.activation)(x)

    x = layers.Conv2D(96, 11, 4, activation=config.activation)(x)
    x = BatchNormalization()(layers.MaxPooling2D(3, 2)(x))
    x = BatchNormalization()(layers.MaxPooling2D(3, 2)(convolution(x, 256, 5)))
    x = convolution(convolution(convolution(x, 384, 3), 384, 3), 256, 3)
    x = layers.Flatten()(layers.MaxPooling2D(3, 2)(x))
    for _ in range(2):
        x = Dropout(config.dropout)(layers.Dense(config.dense_units, config.activation)(x))
    return x


train = trains(build)
