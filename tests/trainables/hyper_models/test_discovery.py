import keras
import keras_tuner
import pytest
from keras import layers

from trainables.errors import ConfigError
from trainables.hyper_models.discovery import space_of


def compiled(optimizer, *inputs):
    network = keras.Sequential([*inputs, layers.Flatten(), layers.Dense(10, "softmax")])
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    return network


def by_key(space):
    return {each.key: each for each in space.hyperparameters}


def test_one_that_sets_the_learning_rate_is_that_key_whatever_its_name():
    space = space_of(lambda hp: compiled(keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2, sampling="log"))))
    rate = by_key(space)["learning_rate"]
    assert (rate.name, rate.default, rate.low, rate.high, rate.log) == ("lr", 1e-4, 1e-4, 1e-2, True)
    assert (space.optimizer, space.rates) == ("adam", ())
    assert space.remarks == ("the hyperparameter 'lr' is the key learning_rate",)


def test_names_of_optimizers_are_the_key_optimizer_with_what_compile_says_of_each():
    def build(hp):
        if hp.Choice("opt", ["Adam", "SGD"]) == "Adam":
            return compiled(keras.optimizers.Adam(0.002))
        return compiled(keras.optimizers.SGD(0.05, momentum=0.9))

    space = space_of(build)
    optimizer = by_key(space)["optimizer"]
    assert (optimizer.values, optimizer.own_values, optimizer.default) == (("adam", "sgd"), ("Adam", "SGD"), "adam")
    assert dict(space.rates) == {"adam": 0.002, "sgd": 0.05}
    assert dict(space.momenta) == {"adam": 0.0, "sgd": 0.9}


def test_a_momentum_is_the_key_momentum():
    space = space_of(lambda hp: compiled(keras.optimizers.SGD(0.1, momentum=hp.Float("m", 0.0, 0.9))))
    assert by_key(space)["momentum"].name == "m"
    assert space.rates == (("sgd", 0.1),)


def test_conditions_name_keys():
    def build(hp):
        if hp.Choice("my kind", ["a", "b"]) == "b":
            hp.Int("some units", 1, 3)
        return compiled("adam")

    assert by_key(space_of(build))["some_units"].conditions == (("my_kind", ("b",)),)


def test_a_model_that_is_not_compiled_has_keys_of_ours_by_their_names():
    space = space_of(lambda hp: [hp.Choice("learning_rate", [1, 2]), keras.Sequential([layers.Flatten()])][1])
    rate = by_key(space)["learning_rate"]
    assert (rate.kind, rate.values, rate.own_values) == ("float", (1.0, 2.0), (1, 2))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28, 1), (28, 1)),
        ((32, 32, 3), (32, 3)),
        ((28, 28), (28, 1)),
        ((784,), (28, 1)),
        ((3072,), (32, 3)),
        ((100, 50, 3), (0, 3)),
        ((1000,), (0, 0)),
        ((None, None, 3), (0, 3)),
    ],
)
def test_the_input_says_how_images_are_resized(shape, expected):
    def build(hp):
        image = keras.Input(shape)
        return keras.Model(image, keras.layers.Identity()(image))

    space = space_of(build)
    assert (space.image_size, space.channels) == expected


def test_a_rate_that_follows_no_hyperparameter_is_refused():
    with pytest.raises(
        ConfigError, match=r"the learning_rate of compile\(\) changes .*valid: hp.Float\('learning_rate'"
    ):
        space_of(lambda hp: compiled(keras.optimizers.Adam(10.0 ** -hp.Int("exponent", 1, 4))))


def test_optimizers_by_other_names_are_refused():
    def build(hp):
        return compiled("adam" if hp.Boolean("modern", default=True) else "sgd")

    with pytest.raises(ConfigError, match=r"compile\(\) sets adam, sgd, and no hyperparameter .* valid: hp.Choice"):
        space_of(build)


def test_a_learning_rate_that_compile_does_not_use_is_refused():
    with pytest.raises(ConfigError, match=r"'learning_rate' is not the learning_rate of compile\(\); valid: another"):
        space_of(lambda hp: compiled(keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2) * 2)))


def test_a_loss_of_some_networks_only_is_refused_with_their_values():
    def build(hp):
        network = keras.Sequential([layers.Flatten()])
        network.compile(loss=hp.Choice("loss", ["categorical_crossentropy", "mse"]))
        return network

    with pytest.raises(ConfigError, match=r"compile\(\) sets loss='mse'.*, with loss=mse$"):
        space_of(build)


@pytest.mark.slow
def test_keras_tuners_own_hypermodels_are_discovered():
    residual = space_of(keras_tuner.applications.HyperResNet(input_shape=(32, 32, 3), classes=10).build)
    assert {*by_key(residual)} == {
        "version", "conv3_depth", "conv4_depth", "pooling", "optimizer", "learning_rate"
    }  # fmt: skip
    separable = space_of(keras_tuner.applications.HyperXception(input_shape=(71, 71, 3), classes=10).build)
    assert by_key(separable)["learning_rate"].values == (1e-3, 1e-4, 1e-5)
    assert (separable.image_size, separable.channels) == (71, 3)
