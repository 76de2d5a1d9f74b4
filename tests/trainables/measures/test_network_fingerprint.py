"""The fingerprint of a network: equal for equal networks, whatever their layers are called; different otherwise."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import made_up
from keras import layers as kl

from trainables.families.by_name import family
from trainables.families.family_code import FamilyCode
from trainables.measures.model_measures import model_size
from trainables.source_code import source_fingerprint
from trainables.worker.model_check import ModelSpec, summaries


def network(*, activation="relu", filters=4, name="conv", skip=True, seed=1, rate=0.1):
    inputs = keras.Input((8, 8, 1), name=f"{name}_input")
    x = first = kl.Conv2D(filters, 3, padding="same", activation=activation, name=name)(inputs)
    x = kl.Conv2D(filters, 3, padding="same", name=f"{name}_2")(x)
    x = kl.Add(name=f"{name}_add")([x, first if skip else x])
    x = kl.Dropout(rate, seed=seed)(x)
    return keras.Model(inputs, kl.Dense(3, activation="softmax")(kl.Flatten()(x)), name=f"{name}_model")


def fingerprint(model):
    return model_size(model, seconds_build=0.0).fingerprint


def test_names_and_seeds_are_not_part_of_it():
    keras.backend.clear_session()
    assert fingerprint(network()) == fingerprint(network(name="relu", seed=2))


def test_what_a_network_computes_is():
    same = fingerprint(network())
    others = [
        fingerprint(network(**change))
        for change in ({"activation": "elu"}, {"rate": 0.2}, {"skip": False}, {"filters": 5})
    ]
    assert len({same, *others}) == 5
    assert [other[:16] == same[:16] for other in others] == [True, True, True, False]


def test_a_family_is_the_same_at_each_build_and_each_seed():
    module = family("residual_cnn")
    first, second = (fingerprint(module.build(module.Config(), (28, 28, 1), 10)) for _ in range(2))
    assert first == second
    assert len(first) == 32


def test_a_network_whose_layer_has_no_configuration_has_no_fingerprint():
    class Shift(kl.Layer):
        def __init__(self, shift):
            super().__init__()
            self.shift = shift

        def call(self, inputs):
            return self.shift(inputs)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Shift(lambda x: x + 1)(inputs))
    assert fingerprint(model) is None


def test_the_process_that_builds_gives_the_fingerprint_of_a_training(fashion_mnist):
    """Also where the training sets the momentum of batch normalisation after the network is built."""
    module, configs = family("residual_cnn"), [{}, {"normalization_momentum": 0.9}]
    specs = [
        ModelSpec(
            family=FamilyCode.named("residual_cnn"), config_json=json.dumps(c), image_shape=(28, 28, 1), classes=10
        )
        for c in configs
    ]
    data = replace(fashion_mnist, train_images=32, validation_images=16, test_images=16)
    trained = [next(module.train(module.Config(**c), data, seed=1, epochs=1)).fingerprint for c in configs]
    assert [summary["fingerprint"] for summary in summaries(specs)] == trained
    assert trained[0] != trained[1]


def test_source_code_is_known_for_this_projects_families():
    codes = {name: FamilyCode.named(name) for name in ("residual_cnn", "cifar_cnn", "mobilenet", "autokeras")}
    files = [Path(code.file).name for code in codes.values()]
    assert files == ["residual_cnn.py", "cifar_cnn.py", "applications.py", "autokeras.py"]
    assert source_fingerprint(made_up.CODE) is None
    own, other = source_fingerprint(codes["residual_cnn"]), source_fingerprint(codes["cifar_cnn"])
    assert own[16:] == other[16:]
    assert own[:16] != other[:16]


def with_activation(factor):
    def own(x):
        return x * factor

    registered = keras.saving.register_keras_serializable("test_fingerprint", "own")(own)
    image = keras.Input((4,))
    return fingerprint(keras.Model(image, keras.layers.Dense(2, activation=registered)(image)))


def test_the_code_of_a_users_activation_is_part_of_it():
    assert with_activation(2) == with_activation(2)
    assert with_activation(2) != with_activation(3)
