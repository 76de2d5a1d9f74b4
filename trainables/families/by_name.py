"""Every family, by name: a file in this folder each, imported when it is asked for."""

import difflib
import importlib
from typing import Any, Final

from trainables.errors import ConfigError

FAMILIES: Final = (
    "alexnet",
    "alexnet_32",
    "cifar100_cnn",
    "cifar_cnn",
    "eighteen_layer_cnn",
    "fashion_cnn",
    "inception_v3",
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet50",
    "residual_cnn",
    "seven_conv_cnn",
    "vgg16",
    "xception",
)

FROM_OTHERS: Final = ("transfer",)
"""Families that are made from a network that was trained before, and cannot be built without one."""

SEARCHED: Final = ("autokeras",)
"""Families whose networks are what a search has found."""


def family(name: str) -> Any:
    """The module of a family: its `Config`, `build` and `train`. Keras is not imported.

    Raises:
        ConfigError: if there is none of that name; the message lists those that there are.
    """
    known = (*FAMILIES, *FROM_OTHERS, *SEARCHED)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(f"family={name!r} is not valid: {hint}valid: {', '.join(known)}")
    return importlib.import_module(f"trainables.{'nas' if name in SEARCHED else 'families'}.{name}")
