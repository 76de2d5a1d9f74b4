"""An estimate of the memory that a training needs, for a person who has to make it smaller."""

import math
from typing import Final

from layersweep.formatting import GIB, gib
from layersweep.records.values import NetworkSummary

OUT_OF_MEMORY: Final = ("OutOfMemory", "ResourceExhaustedError", "MemoryError")
"""Types of errors of a training that got no more memory."""

KILLED: Final = "SIGKILL"
"""The signal by which the kernel ends a process when memory is short; others may send it, too."""

_SINGLE, _HALF = 4, 2
_COPIES: Final = 4
"""Copies of each parameter: itself, its gradient, and two values of the optimizer, such as Adam has."""


def step_bytes(network: NetworkSummary, *, batch_size: int, precision: str) -> int:
    """The memory of a step: outputs of the layers that the backward pass goes through, and the parameters."""
    return sum(_parts(network, batch_size=batch_size, precision=precision))


def text(network: NetworkSummary | None, *, batch_size: int, precision: str) -> str:
    """The estimate in words."""
    if network is None:
        return f"its network was being built, for batch_size={batch_size}"
    outputs, parameters = _parts(network, batch_size=batch_size, precision=precision)
    return (
        f"by estimate a step with batch_size={batch_size} takes {gib(outputs + parameters)}: "
        f"{outputs / GIB:.1f} for the layers' outputs, {parameters / GIB:.1f} for parameters, gradients and optimizer"
    )


def _parts(network: NetworkSummary, *, batch_size: int, precision: str) -> tuple[int, int]:
    """Bytes of the layers' outputs, and of parameters, gradients and optimizer."""
    numbers = [
        math.prod(map(int, layer.output_shape.split("x"))) if layer.output_shape else 0 for layer in network.layers
    ]
    first_trainable = next((k for k, layer in enumerate(network.layers) if layer.trainable and layer.parameters), 0)
    frozen_outputs = 2 * max(
        numbers[:first_trainable], default=0
    )  # only the next layer needs an output of a frozen one
    outputs = (
        max(frozen_outputs, sum(numbers[first_trainable:]))
        * batch_size
        * (_HALF if precision.startswith("mixed_") else _SINGLE)
    )
    parameters = (network.parameters + (_COPIES - 1) * network.trainable_parameters) * _SINGLE
    return outputs, parameters
