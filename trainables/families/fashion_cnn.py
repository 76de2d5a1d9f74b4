"""The Fashion-MNIST CNN of the reports: four convolutions with batch normalisation, two dense layers, three dropouts.

Conv 5x5x32, BN, activation; Conv 5x5x32, BN, activation; MaxPool 2; Dropout .3; Conv 3x3x64, BN, activation;
Conv 3x3x64, BN, activation; MaxPool 2; Dropout .3; Flatten; Dense 1024 relu, BN; Dense 512 relu, BN; Dropout .2;
Dense softmax. All convolutions are "same" and start from he_uniform kernels (He et al. 2015,
https://arxiv.org/abs/1502.01852), which the reports name for the first convolution only. 3,831,018 parameters for
28x28x1 images of ten classes.
"""

from dataclasses import dataclass
from typing import ClassVar

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS, INITIALIZERS
from trainables.keys import Keys

_KERNELS = (1, 3, 5, 7)


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Activations, filters, kernels, dropouts and dense units, layer by layer."""

    minimum_size: ClassVar[int] = 4

    activation_1: str = one_of("relu", ACTIVATIONS, "activation after the first convolution's normalisation")
    activation_2: str = one_of("relu", ACTIVATIONS, "activation after the second convolution's normalisation")
    activation_3: str = one_of("relu", ACTIVATIONS, "activation after the third convolution's normalisation")
    activation_4: str = one_of("relu", ACTIVATIONS, "activation after the fourth convolution's normalisation")
    filters_1: int = between(32, 1, 1024, "filters of the first convolution")
    filters_2: int = between(32, 1, 1024, "filters of the second convolution")
    filters_3: int = between(64, 1, 1024, "filters of the third convolution")
    filters_4: int = between(64, 1, 1024, "filters of the fourth convolution")
    kernel_size_1: int = one_of(5, _KERNELS, "height and width of the first convolution's kernel, pixels")
    kernel_size_2: int = one_of(5, _KERNELS, "height and width of the second convolution's kernel, pixels")
    kernel_size_3: int = one_of(3, _KERNELS, "height and width of the third convolution's kernel, pixels")
    kernel_size_4: int = one_of(3, _KERNELS, "height and width of the fourth convolution's kernel, pixels")
    dropout_1: float = between(0.3, 0, 0.95, "share of outputs dropped after the first pooling")
    dropout_2: float = between(0.3, 0, 0.95, "share of outputs dropped after the second pooling")
    dropout_3: float = between(0.2, 0, 0.95, "share of outputs dropped before the last layer")
    dense_units_1: int = between(1024, 1, 65536, "units of the first dense layer")
    dense_units_2: int = between(512, 1, 65536, "units of the second dense layer")
    initializer: str = one_of("he_uniform", INITIALIZERS, "how the convolutions' kernels are drawn")


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout

    def convolution(x: Tensor, filters: int, kernel_size: int, activation: str) -> Tensor:
        x = layers.Conv2D(filters, kernel_size, padding="same", kernel_initializer=config.initializer)(x)
        return layers.Activation(activation)(BatchNormalization()(x))

    x = convolution(x, config.filters_1, config.kernel_size_1, config.activation_1)
    x = convolution(x, config.filters_2, config.kernel_size_2, config.activation_2)
    x = Dropout(config.dropout_1)(layers.MaxPooling2D(2)(x))
    x = convolution(x, config.filters_3, config.kernel_size_3, config.activation_3)
    x = convolution(x, config.filters_4, config.kernel_size_4, config.activation_4)
    x = Dropout(config.dropout_2)(layers.MaxPooling2D(2)(x))
    x = layers.Flatten()(x)
    x = BatchNormalization()(layers.Dense(config.dense_units_1, activation="relu")(x))
    x = BatchNormalization()(layers.Dense(config.dense_units_2, activation="relu")(x))
    return Dropout(config.dropout_3)(x)


train = trains(build)
