"""MobileNetV2 whole and cut after a block, its first stride, learned upsampling, and smaller families."""

from typing import Final

from search_spaces.ranges import Space

BASE: Final[Space] = {"optimizer": ["rmsprop"], "learning_rate": [1e-4], "image_size": [32]}

CUT: Final[Space] = {
    **BASE,
    "family": ["mobilenet_v2"],
    "alpha": [0.9],
    "truncate_after": ["block_12_add"],
    "head_filters": [1000],
}

SPACES: Final[list[Space]] = [
    {**BASE, "family": ["mobilenet_v2"], "alpha": [0.9], "truncate_after": ["whole"]},
    {
        **BASE,
        "family": ["mobilenet_v2"],
        "alpha": [0.9],
        "truncate_after": ["block_5_add", "block_12_add"],
        "head_filters": [1000],
    },
    {**CUT, "first_stride": [1]},
    {**CUT, "upsampling": [2]},
    {**BASE, "family": ["mobilenet", "mobilenet_v3_small"]},
]
