"""Ranges on the command line: how they are read, on which scale, and what is refused."""

from dataclasses import dataclass

import pytest

from layersweep.tuning.experiment.key_ranges import arm_text, idle_keys, is_range, listed, parse_range, range_text
from search_spaces.ranges import Range
from trainables.config import between
from trainables.errors import ConfigError
from trainables.families import fashion_cnn
from trainables.keys import Keys

CONFIG = fashion_cnn.Config


@dataclass(frozen=True, kw_only=True)
class Stepped(Keys):
    """Keys of a user with steps."""

    units: int = between(32, 32, 512, "units", step=32)
    share: float = between(0.0, 0.0, 0.9, "share", step=0.3)
    decay: float = between(0.0, 0.0, 1.0, "decay", scale="log")


@pytest.mark.parametrize(
    ("key", "text", "numbers"),
    [
        ("learning_rate", "1e-5..1e-1", Range(1e-5, 0.1, log=True)),
        ("learning_rate", " 1e-5 .. 1e-1 ", Range(1e-5, 0.1, log=True)),
        ("dropout_1", "0..0.5", Range(0.0, 0.5)),
        ("dropout_1", "0.1...5", Range(0.1, 0.5)),
        ("dropout_1", ".1...5", Range(0.1, 0.5)),
        ("dropout_1", "0.1..0.5:log", Range(0.1, 0.5, log=True)),
        ("filters_1", "16..64", Range(16, 64)),
        ("batch_size", "16..256", Range(16, 256, log=True, step=2)),
        ("batch_size", "10..300", Range(16, 256, log=True, step=2)),
    ],
)
def test_a_range_has_the_scale_and_the_steps_of_its_key(key, text, numbers):
    assert is_range(text)
    assert parse_range(CONFIG, key, text) == numbers


def test_bounds_have_the_type_of_the_key():
    for key, text, kind in (("filters_1", "1..2", int), ("shift", "0..0.5", float), ("batch_size", "1..64", int)):
        numbers = parse_range(CONFIG, key, text)
        assert (type(numbers.low), type(numbers.high)) == (kind, kind)


def test_steps_of_a_user_begin_at_the_domains_lower_bound():
    assert listed(int, parse_range(Stepped, "units", "40..200")) == [64, 96, 128, 160, 192]
    assert listed(float, parse_range(Stepped, "share", "0..0.9")) == [0.0, 0.3, 0.6, 0.9]
    assert listed(int, parse_range(CONFIG, "batch_size", "16..256")) == [16, 32, 64, 128, 256]
    assert listed(float, Range(0, 1)) == Range(0, 1)


def test_a_logarithmic_key_has_a_linear_range_from_0():
    assert parse_range(Stepped, "decay", "0..0.1") == Range(0.0, 0.1)
    assert parse_range(Stepped, "decay", "0.001..0.1") == Range(0.001, 0.1, log=True)


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("dropout_1", "0.5..0.1", r"valid: the smaller number first, such as dropout_1=0\.1\.\.0\.5$"),
        ("dropout_1", "0.5..0.5", "valid: the smaller number first"),
        ("dropout_1", "0...5", r"valid: 0\.\.0\.5 or 0\.\.5$"),
        ("dropout_1", "0.1..", "valid: two numbers with two dots between them"),
        ("dropout_1", "..", "valid: two numbers with two dots between them"),
        ("dropout_1", "0.1..0.2..0.3", "valid: two numbers with two dots between them"),
        ("dropout_1", "-0.5..0.5", "dropout_1=-0.5 is not valid; valid: 0 to 0.95"),
        ("dropout_1", "0..nan", "dropout_1=nan is not valid; valid: 0 to 0.95"),
        ("dropout_1", "0..0.5:log", "valid: a logarithmic range of numbers above 0"),
        ("learning_rate", "0..0.1", "learning_rate=0.0 is not valid; valid: above 0 to 100"),
        ("filters_1", "32.1..32.8", r"filters_1='32\.1' is not valid; valid: 1 to 1024 \(int\)"),
        ("batch_size", "33..63", "valid: a range with two or more of 1, 2, 4, 8 and so on"),
        ("batch_size", "20..40", "valid: a range with two or more of 1, 2, 4, 8 and so on"),
        ("optimizer", "1..2", "optimizer=1..2 is a range, but optimizer has no range of numbers; valid: adadelta"),
        ("classes", "0..4", "classes=0..4 is a range, but classes has no range of numbers; valid: all; names"),
        ("channels", "1..3", "channels=1..3 is a range, but channels has no range of numbers; valid: 0, 1, 3"),
    ],
)  # fmt: skip
def test_a_range_without_the_keys_numbers_is_refused(key, text, words):
    with pytest.raises(ConfigError, match=words):
        parse_range(CONFIG, key, text)


@pytest.mark.parametrize("text", ["../models/a.keras", "a..b", "0.5", "..", "1..b", "weights..keras", ""])
def test_a_path_or_a_text_is_no_range(text):
    assert not is_range(text)


def test_the_text_of_a_range_says_a_scale_that_is_not_the_keys_own():
    assert range_text(CONFIG, "learning_rate", Range(1e-5, 0.1, log=True)) == "1e-05..0.1"
    assert range_text(CONFIG, "dropout_1", Range(0.1, 0.5, log=True)) == "0.1..0.5:log"
    assert parse_range(CONFIG, "dropout_1", "0.1..0.5:log") == Range(0.1, 0.5, log=True)
    assert arm_text({"optimizer": "sgd", "shift": Range(0.0, 0.5)}) == "optimizer=sgd,shift=0.0..0.5"


def test_a_key_is_idle_if_no_configuration_of_the_space_uses_it():
    assert idle_keys(CONFIG, {"optimizer": "adam"}, {}, ["momentum", "shift"]) == {"momentum"}
    assert idle_keys(CONFIG, {}, {"optimizer": ["adam", "sgd"]}, ["momentum"]) == frozenset()
    assert idle_keys(CONFIG, {}, {"optimizer": ["adam", "lion"]}, ["momentum"]) == {"momentum"}
