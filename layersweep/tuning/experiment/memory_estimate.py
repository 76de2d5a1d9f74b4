"""What a training needs by estimate, for whoever has to make it smaller."""

import math
from typing import Final

from layersweep.records.values import Built
from layersweep.words import GIB, gib

OUT_OF_MEMORY: Final = ("OutOfMemory", "ResourceExhaustedError", "MemoryError")
"""Errors by which a training says that it got no more."""

KILLED: Final = "SIGKILL"
"""How the kernel ends a process when memory is short; others may, too."""

_SINGLE, _HALF = 4, 2
_COPIES: Final = 4
"""Of each parameter: itself, its gradient, and two of the optimizer's, as Adam has them."""


def step_bytes(built: Built, *, batch_size: int, precision: str) -> int:
    """What a step takes by estimate: outputs of the layers that the backward pass goes through, and the parameters."""
    return sum(_parts(built, batch_size=batch_size, precision=precision))


def said(built: Built | None, *, batch_size: int, precision: str) -> str:
    """The estimate in words."""
    if built is None:
        return f"it was being built, for batch_size={batch_size}"
    outputs, parameters = _parts(built, batch_size=batch_size, precision=precision)
    return (
        f"by estimate a step with batch_size={batch_size} takes {gib(outputs + parameters)}: "
        f"{outputs / GIB:.1f} for the layers' outputs, {parameters / GIB:.1f} for parameters, gradients and optimizer"
    )


def _parts(built: Built, *, batch_size: int, precision: str) -> tuple[int, int]:
    """Bytes of the layers' outputs, and of parameters, gradients and optimizer."""
    numbers = [
        math.prod(map(int, layer.output_shape.split("x"))) if layer.output_shape else 0 for layer in built.layers
    ]
    frozen = next((k for k, layer in enumerate(built.layers) if layer.trainable and layer.parameters), 0)
    passing = 2 * max(numbers[:frozen], default=0)  # what comes before is needed by the next layer alone
    outputs = max(passing, sum(numbers[frozen:])) * batch_size * (_HALF if precision.startswith("mixed_") else _SINGLE)
    parameters = (built.parameters + (_COPIES - 1) * built.trainable_parameters) * _SINGLE
    return outputs, parameters
