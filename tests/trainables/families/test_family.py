"""What is said of a `build` that is no family, and which Config a family has."""

import functools
from dataclasses import dataclass

import made_up
import pytest

from trainables.config import between, one_of
from trainables.errors import ConfigError
from trainables.families import fashion_cnn, residual_cnn, transfer
from trainables.families.applications import xception
from trainables.families.family import build_of, classifier, config_of, name_of, trains
from trainables.keys import Keys


@dataclass(frozen=True, kw_only=True)
class Config(Keys):
    width: int = between(4, 1, 512, "units")


@dataclass(frozen=True, kw_only=True)
class WithoutValues(Keys):
    width: int = 4


@dataclass(frozen=True, kw_only=True)
class WithoutMeaning(Keys):
    width: "Wdth" = between(4, 1, 512, "units")  # noqa: F821, RUF009


@dataclass(frozen=True, kw_only=True)
class OfBytes(Keys):
    width: bytes = one_of("a", ("a",), "no number")


class NoDataclass(Keys):
    width: int = between(4, 1, 512, "units")


@dataclass(frozen=True, kw_only=True)
class WithoutKeys:
    width: int = between(4, 1, 512, "units")


def annotated(hint):
    def build(config, image_shape, classes):
        raise AssertionError

    if hint is not None:
        build.__annotations__["config"] = hint
    return trains(build)


FORM = r"write `def build\(config: Config, image_shape, classes\):`"
PLACE = r"build \(test_family.py, line \d+\)"


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (None, rf"^{PLACE} has no annotation of its first parameter 'config': {FORM}"),
        ("Confg", rf"^{PLACE}: the annotation 'Confg' of 'config' is no Config: {FORM}"),
        (int, rf"^{PLACE}: the annotation <class 'int'> of 'config' is no Config"),
        (WithoutValues, rf"WithoutValues of {PLACE}: the key .width. does not say its values: write `width = "),
        (WithoutMeaning, "WithoutMeaning of .* has an annotation that means nothing: name 'Wdth' is not defined"),
        (OfBytes, "the key 'width' is of type bytes; valid: int, float, str or bool"),
        (NoDataclass, "NoDataclass of .* is no dataclass: write `@dataclass"),
        (WithoutKeys, r"WithoutKeys of .* has not the keys of a training: write `class WithoutKeys\(ls.Keys\)`"),
    ],
)  # fmt: skip
def test_a_config_that_is_none_is_refused_with_the_right_form(hint, text):
    with pytest.raises(ConfigError, match=text):
        config_of(annotated(hint))


def test_a_build_that_cannot_take_three_arguments_is_refused_with_the_right_form():
    def short(config: Config, image_shape):
        raise AssertionError

    def long(config: Config, image_shape, classes, dropout):
        raise AssertionError

    class Networks:
        def build(self, config: Config, image_shape):
            raise AssertionError

    for build in (short, long, Networks().build):
        with pytest.raises(ConfigError, match=r"is called with three arguments, but has \(.*: write `def "):
            config_of(trains(build, Config))


def test_what_is_no_training_is_refused():
    def build(config: Config, image_shape, classes):
        raise AssertionError

    with pytest.raises(ConfigError, match="makes a network, and does not train"):
        config_of(build)
    with pytest.raises(ConfigError, match="train=7 is not valid"):
        config_of(7)
    with pytest.raises(ConfigError, match="has no parameter"):
        config_of(trains(lambda: None))


def test_the_first_parameter_may_have_any_name_and_an_annotation_may_be_text():
    @dataclass(frozen=True, kw_only=True)
    class Local(Keys):
        depth: int = between(4, 1, 512, "layers")

    def build(c: "Local", image_shape: "Unknown", classes):  # noqa: F821
        raise AssertionError

    class Builder:
        def __call__(self, settings: Config, image_shape, classes):
            raise AssertionError

        def method(self, settings: "Config", image_shape, classes):
            raise AssertionError

    def deep(settings: Config, image_shape, classes, depth):
        raise AssertionError

    assert config_of(trains(build)) is Local
    assert config_of(trains(Builder().method)) is Config
    assert config_of(trains(functools.partial(deep, depth=3))) is Config
    assert config_of(trains(lambda config, image_shape, classes: None, Config)) is Config


def test_a_config_may_be_defined_after_its_build():
    train = trains(later)
    assert config_of(train) is Later


def later(config: "Later", image_shape, classes):
    raise AssertionError


@dataclass(frozen=True, kw_only=True)
class Later(Keys):
    width: int = between(4, 1, 512, "units")


def test_families_of_this_project_have_the_configs_of_their_modules():
    for module in (fashion_cnn, residual_cnn, transfer, xception):
        assert config_of(module.train) is module.Config
        assert build_of(module.train) == module.build
    assert config_of(made_up.train) is made_up.Config
    assert build_of(made_up.train) is None


def test_layers_alone_make_a_build():
    @classifier
    def build(settings: Config, x):
        raise AssertionError

    assert config_of(trains(build)) is Config


def test_a_family_of_the_script_has_no_name_of_its_own():
    def build(config: Config, image_shape, classes):
        raise AssertionError

    assert name_of(trains(build)) == "test_family"
    build.__module__ = "__main__"
    assert name_of(trains(build)) == ""
