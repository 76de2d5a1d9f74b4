"""Every family at the defaults of its paper or the reports, on images that it can process."""

from typing import Final

SMALL: Final = ("cifar100_cnn", "fashion_cnn", "residual_cnn", "cifar_cnn", "alexnet_32")
"""Families that take images of 28x28."""

AT_32: Final = (
    "eighteen_layer_cnn",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet50",
    "seven_conv_cnn",
    "vgg16",
)
"""Families that need images of about 32x32."""

SPACES: Final[list[dict[str, list[str] | list[int]]]] = [
    {"family": list(SMALL)},
    {"family": list(AT_32), "image_size": [32]},
    {"family": ["alexnet"], "image_size": [67]},
    {"family": ["xception"], "image_size": [71]},
    {"family": ["inception_v3"], "image_size": [75]},
]
