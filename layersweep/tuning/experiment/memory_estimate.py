"""An estimate of the memory that a training needs, for a person who has to make it smaller."""

import math
from typing import Final

from layersweep.formatting import GIB, gib
from layersweep.records.values import Layer, NetworkSummary
from trainables.keys import IMAGE, PICTURE_LAYERS

OUT_OF_MEMORY: Final = ("OutOfMemory", "ResourceExhaustedError", "MemoryError")
"""Types of errors of a training that got no more memory."""

KILLED: Final = "SIGKILL"
"""The signal by which the kernel ends a process when memory is short; others may send it, too."""

LARGE_PIXELS: Final = 64
"""Pictures with more pixels in height or width can be made smaller."""

_SINGLE, _HALF = 4, 2
_COPIES: Final = 4
"""Copies of each parameter: itself, its gradient, and two values of the optimizer, such as Adam has."""


def step_bytes(network: NetworkSummary, *, batch_size: int, precision: str) -> int:
    """The memory of a step: pictures, outputs of layers that the backward pass goes through, and parameters."""
    return sum(_parts(network, batch_size=batch_size, precision=precision))


def text(network: NetworkSummary | None, *, batch_size: int, precision: str) -> str:
    """The estimate in words."""
    if network is None:
        return f"its network was being built, for batch_size={batch_size}"
    pictures, outputs, parameters = _parts(network, batch_size=batch_size, precision=precision)
    size = next((layer.output_shape for layer in network.layers if layer.name == IMAGE), "")
    of_pictures = f"{pictures / GIB:.1f} for its pictures of {size}, " if pictures >= GIB / 10 else ""
    return (
        f"by estimate a step with batch_size={batch_size} takes {gib(pictures + outputs + parameters)}: {of_pictures}"
        f"{outputs / GIB:.1f} for the layers' outputs, {parameters / GIB:.1f} for parameters, gradients and optimizer"
    )


def advice(network: NetworkSummary) -> str:
    """What to change so that a step takes less memory."""
    if any(layer.name == IMAGE and max(_shape(layer)) > LARGE_PIXELS for layer in network.layers):
        return "use a smaller image_size, a smaller batch_size or fewer --slots"
    return "use a smaller batch_size or fewer --slots"


def _shape(layer: Layer) -> list[int]:
    return [int(side) for side in layer.output_shape.split("x")] if layer.output_shape else [0]


def _parts(network: NetworkSummary, *, batch_size: int, precision: str) -> tuple[int, int, int]:
    """Bytes of the pictures as they are stored and prepared, of the layers' outputs, and of the parameters.

    Parameters have gradients and values of the optimizer.
    """
    layers = [layer for layer in network.layers if layer.name not in (IMAGE, *PICTURE_LAYERS)]
    numbers = [math.prod(_shape(layer)) for layer in layers]
    pictures = batch_size * sum(
        math.prod(_shape(layer)) * (1 if layer.name == IMAGE else _SINGLE)
        for layer in network.layers
        if layer.name in (IMAGE, *PICTURE_LAYERS)
    )
    first_trainable = next((k for k, layer in enumerate(layers) if layer.trainable and layer.parameters), 0)
    frozen_outputs = 2 * max(
        numbers[:first_trainable], default=0
    )  # only the next layer needs an output of a frozen one
    outputs = (
        max(frozen_outputs, sum(numbers[first_trainable:]))
        * batch_size
        * (_HALF if precision.startswith("mixed_") else _SINGLE)
    )
    parameters = (network.parameters + (_COPIES - 1) * network.trainable_parameters) * _SINGLE
    return pictures, outputs, parameters
