"""A CNN of double convolutions as in Keras' CIFAR examples; its keys are what the reports tuned by hand.

It has `blocks` blocks of two times Conv 3x3 "same", BN if `batch_normalization`, activation; then MaxPool 2, Dropout.
Each block has twice the filters of the block before. Then Flatten, Dense, BN, activation, Dropout, Dense softmax.
"""

from dataclasses import dataclass

from trainables.config import between, one_of
from trainables.errors import ConfigError
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Depth, width, normalisation, dropout."""

    blocks: int = between(3, 1, 5, "blocks of two convolutions")
    filters: int = between(32, 1, 512, "filters of the first block")
    activation: str = one_of("elu", ACTIVATIONS, "activation of every layer but the last")
    batch_normalization: bool = one_of(True, (True, False), "whether each layer's output is normalised")
    dropout: float = between(0.25, 0, 0.95, "share of outputs dropped after each block")
    dense_units: int = between(512, 1, 65536, "units of the dense layer")
    head_dropout: float = between(0.5, 0, 0.95, "share of the dense layer's outputs dropped")

    def check_shape(self, image_shape: tuple[int, int, int], family: str) -> None:
        """Refuses images that are too small for `blocks` poolings.

        Raises:
            ConfigError: names the smallest valid size.
        """
        super().check_shape(image_shape, family)
        height, width, _ = self.shape(image_shape)
        if min(height, width) < 2**self.blocks:
            raise ConfigError(
                f"{family} with blocks={self.blocks} needs images of {2**self.blocks}x{2**self.blocks} pixels or more, "
                f"but these have {height}x{width}; valid: a larger image_size, or fewer blocks"
            )


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization
    from trainables.layers.dropout import Dropout

    def activate(x: Tensor) -> Tensor:
        x = BatchNormalization()(x) if config.batch_normalization else x
        return layers.Activation(config.activation)(x)

    for block in range(config.blocks):
        for _ in range(2):
            x = activate(layers.Conv2D(config.filters * 2**block, 3, padding="same")(x))
        x = Dropout(config.dropout)(layers.MaxPooling2D(2)(x))
    x = activate(layers.Dense(config.dense_units)(layers.Flatten()(x)))
    return Dropout(config.head_dropout)(x)


train = trains(build)
