import json
import pickle
from dataclasses import fields

import pytest

from trainables import config as domains
from trainables.errors import ConfigError
from trainables.hyper_models.space import Hyperparameter, HyperSpace, config_type, key_name

BLOCKS = Hyperparameter(name="blocks", key="blocks", kind="int", default=1, low=1, high=3, step=1)
FILTERS = Hyperparameter(
    name="filters 2", key="filters_2", kind="int", default=8, low=8, high=64, step=8, conditions=(("blocks", (2, 3)),)
)
KERNEL = Hyperparameter(
    name="kernel", key="kernel", kind="int", default=3, values=(3, 5), conditions=(("filters_2", (8,)),)
)
RATE = Hyperparameter(name="lr", key="learning_rate", kind="float", default=0.01, low=1e-4, high=0.1, log=True)
OPTIMIZER = Hyperparameter(
    name="opt", key="optimizer", kind="str", default="adam", values=("adam", "sgd"), own_values=("Adam", "SGD")
)
SPACE = HyperSpace(hyperparameters=(BLOCKS, FILTERS, KERNEL, RATE, OPTIMIZER), image_size=28, channels=1)


def test_hyperparameters_are_keys_with_their_defaults_and_domains():
    config = config_type(SPACE)()
    assert (config.blocks, config.filters_2, config.kernel, config.learning_rate) == (1, 8, 3, 0.01)
    assert (config.optimizer, config.image_size, config.channels) == ("adam", 28, 1)
    assert domains.domain(type(config), "filters_2") == domains.Between(8, 64, step=8)
    assert domains.domain(type(config), "learning_rate") == domains.Between(1e-4, 0.1, scale="log")
    assert domains.types(type(config))["blocks"] is int
    with pytest.raises(ConfigError, match=r"kernel=4 is not valid; valid: 3, 5"):
        domains.make(type(config), {"kernel": 4})


def test_only_hyperparameters_whose_conditions_hold_are_passed_on_by_their_own_names_and_values():
    kind = config_type(SPACE)
    assert kind().own_values == {"blocks": 1, "lr": 0.01, "opt": "Adam"}
    assert kind(blocks=3, optimizer="sgd").own_values == {
        "blocks": 3, "filters 2": 8, "kernel": 3, "lr": 0.01, "opt": "SGD",
    }  # fmt: skip
    assert "kernel" not in kind(blocks=3, filters_2=16).own_values


def test_a_key_is_inactive_if_a_parent_of_its_parent_is():
    kind = config_type(SPACE)
    assert domains.inactive_keys(kind, {"blocks": 1, "filters_2": 8}) == {"filters_2", "kernel", "momentum"}
    assert domains.inactive_keys(kind, {"blocks": 2, "filters_2": 16, "optimizer": "sgd"}) == {"kernel"}


def test_a_space_survives_json_and_a_configuration_pickling():
    assert HyperSpace.of_json(json.loads(json.dumps(SPACE.as_json))) == SPACE
    config = config_type(SPACE)(blocks=2)
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert type(again) is type(config)


def test_what_has_several_values_is_searched():
    fixed = Hyperparameter(name="k", key="k", kind="int", default=3, values=(3,))
    space = HyperSpace(hyperparameters=(BLOCKS, KERNEL, RATE, fixed))
    assert space.searched == {
        "blocks": domains.Between(1, 3, step=1),
        "kernel": domains.OneOf((3, 5)),
        "learning_rate": domains.Between(1e-4, 0.1, scale="log"),
    }


def test_optimizers_have_the_rate_and_the_momentum_that_compile_says():
    space = HyperSpace(
        hyperparameters=(OPTIMIZER,), rates=(("adam", 0.002), ("sgd", 0.05)), momenta=(("adam", 0.0), ("sgd", 0.9))
    )
    kind = config_type(space)
    assert (kind().learning_rate, kind().momentum) == (0.002, 0.0)
    assert (kind(optimizer="sgd").learning_rate, kind(optimizer="sgd").momentum) == (0.05, 0.9)
    assert kind(optimizer="sgd", momentum=0.0).momentum == 0.0


def test_an_optimizer_that_compile_does_not_set_has_its_default_rate():
    kind = config_type(HyperSpace(hyperparameters=(), rates=(("adam", 0.5),)))
    assert (kind().learning_rate, kind(optimizer="sgd").learning_rate) == (0.5, 0.01)


def test_a_momentum_that_is_a_hyperparameter_is_none_with_an_optimizer_without_momentum():
    momentum = Hyperparameter(name="m", key="momentum", kind="float", default=0.5, low=0.5, high=0.9)
    kind = config_type(HyperSpace(hyperparameters=(OPTIMIZER, momentum)))
    assert (kind().momentum, kind(optimizer="sgd").momentum) == (0.0, 0.5)
    assert [field.name for field in fields(kind)].count("momentum") == 1


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("units", "units"),
        ("dense units", "dense_units"),
        ("block-1/kernel.size", "block_1_kernel_size"),
        ("2d", "hp_2d"),
        ("class", "hp_class"),
        ("contrast", "hp_contrast"),
        ("seed", "hp_seed"),
        ("family", "hp_family"),
        ("own_values", "hp_own_values"),
        ("batch_size", "batch_size"),
        ("größe", "gr_e"),
        ("%", "hp"),
    ],
)
def test_a_name_that_is_no_key_or_means_something_else_becomes_one(name, key):
    assert key_name(name, ()) == key


def test_two_names_never_become_one_key():
    assert key_name("dense-units", ["dense_units"]) == "dense_units_2"
    assert key_name("dense-units", ["dense_units", "dense_units_2"]) == "dense_units_3"
