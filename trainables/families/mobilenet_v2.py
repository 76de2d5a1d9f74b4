"""MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) from keras.applications, and its compression.

`truncate_after` cuts the base after a layer, and `head_filters` adds Conv 1x1, BN and relu there, as the reports did
after `block_12_add`. A `first_stride` of 1 keeps the size of small images. `upsampling` enlarges them by a learned
transposed convolution. `weight_decay` is an L2 penalty on every kernel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trainables.config import between, one_of, text
from trainables.errors import ConfigError, unknown_layer
from trainables.families.applications import Published, Scaled, minus_one_to_one
from trainables.families.family import Tensor, trains

if TYPE_CHECKING:
    import keras

WHOLE: Final = "whole"
_BLOCKS: Final = 16
_RESIDUAL_BLOCKS: Final = frozenset({2, 4, 5, 7, 8, 9, 11, 12, 14, 15})
_STRIDED_BLOCKS: Final = frozenset({1, 3, 6, 13})


def layer_names() -> Iterator[str]:
    """The names of the base's layers in keras.applications, in their order."""
    narrowing = ("depthwise", "depthwise_BN", "depthwise_relu", "project", "project_BN")
    yield from ("Conv1", "bn_Conv1", "Conv1_relu")
    yield from (f"expanded_conv_{part}" for part in narrowing)
    for block in range(1, _BLOCKS + 1):
        yield from (f"block_{block}_{part}" for part in ("expand", "expand_BN", "expand_relu"))
        if block in _STRIDED_BLOCKS:
            yield f"block_{block}_pad"
        yield from (f"block_{block}_{part}" for part in narrowing)
        if block in _RESIDUAL_BLOCKS:
            yield f"block_{block}_add"
    yield from ("Conv_1", "Conv_1_bn", "out_relu")


@dataclass(frozen=True, kw_only=True)
class Config(Scaled):
    """Width, cut, head, stride, upsampling, weight decay."""

    truncate_after: str = text(WHOLE, r"\w+", "whole, or a layer's name such as block_12_add", "where the base ends")
    head_filters: int = between(0, 0, 4096, "filters of a 1x1 convolution after the base; 0: no such layer")
    first_stride: int = one_of(2, (1, 2), "stride of the first convolution")
    upsampling: int = one_of(1, (1, 2, 4, 7), "factor by which a learned layer first enlarges images; 1: no such layer")
    weight_decay: float = between(0.0, 0, 1, "L2 penalty on each kernel", scale="log")

    @property
    def enlarged(self) -> int:
        """The factor by which images are enlarged."""
        return self.upsampling

    def __post_init__(self) -> None:
        """Checks every value, and that the layer `truncate_after` exists.

        Raises:
            ConfigError: lists similar names if there is no such layer.
        """
        super().__post_init__()
        names = list(layer_names())
        if self.truncate_after not in (WHOLE, *names):
            raise ConfigError(unknown_layer("truncate_after", self.truncate_after, "MobileNetV2", names, WHOLE))


_WHOLE: Final = Published(
    "mobilenet_v2", "Sandler et al. 2018, https://arxiv.org/abs/1801.04381", "MobileNetV2", minus_one_to_one, Config
)


def build(config: Config, image_shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """The model, not compiled: takes uint8 images (batch, *image_shape), returns probabilities (batch, classes)."""
    from keras import layers

    def enlarge(x: Tensor) -> Tensor:
        factor = config.upsampling
        if factor == 1:
            return x
        return layers.Conv2DTranspose(3, 2 * factor, strides=factor, padding="same", name="upsampling")(x)

    def head_input(base: "keras.Model") -> Tensor:
        x = base.output if config.truncate_after == WHOLE else base.get_layer(config.truncate_after).output
        if not config.head_filters:
            return x
        x = layers.Conv2D(config.head_filters, 1, name="head_convolution")(x)
        return layers.ReLU(name="head_relu")(layers.BatchNormalization(name="head_bn")(x))

    model = _WHOLE.build(config, image_shape, classes, enlarge=enlarge, head_input=head_input)
    return model if config.first_stride == 2 and not config.weight_decay else _adapt(model, config)  # noqa: PLR2004


def _adapt(model: "keras.Model", config: Config) -> "keras.Model":
    """A copy of the model, with its weights, that has another first stride and a penalty on its kernels."""
    import keras

    from trainables.layers.weight_copies import copy_weights

    def adapt_layer(layer: "keras.layers.Layer") -> "keras.layers.Layer":
        settings: dict[str, Any] = layer.get_config()
        if layer.name == "Conv1":
            settings["strides"] = (config.first_stride, config.first_stride)
        for name in ("kernel_regularizer", "depthwise_regularizer"):
            if config.weight_decay and name in settings:
                settings[name] = keras.regularizers.L2(config.weight_decay)
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(model, clone_function=adapt_layer)
    copy_weights(copy, model)
    return copy


train = trains(build)
