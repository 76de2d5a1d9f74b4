import itertools

import keras
import pytest

from trainables.errors import ConfigError
from trainables.hyper_models.exploration import Exploration, listed
from trainables.hyper_models.hyperparameters import Hyperparameters

MODEL = keras.Sequential([keras.layers.Flatten()])


def explored(build):
    exploration = Exploration(build=build)
    exploration.run()
    return exploration


def conditions(build):
    exploration = explored(build)
    return {name: exploration.conditions(name) for name in exploration.hyperparameters}


def test_hyperparameters_of_a_loop_are_discovered_with_the_lengths_that_use_them():
    def build(hp):
        for k in range(hp.Int("blocks", 1, 4, default=2)):
            hp.Int(f"filters_{k}", 8, 64, step=8)
            if hp.Choice(f"pooling_{k}", ["max", "none"]) == "none":
                hp.Float(f"dropout_{k}", 0.0, 0.5)
        return MODEL

    assert conditions(build) == {
        "blocks": (),
        "filters_0": (),
        "pooling_0": (),
        **{f"filters_{k}": (("blocks", tuple(range(k + 1, 5))),) for k in (1, 2, 3)},
        **{f"pooling_{k}": (("blocks", tuple(range(k + 1, 5))),) for k in (1, 2, 3)},
        **{f"dropout_{k}": ((f"pooling_{k}", ("none",)),) for k in range(4)},
    }


def test_declared_conditions_stay_as_they_are_declared():
    def build(hp):
        kind = hp.Choice("kind", ["mlp", "cnn"])
        with hp.conditional_scope("kind", ["cnn"]):
            if kind == "cnn":
                hp.Int("filters", 4, 8)
        hp.Int("units", 4, 8, parent_name="kind", parent_values=["mlp"])
        return MODEL

    assert conditions(build) == {"kind": (), "filters": (("kind", ("cnn",)),), "units": (("kind", ("mlp",)),)}


def test_one_that_either_of_two_others_uses_counts_as_always_used():
    def build(hp):
        if hp.Boolean("a") | hp.Boolean("b"):
            hp.Int("n", 1, 2)
        return MODEL

    assert conditions(build) == {"a": (), "b": (), "n": ()}


def test_few_networks_are_built_where_nothing_changes_what_is_used():
    def build(hp):
        for k in range(20):
            hp.Int(f"units_{k}", 8, 512)
        return MODEL

    assert len(explored(build).networks) <= 6


def test_a_network_that_cannot_be_built_hides_no_hyperparameter():
    def build(hp):
        blocks = hp.Int("blocks", 1, 5)
        for k in range(blocks):
            hp.Int(f"units_{k}", 1, 9)
        if blocks > 4:
            raise ValueError("the images are too small")
        return MODEL

    exploration = explored(build)
    assert {*exploration.hyperparameters} == {"blocks", *(f"units_{k}" for k in range(5))}
    assert any(network.problem and "too small" in network.problem for network in exploration.networks.values())


def test_hyperparameters_that_change_between_equal_builds_are_refused():
    numbers = itertools.count()

    def build(hp):
        hp.Int(f"units_{next(numbers)}", 1, 2)
        return MODEL

    with pytest.raises(ConfigError, match=r"change between two equal builds: units_0, units_1; valid: names that"):
        explored(build)


def test_one_whose_values_depend_on_another_is_refused():
    def build(hp):
        hp.Int("kernel", 1, 2 + hp.Int("size", 1, 3))
        return MODEL

    with pytest.raises(ConfigError, match=r"'kernel' changes between builds: 1 to 3, then 1 to 5; valid: the same"):
        explored(build)


def test_a_default_network_that_fails_is_refused_with_the_place_of_the_error():
    def build(hp):
        raise KeyError("width")

    with pytest.raises(ConfigError, match=r"could not be built: KeyError: 'width' \(.*test_exploration.py:\d+\)"):
        explored(build)


def test_what_is_no_model_is_refused():
    with pytest.raises(ConfigError, match=r"build returns NoneType; valid: a keras.Model$"):
        explored(lambda hp: None)


@pytest.mark.parametrize(
    ("ask", "values"),
    [
        (lambda hp: hp.Int("n", 6, 13, step=3), (6, 9, 12)),
        (lambda hp: hp.Int("n", 2, 32, step=2, sampling="log"), (2, 4, 8, 16, 32)),
        (lambda hp: hp.Float("n", 0, 0.5, step=0.1), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        (lambda hp: hp.Float("n", 0.001, 10, step=10, sampling="log"), (0.001, 0.01, 0.1, 1.0, 10.0)),
        (lambda hp: hp.Int("n", 1, 3), ()),
        (lambda hp: hp.Int("n", 3, 3), (3,)),
        (lambda hp: hp.Boolean("n"), (False, True)),
        (lambda hp: hp.Fixed("n", "x"), ("x",)),
        (lambda hp: hp.Choice("n", ["a", "b"]), ("a", "b")),
    ],
)
def test_the_values_of_a_hyperparameter_are_those_that_keras_tuner_draws(ask, values):
    hp = Hyperparameters()
    ask(hp)
    assert listed(hp.space[0]) == values
