"""How an optimizer updates a model's variables on a CPU: what Keras' optimizers compute, in fewer passes over memory.

Keras composes an update of some ten operations. TensorFlow has most optimizers as one operation each, as Keras had them
up to version 2: traced in a tenth of a second instead of half a second to one, and as fast as memory is. What is not
among them, XLA compiles for the largest variables.
"""

import math
from collections.abc import Callable, Mapping, Sequence
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
    update, kernel = by_keras(optimizer, variables), _kernel(optimizer)
    if kernel is None:
        if not isinstance(optimizer, _LEFT_ALONE):
            _compile_large(optimizer, variables)
        return update

    def update_by_kernel(gradients: Sequence[Any]) -> None:
        optimizer.update_step = kernel(optimizer)
        try:
            update(gradients)
        finally:
            del optimizer.update_step  # it holds what belongs to one trace

    return update_by_kernel


def _kernel(optimizer: keras.optimizers.Optimizer) -> Callable[[keras.optimizers.Optimizer], UpdateStep] | None:
    """What makes an optimizer's `update_step` of one operation, if TensorFlow has one that computes the same."""
    return None if getattr(optimizer, "amsgrad", False) else _KERNELS.get(type(optimizer))


def _sgd(optimizer: keras.optimizers.SGD) -> UpdateStep:
    momentum = tf.constant(optimizer.momentum, tf.float32)

    def update_step(gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        if not optimizer.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=learning_rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=_state(optimizer, optimizer.momentums, variable),
            lr=learning_rate,
            grad=gradient,
            momentum=momentum,
            use_nesterov=optimizer.nesterov,
        )

    return update_step


def _adam(optimizer: keras.optimizers.Adam) -> UpdateStep:
    step = tf.cast(optimizer.iterations.value + 1, tf.float32)
    beta_1, beta_2 = tf.constant(optimizer.beta_1, tf.float32), tf.constant(optimizer.beta_2, tf.float32)
    powers = beta_1**step, beta_2**step

    def update_step(gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=_state(optimizer, optimizer._momentums, variable),
            v=_state(optimizer, optimizer._velocities, variable),
            beta1_power=powers[0],
            beta2_power=powers[1],
            lr=learning_rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )

    return update_step


def _adamax(optimizer: keras.optimizers.Adamax) -> UpdateStep:
    beta_1 = tf.constant(optimizer.beta_1, tf.float32)
    power = beta_1 ** tf.cast(optimizer.iterations.value + 1, tf.float32)

    def update_step(gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdaMax(
            var=variable.handle,
            m=_state(optimizer, optimizer._m, variable),
            v=_state(optimizer, optimizer._u, variable),
            beta1_power=power,
            lr=learning_rate,
            beta1=beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )

    return update_step


def _adadelta(optimizer: keras.optimizers.Adadelta) -> UpdateStep:
    def update_step(gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        tf.raw_ops.ResourceApplyAdadelta(
            var=variable.handle,
            accum=_state(optimizer, optimizer._accumulated_grads, variable),
            accum_update=_state(optimizer, optimizer._accumulated_delta_vars, variable),
            lr=learning_rate,
            rho=optimizer.rho,
            epsilon=optimizer.epsilon,
            grad=gradient,
        )

    return update_step


def _ftrl(optimizer: keras.optimizers.Ftrl) -> UpdateStep:
    def update_step(gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        tf.raw_ops.ResourceApplyFtrlV2(
            var=variable.handle,
            accum=_state(optimizer, optimizer._accumulators, variable),
            linear=_state(optimizer, optimizer._linears, variable),
            grad=gradient,
            lr=learning_rate,
            l1=optimizer.l1_regularization_strength,
            l2=optimizer.l2_regularization_strength + optimizer.beta / (2.0 * learning_rate),
            l2_shrinkage=optimizer.l2_shrinkage_regularization_strength,
            lr_power=optimizer.learning_rate_power,
        )

    return update_step


def _state(optimizer: keras.optimizers.Optimizer, of_all: Sequence[keras.Variable], variable: tf.Variable) -> tf.Tensor:
    """The handle of what an optimizer keeps for a variable."""
    return of_all[optimizer._get_variable_index(variable)].value.handle


_KERNELS: Final[Mapping[type, Callable[[Any], UpdateStep]]] = {
    keras.optimizers.Adadelta: _adadelta,
    keras.optimizers.Adam: _adam,
    keras.optimizers.AdamW: _adam,
    keras.optimizers.Adamax: _adamax,
    keras.optimizers.Ftrl: _ftrl,
    keras.optimizers.SGD: _sgd,
}
"""Where TensorFlow's operation is Keras' formula. Adagrad's adds epsilon outside of the root, RMSprop's wants a
momentum, and Nadam's leaves out the schedule of Keras'."""


def _compile_large(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> None:
    """Has XLA compile how an optimizer updates the largest variables: one pass where Keras' operations make ten.

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

    optimizer.update_step = update_step
