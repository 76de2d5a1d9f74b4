"""Fast updates of a model's variables on a CPU: the formulas of Keras' optimizers, in fewer passes over memory.

Keras composes an update of about ten operations. For some optimizers TensorFlow has one operation, which Keras used
up to version 2: it is traced in 0.1 s instead of more than 0.5 s, and runs as fast as memory allows. For the other
optimizers XLA compiles the update of the largest variables.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import keras
import tensorflow as tf

Update = Callable[[Sequence[Any]], None]
"""Takes the gradients of all variables, in the variables' order, and updates the variables."""

UpdateStep = Callable[[Any, tf.Variable, Any], None]
"""The method of Keras' optimizers with this name: (gradient, variable, learning rate)."""

_LARGE: Final = 1 << 16
"""The size of a variable (numbers) from which compiling its update saves time."""

_MOST_COMPILED: Final = 4
"""The number of variables of a model whose update is compiled: each takes about 0.15 s, and stays in XLA's memory."""

_KERAS_ONLY: Final = (keras.optimizers.Muon, keras.optimizers.LossScaleOptimizer)
"""Muon multiplies matrices; LossScaleOptimizer calls another optimizer, but only if the gradients are finite."""


def by_keras(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Update:
    """Keras' own update of these variables, for which the optimizer is built; the caller traces it."""

    def update(gradients: Sequence[Any]) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    return update


def on_cpu(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Update:
    """The same update up to rounding, in fewer operations if possible."""
    update = by_keras(optimizer, variables)
    if isinstance(optimizer, _KERAS_ONLY):
        return update
    kernel = _kernel(optimizer)

    def update_on_cpu(gradients: Sequence[Any]) -> None:
        optimizer.update_step = kernel.update_step(optimizer) if kernel else _large_compiled(optimizer, variables)
        try:
            update(gradients)
        finally:
            del optimizer.update_step  # it is valid for one trace only

    return update_on_cpu


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """A TensorFlow operation that updates a variable, and where its arguments are in Keras' optimizer.

    Attributes:
        operation: the operation, which takes the variable as `var`.
        states: arguments that are the optimizer's state for each variable, as {argument: attribute}.
        settings: arguments that are settings of the optimizer, as {argument: attribute}.
        powers: arguments that are a setting to the power of the step's number, which counts from 1.
        rate: the name of the learning rate's argument.
        gradient: the name of the gradient's argument.
    """

    operation: Callable[..., Any]
    states: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    powers: Mapping[str, str] = field(default_factory=dict)
    rate: str = "lr"
    gradient: str = "grad"

    def update_step(self, optimizer: keras.optimizers.Optimizer) -> UpdateStep:
        """The update of each variable in one traced step: arguments that all variables share are computed once."""
        step = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, tf.float32)
        arguments = {name: _constant(getattr(optimizer, setting)) for name, setting in self.settings.items()}
        arguments |= {name: _constant(getattr(optimizer, setting)) ** step for name, setting in self.powers.items()}
        arguments[self.rate] = tf.convert_to_tensor(optimizer.learning_rate)

        def update_step(gradient: Any, variable: tf.Variable, _: Any) -> None:
            index = optimizer._get_variable_index(variable)
            states = {name: getattr(optimizer, state)[index].value.handle for name, state in self.states.items()}
            self.operation(var=variable.handle, **states, **arguments, **{self.gradient: gradient})

        return update_step


def _constant(setting: float) -> Any:
    return setting if isinstance(setting, bool) else tf.constant(setting, tf.float32)


def _kernel(optimizer: keras.optimizers.Optimizer) -> _Kernel | None:
    """The operation with the same formula as an optimizer, or None."""
    if any(getattr(optimizer, setting, None) for setting in _UNKNOWN_TO_KERNELS):
        return None
    return _KERNELS.get((type(optimizer), bool(getattr(optimizer, "momentum", 0))))


_UNKNOWN_TO_KERNELS: Final = ("amsgrad", "centered")
"""Settings of Adam and RMSprop that the operations below do not have."""

_ADAM: Final = _Kernel(
    operation=tf.raw_ops.ResourceApplyAdam,
    states={"m": "_momentums", "v": "_velocities"},
    settings={"beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"},
    powers={"beta1_power": "beta_1", "beta2_power": "beta_2"},
)

_KERNELS: Final[Mapping[tuple[type, bool], _Kernel]] = {
    (keras.optimizers.SGD, False): _Kernel(
        operation=tf.raw_ops.ResourceApplyGradientDescent,
        rate="alpha",
        gradient="delta",
    ),
    (keras.optimizers.SGD, True): _Kernel(
        operation=tf.raw_ops.ResourceApplyKerasMomentum,
        states={"accum": "momentums"},
        settings={"momentum": "momentum", "use_nesterov": "nesterov"},
    ),
    (keras.optimizers.RMSprop, True): _Kernel(
        operation=tf.raw_ops.ResourceApplyRMSProp,
        states={"ms": "_velocities", "mom": "_momentums"},
        settings={"rho": "rho", "momentum": "momentum", "epsilon": "epsilon"},
    ),
    (keras.optimizers.Adam, False): _ADAM,
    (keras.optimizers.AdamW, False): _ADAM,  # Keras applies the decay before the update
    (keras.optimizers.Adamax, False): _Kernel(
        operation=tf.raw_ops.ResourceApplyAdaMax,
        states={"m": "_m", "v": "_u"},
        settings={"beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"},
        powers={"beta1_power": "beta_1"},
    ),
    (keras.optimizers.Adadelta, False): _Kernel(
        operation=tf.raw_ops.ResourceApplyAdadelta,
        states={"accum": "_accumulated_grads", "accum_update": "_accumulated_delta_vars"},
        settings={"rho": "rho", "epsilon": "epsilon"},
    ),
}
"""The operations that have Keras' formula, by the optimizer's class and whether it has momentum. Others differ:
Adagrad's adds epsilon outside the root, RMSprop's stores a momentum even if it is 0, Nadam's has no schedule, and
FTRL's turns NaN into 0, so that a diverged training would seem to continue."""


def _large_compiled(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> UpdateStep:
    """The optimizer's own update, compiled by XLA for the largest variables: one pass over memory instead of ten.

    Trainings that run side by side share the memory's bandwidth, and gain most. Other variables are not compiled:
    compiling all of them takes longer, and one compiled update of all variables runs slower.
    """
    sizes = sorted((math.prod(variable.shape) for variable in variables), reverse=True)
    smallest = max(_LARGE, sizes[min(_MOST_COMPILED, len(sizes)) - 1])
    keras_update_step = optimizer.update_step

    def update_step(gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        if math.prod(variable.shape) < smallest:
            keras_update_step(gradient, variable, learning_rate)
            return

        def update_large(slope: tf.Tensor, rate: tf.Tensor) -> None:
            keras_update_step(slope, variable, rate)

        tf.function(update_large, autograph=False, jit_compile=True)(gradient, tf.convert_to_tensor(learning_rate))

    return update_step
