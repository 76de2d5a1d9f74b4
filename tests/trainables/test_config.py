"""A configuration is checked when it is made: the values that are refused, and the error messages."""

import math
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest

from trainables import config
from trainables.config import Between, OneOf, between, check, one_of
from trainables.errors import ConfigError
from trainables.families import fashion_cnn


@dataclass(frozen=True, kw_only=True)
class Config:
    """A made-up family's hyperparameters: one of each kind."""

    activation: str = one_of("relu", ("relu", "tanh"), "activation")
    augment: bool = one_of(False, (False, True), "whether images are augmented")
    filters: int = between(8, 1, 64, "filters")
    kernel_size: int = one_of(3, (1, 3, 5), "pixels")
    dropout: float = between(0.5, 0, 0.9, "share of outputs dropped")
    learning_rate: float | None = between(None, 0, 10, "step size", above=True)

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", 0.001)
        check(self)


VALID_KEYS = "valid keys: activation, augment, filters, kernel_size, dropout, learning_rate"


def refused(message, call, *arguments, **values):
    """Assert that the call raises ConfigError with exactly this message."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        call(*arguments, **values)


def test_what_is_not_given_has_its_default():
    values = config.make(Config, {"filters": 16, "activation": "tanh"})
    assert values == Config(
        activation="tanh", augment=False, filters=16, kernel_size=3, dropout=0.5, learning_rate=0.001
    )


def test_a_configuration_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Config().filters = 16  # type: ignore[misc]


def test_an_unknown_key_is_refused_with_the_near_one_and_all_others():
    refused(
        f"unknown key 'filter': did you mean 'filters'? {VALID_KEYS}",
        config.make, Config, {"filters": 16, "filter": 16},
    )  # fmt: skip


def test_a_key_like_no_other_is_refused_without_a_guess():
    refused(
        f"unknown key 'momentum': {VALID_KEYS}",
        config.make, Config, {"momentum": 0.9},
    )  # fmt: skip


@pytest.mark.parametrize(
    "values",
    [
        {"filters": 1}, {"filters": 64}, {"dropout": 0}, {"dropout": 0.0}, {"dropout": 0.9}, {"kernel_size": 5},
        {"learning_rate": 10}, {"learning_rate": 5e-324}, {"learning_rate": None}, {"augment": True},
    ],
)  # fmt: skip
def test_the_ends_of_a_domain_belong_to_it(values):
    (key, value), = values.items()  # fmt: skip
    assert getattr(Config(**values), key) == (0.001 if value is None else value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"filters": 0}, "filters=0 is not valid; valid: 1 to 64"),
        ({"filters": 65}, "filters=65 is not valid; valid: 1 to 64"),
        ({"dropout": -0.1}, "dropout=-0.1 is not valid; valid: 0 to 0.9"),
        ({"dropout": 0.91}, "dropout=0.91 is not valid; valid: 0 to 0.9"),
        ({"dropout": math.nan}, "dropout=nan is not valid; valid: 0 to 0.9"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is not valid; valid: above 0 to 10"),
        ({"learning_rate": math.inf}, "learning_rate=inf is not valid; valid: above 0 to 10"),
        ({"learning_rate": -math.inf}, "learning_rate=-inf is not valid; valid: above 0 to 10"),
        ({"kernel_size": 4}, "kernel_size=4 is not valid; valid: 1, 3, 5"),
        ({"activation": "Relu"}, "activation='Relu' is not valid; valid: relu, tanh"),
    ],
)
def test_a_value_outside_its_domain_is_refused_with_the_valid_ones(values, message):
    refused(message, Config, **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"filters": True}, "filters=True is not valid; valid: 1 to 64 (int)"),
        ({"filters": 8.0}, "filters=8.0 is not valid; valid: 1 to 64 (int)"),
        ({"filters": "8"}, "filters='8' is not valid; valid: 1 to 64 (int)"),
        ({"filters": None}, "filters=None is not valid; valid: 1 to 64 (int)"),
        ({"kernel_size": True}, "kernel_size=True is not valid; valid: 1, 3, 5 (int)"),
        ({"dropout": False}, "dropout=False is not valid; valid: 0 to 0.9 (float)"),
        ({"dropout": "0.5"}, "dropout='0.5' is not valid; valid: 0 to 0.9 (float)"),
        ({"augment": 1}, "augment=1 is not valid; valid: False, True (bool)"),
        ({"activation": ["relu"]}, "activation=['relu'] is not valid; valid: relu, tanh (str)"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_right_one(values, message):
    refused(message, Config, **values)


def test_one_value_is_checked_as_a_whole_configuration_is():
    config.check_value(Config, "filters", 64)
    refused("filters=65 is not valid; valid: 1 to 64", config.check_value, Config, "filters", 65)


def test_a_number_that_may_be_left_out_counts_as_a_number():
    assert config.types(Config) == {
        "activation": str, "augment": bool, "filters": int, "kernel_size": int, "dropout": float,
        "learning_rate": float,
    }  # fmt: skip


def test_a_domain_can_be_read_by_who_draws_from_it():
    assert config.domain(Config, "activation") == OneOf(("relu", "tanh"))
    assert config.domain(Config, "learning_rate") == Between(0, 10, above=True)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("filters", "16", 16),
        ("kernel_size", "5", 5),
        ("dropout", "0", 0.0),
        ("learning_rate", "3e-4", 0.0003),
        ("activation", "tanh", "tanh"),
        ("augment", "true", True),
        ("augment", "False", False),
    ],
)
def test_a_value_is_read_from_a_command_line_as_its_key_asks(key, text, value):
    result = config.parse(Config, key, text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("filters", "16.0", "filters='16.0' is not valid; valid: 1 to 64 (int)"),
        ("filters", "many", "filters='many' is not valid; valid: 1 to 64 (int)"),
        ("filters", "65", "filters=65 is not valid; valid: 1 to 64"),
        ("dropout", "nan", "dropout=nan is not valid; valid: 0 to 0.9"),
        ("augment", "yes", "augment='yes' is not valid; valid: False, True (bool)"),
        ("activation", "", "activation='' is not valid; valid: relu, tanh"),
        (
            "drop",
            "0.5",
            f"unknown key 'drop': did you mean 'dropout'? {VALID_KEYS}",
        ),
    ],
)
def test_a_text_that_is_no_value_of_its_key_is_refused(key, text, message):
    refused(message, config.parse, Config, key, text)


def test_a_family_fills_in_the_learning_rate_of_its_optimizer():
    assert fashion_cnn.Config().learning_rate == 0.001
    assert fashion_cnn.Config(optimizer="sgd").learning_rate == 0.01
    assert fashion_cnn.Config(optimizer="sgd", learning_rate=0.5).learning_rate == 0.5


@pytest.mark.parametrize("optimizer", ["adamm", ["adam"], None])
def test_a_family_refuses_an_optimizer_that_keras_does_not_have(optimizer):
    with pytest.raises(ConfigError, match=rf"^optimizer={re.escape(repr(optimizer))} is not valid; valid: adadelta, "):
        fashion_cnn.Config(optimizer=optimizer)


def test_every_key_of_a_family_has_a_domain_that_holds_its_default_and_a_line_that_says_what_it_is():
    for field in fields(fashion_cnn.Config):
        config.check_value(fashion_cnn.Config, field.name, getattr(fashion_cnn.Config(), field.name))
        assert field.metadata["doc"]


def test_a_family_is_imported_without_anything_heavy():
    code = "import sys, trainables.families.fashion_cnn; print(*{name.split('.')[0] for name in sys.modules})"
    repository = Path(fashion_cnn.__file__).parents[2]
    child = subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, capture_output=True, text=True)
    modules = set(child.stdout.split())
    heavy = {"keras", "tensorflow", "ray", "sklearn", "scipy", "pandas", "polars", "pyarrow", "matplotlib", "h5py"}
    assert "trainables" in modules
    assert not modules & heavy


def test_a_key_without_a_scale_is_drawn_uniformly_and_the_learning_rate_in_its_logarithm():
    assert config.domain(fashion_cnn.Config, "dropout_1") == Between(0, 0.95)
    assert config.domain(fashion_cnn.Config, "learning_rate") == Between(0, 100, above=True, scale="log")
    assert config.domain(fashion_cnn.Config, "batch_size") == Between(1, 1_000_000, scale="log", step=2)


def test_momentum_does_nothing_with_an_optimizer_that_has_none():
    assert config.inactive_keys(fashion_cnn.Config, {}) == {"momentum"}
    assert config.inactive_keys(fashion_cnn.Config, {"optimizer": "adam", "momentum": 0.9}) == {"momentum"}
    assert config.inactive_keys(fashion_cnn.Config, {"optimizer": "sgd"}) == frozenset()


def test_a_config_that_says_nothing_of_inactive_keys_has_none():
    assert config.inactive_keys(Config, {"dropout": 0.5}) == frozenset()
