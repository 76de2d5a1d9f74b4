"""The families of keras.applications as frozen bases with ImageNet's weights and equal heads."""

from typing import Final

from search_spaces.ranges import Space

SPACES: Final[list[Space]] = [
    {
        "family": ["mobilenet_v2", "mobilenet", "mobilenet_v3_small", "vgg16", "resnet50"],
        "weights": ["imagenet"],
        "trained": ["none"],
        "image_size": [96],
        "dropout": [0.4],
    },
    {
        "family": ["xception", "inception_v3"],
        "weights": ["imagenet"],
        "trained": ["none"],
        "image_size": [150],
        "dropout": [0.4],
    },
]
