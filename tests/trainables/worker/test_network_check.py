"""What is said of a user's network before any trial."""

import itertools
from dataclasses import dataclass

import keras
import pytest
from keras import layers
from keras.optimizers.schedules import ExponentialDecay

from trainables.config import between
from trainables.keys import Keys
from trainables.layers.preprocessing import inputs
from trainables.worker.network_check import failure, problem

SHAPE, CLASSES = (8, 8, 1), 3


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    width: int = between(4, 1, 512, "units")


class Unregistered(layers.Layer):
    """A layer that Keras can save and cannot find again."""

    def call(self, x):
        return x * 2


@keras.saving.register_keras_serializable("test_network_check")
class Incomplete(layers.Layer):
    """A registered layer whose configuration lacks its factor."""

    def __init__(self, factor=1.0, **settings):
        super().__init__(**settings)
        self.factor = factor

    def get_config(self):
        return {key: value for key, value in super().get_config().items() if key != "factor"}

    def call(self, x):
        return x * self.factor


@keras.saving.register_keras_serializable("test_network_check")
class NeedsUnits(layers.Layer):
    """A registered layer whose argument is not in its configuration."""

    def __init__(self, units, **settings):
        super().__init__(**settings)
        self.dense = layers.Dense(units)

    def get_config(self):
        return {key: value for key, value in super().get_config().items() if key != "units"}

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class Subclass(keras.Model):
    """A network without a graph of layers."""

    def call(self, x):
        return x


