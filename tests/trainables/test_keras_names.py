"""The listed names are those of the installed Keras: all of them, and each works as its list says."""
# ruff: noqa: E402

import inspect

import numpy as np
import pytest

from trainables.hardware import one_thread

one_thread()

import keras

from trainables.keras_names import ACTIVATIONS, INITIALIZERS, PRECISIONS
from trainables.optimizers import LEARNING_RATES, optimizer

NO_OPTIMIZERS = {
    "Optimizer": "the base of the others",
    "LossScaleOptimizer": "wraps another one, for float16",
    "MultiOptimizer": "several others, each for some layers",
    "OptimizerMap": "says which of them is for which layer",
}
NO_ACTIVATIONS = {
    "get": "no activation",
    "serialize": "no activation",
    "deserialize": "no activation",
    "softmax": "of all channels together",
    "log_softmax": "of all channels together",
    "sparsemax": "of all channels together",
    "glu": "halves the channels",
    "threshold": "has no values of its own: it asks for two more arguments",
    "swish": "another name of silu",
    "hard_swish": "another name of hard_silu",
}
NO_INITIALIZERS = {
    "get": "no initializer",
    "serialize": "no initializer",
    "deserialize": "no initializer",
    "zeros": "draws nothing",
    "ones": "draws nothing",
    "constant": "draws nothing",
    "identity": "draws nothing, and for matrices alone",
    "stft": "draws nothing: the kernel of a Fourier transform",
}


def exported(module, kind):
    """The public objects of a Keras module, by name."""
    return {name: value for name, value in vars(module).items() if kind(value) and not name.startswith("_")}


def test_every_optimizer_of_keras_is_known_with_its_learning_rate():
    classes = exported(keras.optimizers, inspect.isclass)
    in_keras = {
        name.lower(): inspect.signature(each).parameters["learning_rate"].default
        for name, each in classes.items()
        if name not in NO_OPTIMIZERS
    }
    assert in_keras == LEARNING_RATES
    assert set(NO_OPTIMIZERS) < set(classes)


@pytest.mark.parametrize("name", LEARNING_RATES)
def test_every_optimizer_is_made_by_its_name_and_changes_every_weight_in_one_step(name):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])
    model.compile(optimizer(name, None), loss="mse", run_eagerly=True)
    before = model.get_weights()
    model.train_on_batch(np.array([[1.0, -2.0, 3.0], [0.5, 1.0, 0.0]]), np.array([[5.0, -5.0], [4.0, -6.0]]))
    assert type(model.optimizer).__name__.lower() == name
    assert float(model.optimizer.learning_rate) == pytest.approx(LEARNING_RATES[name])
    assert all((new != old).any() for new, old in zip(model.get_weights(), before, strict=True))


def test_an_optimizer_takes_the_learning_rate_that_it_is_given():
    assert float(optimizer("sgd", 0.25).learning_rate) == 0.25


def test_every_activation_of_keras_is_known():
    assert {*ACTIVATIONS, *NO_ACTIVATIONS} == set(exported(keras.activations, inspect.isfunction))
    assert not set(ACTIVATIONS) & set(NO_ACTIVATIONS)
    assert keras.activations.swish is keras.activations.silu
    assert keras.activations.hard_swish is keras.activations.hard_silu


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_acts_on_each_number_by_itself(name):
    numbers = np.array([[-4.0, -0.3, 0.2, 5.0]], dtype=np.float32)
    activation = keras.layers.Activation(name)
    together = np.asarray(activation(numbers))
    alone = [float(activation(numbers[:, k : k + 1])[0, 0]) for k in range(4)]
    assert together.tolist() == [pytest.approx(alone)]
    assert len(set(together[0].tolist())) > 1


def test_every_initializer_of_keras_that_draws_is_known():
    lower_case = {name for name in exported(keras.initializers, callable) if name.islower()}
    assert {*INITIALIZERS, *NO_INITIALIZERS} == lower_case
    assert not set(INITIALIZERS) & set(NO_INITIALIZERS)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(5, 5, 1, 32), (10, 7)], ids=["convolution", "dense"])
def test_every_initializer_draws_a_kernel_from_the_seed(name, shape):
    def draw(seed):
        keras.utils.set_random_seed(seed)
        return np.asarray(keras.initializers.get(name)(shape))

    kernel = draw(1)
    assert kernel.shape == shape
    assert np.isfinite(kernel).all()
    assert abs(kernel.mean()) < kernel.std() < 1
    np.testing.assert_array_equal(kernel, draw(1))
    assert (kernel != draw(2)).any()


def test_every_precision_is_a_policy_of_keras():
    assert [keras.dtype_policies.get(name).name for name in PRECISIONS] == list(PRECISIONS)
