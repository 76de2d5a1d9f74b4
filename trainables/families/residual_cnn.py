"""A small residual network with pre-activation (He, Zhang, Ren & Sun 2016, https://arxiv.org/abs/1603.05027).

Conv 3x3; three stages of `blocks` residual blocks; BN, activation, global average pooling, Dense softmax. The second
and third stage double the filters, and halve height and width. A block is BN, activation, Conv 3x3, BN, activation,
Conv 3x3, added to its input. If the shape changes, the input first goes through the first activation and a Conv 1x1.
"""

from dataclasses import dataclass

from trainables.config import between, one_of
from trainables.families.family import Tensor, classifier, trains
from trainables.keras_names import ACTIVATIONS
from trainables.keys import Keys

STAGES = 3


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    """Depth, width, activation."""

    blocks: int = between(2, 1, 18, "residual blocks per stage; the depth is 6 x blocks + 2 layers with weights")
    filters: int = between(16, 1, 256, "filters of the first stage")
    activation: str = one_of("relu", ACTIVATIONS, "activation before each convolution except the first")


@classifier
def build(config: Config, x: Tensor) -> Tensor:
    """The layers between images of 0 to 1, (batch, height, width, channels), and the classes."""
    from keras import layers

    from trainables.layers.batch_normalization import BatchNormalization

    def activate(x: Tensor) -> Tensor:
        return layers.Activation(config.activation)(BatchNormalization()(x))

    def convolution(x: Tensor, filters: int, size: int = 3, strides: int = 1) -> Tensor:
        return layers.Conv2D(filters, size, strides, "same", use_bias=False, kernel_initializer="he_normal")(x)

    def block(x: Tensor, filters: int, strides: int) -> Tensor:
        activation = activate(x)
        same = strides == 1 and x.shape[-1] == filters
        shortcut = x if same else convolution(activation, filters, 1, strides)
        return layers.Add()([shortcut, convolution(activate(convolution(activation, filters, 3, strides)), filters)])

    x = convolution(x, config.filters)
    for stage in range(STAGES):
        for number in range(config.blocks):
            x = block(x, config.filters * 2**stage, 2 if stage and not number else 1)
    return layers.GlobalAveragePooling2D()(activate(x))


train = trains(build)