@keras.saving.register_keras_serializable("test_network_check")
class NoGraph(keras.Model):
    """A network that is a layer of another, and has layers inside that are in no graph."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = layers.Dense(4)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)


class OwnSteps(keras.Model):
    """A network that says how it is trained."""

    def train_step(self, data):
        raise NotImplementedError


class OwnRegularizer(keras.regularizers.Regularizer):
    """A regularizer that Keras can save and cannot find again."""

    def __call__(self, weights):
        return keras.ops.sum(weights)

    def get_config(self):
        return {}


def own_activation(x):
    return x * 2


def own_loss(labels, outputs):
    return keras.ops.mean(outputs)


def ends(model):
    return model.inputs[0], model.outputs[0]


def named(model):
    return model.inputs[0], {"probabilities": model.outputs[0]}


def frozen(model):
    model.trainable = False
    return model


def network(config, image_shape, classes, *, end=None, middle=None, compiled=None):
    """A network that is right, but for what a test changes: functions that make the layer in its middle, at its end."""
    image, x = inputs(config, image_shape)
    x = layers.Flatten()(x)
    x = middle()(x) if middle else layers.Dense(config.width, activation="relu")(x)
    model = keras.Model(image, (end() if end else layers.Dense(classes, activation="softmax"))(x))
    if compiled:
        model.compile(**compiled)
    return model


SHARED = layers.Dense(CLASSES, activation="softmax", name="shared")
SHARED_NETWORK = keras.Sequential([keras.Input((64,)), layers.Dense(4)], name="of_the_script")


def said(build, **keys):
    return problem(build, Config(**keys), SHAPE, CLASSES)


def changed(**changes):
    def build(config: Config, image_shape, classes):
        return network(config, image_shape, classes, **changes)

    return build


LOSS = "sparse_categorical_crossentropy"
PROBABILITIES = "outputs are no probabilities: those of an image add up to"
BAD = {
    "logits": (changed(end=lambda: layers.Dense(CLASSES)), PROBABILITIES),
    "sigmoid": (changed(end=lambda: layers.Dense(CLASSES, activation="sigmoid")), PROBABILITIES),
    "too many outputs": (changed(end=lambda: layers.Dense(5)), "outputs of shape (None, 5); valid: (None, 3)"),
    "an unregistered layer": (changed(middle=Unregistered), "the layer Unregistered, which cannot be loaded again"),
    "a lambda": (changed(middle=lambda: layers.Lambda(lambda x: x * 2)), "keras.layers.Lambda"),
    "a layer without its argument": (
        changed(middle=lambda: NeedsUnits(4)),
        "the layer NeedsUnits, which its get_config() does not make again",
    ),
    "a layer that forgets": (changed(middle=lambda: Incomplete(3.0)), "differs after it is saved and loaded"),
    "another loss": (changed(compiled={"loss": "mse"}), "with the loss mse; a sweep trains with"),
    "a loss of logits": (
        changed(compiled={"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}),
        "SparseCategoricalCrossentropy from logits",
    ),
    "another optimizer": (changed(compiled={"loss": LOSS, "optimizer": "sgd"}), "with SGD and a learning rate of 0.01"),
    "another rate": (
        changed(compiled={"loss": LOSS, "optimizer": keras.optimizers.Adam(0.5)}),
        "with Adam and a learning rate of 0.5",
    ),
    "a setting of its optimizer": (
        changed(compiled={"loss": LOSS, "optimizer": keras.optimizers.Adam(clipnorm=1.0)}),
        "with Adam and clipnorm=1.0, which a sweep does not use: remove compile()",
    ),
    "a schedule": (
        changed(compiled={"loss": LOSS, "optimizer": keras.optimizers.Adam(ExponentialDecay(1e-3, 100, 0.9))}),
        "a schedule of its learning rate (ExponentialDecay), which a sweep does not use",
    ),
    "a loss for a named output": (changed(compiled={"loss": {"dense": "mse"}}), "with the loss mse; a sweep"),
    "a loss of its own": (changed(compiled={"loss": own_loss}), "with the loss own_loss; a sweep"),
    "an unregistered function": (
        changed(middle=lambda: layers.Dense(4, activation=own_activation)),
        "own_activation as activation of the layer dense",
    ),
    "an unregistered regularizer": (
        changed(middle=lambda: layers.Dense(4, kernel_regularizer=OwnRegularizer())),
        "OwnRegularizer as kernel_regularizer of the layer dense",
    ),
    "a named output": (
        lambda config, image_shape, classes: keras.Model(*named(network(config, image_shape, classes))),
        "a network of named inputs or outputs (dict)",
    ),
    "its own steps": (
        lambda config, image_shape, classes: OwnSteps(*ends(network(config, image_shape, classes))),
        "OwnSteps, whose own train_step() a sweep does not call",
    ),
    "frozen": (
        lambda config, image_shape, classes: frozen(network(config, image_shape, classes)),
        "a network without weights that can be trained",
    ),
    "a layer of the script": (changed(end=lambda: SHARED), "the layer shared of an earlier network, trained weights"),
    "a network of the script": (changed(middle=lambda: SHARED_NETWORK), "the layer of_the_script of an earlier"),
    "nothing": (lambda config, image_shape, classes: None, "returns nothing; valid: `return keras.Model"),
    "a tensor": (lambda config, image_shape, classes: inputs(config, image_shape)[1], "returns KerasTensor"),
    "a subclass": (lambda config, image_shape, classes: Subclass(), "returns Subclass, which has no graph"),
    "no input": (lambda config, image_shape, classes: keras.Sequential([layers.Flatten()]), "without keras.Input"),
    "other images": (
        lambda config, image_shape, classes: network(config, (4, 4, 3), classes),
        "images of shape (4, 4, 3); those of the data have (8, 8, 1)",
    ),
    "numbers that are no bytes": (
        lambda config, image_shape, classes: keras.Sequential([keras.Input(image_shape), layers.Flatten()]),
        "whose input is float32; valid: uint8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_trained_is_said(name):
    build, text = BAD[name]
    answer = said(build)
    assert text in answer
    assert " (test_network_check.py, line " in answer
    assert "\n" not in answer


def test_networks_that_can_be_trained_are_not_refused():
    def sequential(config: Config, image_shape, classes):
        first = [keras.Input(image_shape, dtype="uint8"), layers.Rescaling(1 / 255), layers.Flatten()]
        return keras.Sequential([*first, layers.Dense(classes, activation="softmax")])

    assert said(changed()) is None
    assert said(sequential) is None
    assert said(changed(compiled={"loss": LOSS, "optimizer": "adam"})) is None
    assert said(changed(compiled={"loss": LOSS, "optimizer": "sgd"}), optimizer="sgd") is None


def test_layers_with_several_outputs_and_networks_without_a_graph_inside_can_be_trained():
    def with_state(config: Config, image_shape, classes):
        image, x = inputs(config, image_shape)
        outputs = layers.LSTM(4, return_state=True)(layers.Reshape((8, 8))(x))
        return keras.Model(image, layers.Dense(classes, activation="softmax")(layers.Concatenate()(outputs)))

    assert said(with_state) is None
    assert said(changed(middle=lambda: NoGraph(name="without_graph"))) is None


def test_an_error_of_keras_is_said_without_its_escape_codes():
    def build(config: Config, image_shape, classes):
        return layers.MaxPooling2D(100)(inputs(config, image_shape)[1])

    with pytest.raises(ValueError, match="output size would be zero") as caught:
        said(build)
    assert "\x1b" in str(caught.value)
    assert "\x1b" not in failure("mine", caught.value)


def test_a_network_that_is_drawn_at_random_is_refused():
    sizes = itertools.count(4)

    def build(config: Config, image_shape, classes):
        return network(config, image_shape, classes, middle=lambda: layers.Dense(next(sizes)))

    assert "makes another network each time: " in said(build)


def test_an_error_of_a_build_says_its_line():
    def build(config: Config, image_shape, classes):
        return undefined  # noqa: F821

    with pytest.raises(NameError) as caught:
        said(build)
    line = build.__code__.co_firstlineno + 1
    assert failure("mine", caught.value) == (
        f"the build of family mine raises NameError in test_network_check.py, line {line}: name 'undefined' is not "
        "defined"
    )
