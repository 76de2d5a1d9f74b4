"""How an optimizer updates a model's variables on a CPU: what Keras' optimizers compute, in fewer passes over memory.

Keras composes an update of some ten operations. TensorFlow has some optimizers as one operation each, which Keras used
up to version 2: traced in a tenth of a second instead of more than half a one, and as fast as memory is. Of the others
XLA compiles the update of the largest variables.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import keras
import tensorflow as tf

Update = Callable[[Sequence[Any]], None]
"""Updates all variables by their gradients, in their order."""

UpdateStep = Callable[[Any, tf.Variable, Any], None]
"""As Keras' optimizers have it: (gradient, variable, learning rate)."""

_LARGE: Final = 1 << 16
"""Numbers in a variable from which on compiling its update pays."""

_MOST: Final = 4
"""Variables of a model that are compiled for: each takes some .15 s, and stays in XLA's memory."""

_LEFT_ALONE: Final = (keras.optimizers.Muon, keras.optimizers.LossScaleOptimizer)
"""One that multiplies matrices, and one that has another optimizer do the work if its loss was not scaled too much."""


def by_keras(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Update:
    """Keras' own update of these variables, for which the optimizer is built; to be traced."""

    def update(gradients: Sequence[Any]) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    return update


def on_cpu(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> Update:
    """The same, to rounding, in fewer operations where there is a way."""
    update = by_keras(optimizer, variables)
    if isinstance(optimizer, _LEFT_ALONE):
        return update
    kernel = _kernel(optimizer)

    def quicker(gradients: Sequence[Any]) -> None:
        optimizer.update_step = kernel.update_step(optimizer) if kernel else _large_compiled(optimizer, variables)
        try:
            update(gradients)
        finally:
            del optimizer.update_step  # it is for one trace

    return quicker


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """An operation of TensorFlow's that updates a variable, its arguments named by what they are in Keras' optimizer.

    Attributes:
        operation: the operation, which takes the variable as `var`.
        states: arguments that are what the optimizer keeps for each variable.
        settings: arguments that are settings of the optimizer.
        powers: arguments that are a setting to the power of the step's number, which counts from 1.
        rate: the learning rate's argument.
        gradient: the gradient's argument.
    """

    operation: Callable[..., Any]
    states: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    powers: Mapping[str, str] = field(default_factory=dict)
    rate: str = "lr"
    gradient: str = "grad"

    def update_step(self, optimizer: keras.optimizers.Optimizer) -> UpdateStep:
        """The update of each variable in the step that is traced: what they share is computed once."""
        step = tf.cast(tf.convert_to_tensor(optimizer.iterations) + 1, tf.float32)
        shared = {name: _constant(getattr(optimizer, setting)) for name, setting in self.settings.items()}
        shared |= {name: _constant(getattr(optimizer, setting)) ** step for name, setting in self.powers.items()}
        shared[self.rate] = tf.convert_to_tensor(optimizer.learning_rate)

        def update_step(gradient: Any, variable: tf.Variable, _: Any) -> None:
            index = optimizer._get_variable_index(variable)
            states = {name: getattr(optimizer, state)[index].value.handle for name, state in self.states.items()}
            self.operation(var=variable.handle, **states, **shared, **{self.gradient: gradient})

        return update_step


def _constant(setting: float) -> Any:
    return setting if isinstance(setting, bool) else tf.constant(setting, tf.float32)


def _kernel(optimizer: keras.optimizers.Optimizer) -> _Kernel | None:
    """The operation that computes what an optimizer does, if there is one."""
    if any(getattr(optimizer, setting, None) for setting in _UNKNOWN_TO_KERNELS):
        return None
    return _KERNELS.get((type(optimizer), bool(getattr(optimizer, "momentum", 0))))


_UNKNOWN_TO_KERNELS: Final = ("amsgrad", "centered")
"""Settings, of Adam and RMSprop, that the operations below do not have."""

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
    (keras.optimizers.AdamW, False): _ADAM,  # the decay comes before
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
"""By an optimizer's class and whether it has momentum, where TensorFlow's operation is Keras' formula. Adagrad's adds
epsilon outside of the root, RMSprop's keeps a momentum even of 0, Nadam's has no schedule, and FTRL's makes 0 of what
is no number, so that a training that blew up would look as if it went on."""


def _large_compiled(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> UpdateStep:
    """The optimizer's own update, compiled by XLA for the largest variables: one pass where operations make ten.

    Trainings side by side want the same memory, and feel it most. Other variables stay as they are: compiling them all
    takes longer, and whole updates compiled at once run slower.
    """
    sizes = sorted((math.prod(variable.shape) for variable in variables), reverse=True)
    least = max(_LARGE, sizes[min(_MOST, len(sizes)) - 1])
    plain = optimizer.update_step

    def update_step(gradient: tf.Tensor, variable: tf.Variable, learning_rate: Any) -> None:
        if math.prod(variable.shape) < least:
            plain(gradient, variable, learning_rate)
            return

        def one(slope: tf.Tensor, rate: tf.Tensor) -> None:
            plain(slope, variable, rate)

        tf.function(one, autograph=False, jit_compile=True)(gradient, tf.convert_to_tensor(learning_rate))

    return update_step
