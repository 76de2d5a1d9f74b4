"""The arms of the command line: what `--arm` reads, which arms it makes, their names, and what it refuses."""

from dataclasses import dataclass, replace

import pytest

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_grid import arms, grid
from layersweep.tuning.experiment.key_values import key_values, with_sweep_values
from layersweep.tuning.experiment.options import parse
from layersweep.tuning.experiment.selected_arms import with_arms
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from search_spaces.ranges import Range
from sweeps import cross_validation, filters, mobilenet_scratch, nas, optimizers, pretrained, resolution, truncation
from trainables.families import fashion_cnn


def sweep_of(sweep, *words):
    return with_arms(sweep, parse(words, program="s.py"))


def arms_of(sweep, *words):
    """The arms of a command, without a search."""
    options = parse(words, program="s.py")
    sweep = with_arms(sweep, options)
    return arms(sweep, key_values(sweep, options.set))


def names_of(sweep, *words):
    return [arm.name for arm in arms_of(sweep, *words)]


def test_each_arm_has_its_own_values():
    made = arms_of(optimizers.SWEEP, "--arm", "optimizer=sgd,learning_rate=0.05", "--arm", "optimizer=adam")
    assert [(a.name, a.config.optimizer, a.config.learning_rate) for a in made] == [
        ("sgd learning_rate=0.05", "sgd", 0.05),
        ("adam", "adam", 0.001),
    ]


def test_without_an_arm_a_sweep_is_as_it_was():
    assert sweep_of(optimizers.SWEEP, "--set", "optimizer=sgd") is optimizers.SWEEP


@pytest.mark.parametrize("sweep", [optimizers.SWEEP, truncation.SWEEP, resolution.SWEEP, cross_validation.SWEEP])
def test_an_arm_that_the_sweep_has_is_the_same_arm_with_the_same_name(sweep):
    own = arms(sweep, {})
    for arm in own:
        family = [f"family={sweep.family_of(arm)}"] if sweep is not optimizers.SWEEP else []
        word = ",".join([*family, *(f"{key}={value}" for key, value in arm.stated.items())])
        (made,) = arms_of(sweep, "--arm", word)
        assert (made.name, made.config, made.family) == (arm.name, arm.config, arm.family)


def test_an_arm_of_several_layers_is_named_as_in_the_sweep():
    own = {arm.config: arm.name for arm in arms(filters.SWEEP, {})}
    made = arms_of(filters.SWEEP, "--arm", "filters_1=64", "--arm", "filters_4=32,filters_2=64")
    assert [arm.name for arm in made] == ["64-32-64-64", "32-64-64-32"] == [own[arm.config] for arm in made]


def test_an_arm_is_named_as_the_same_values_of_set_are():
    for words in (["optimizer=lion"], ["optimizer=sgd", "momentum=0.9"], ["optimizer=sgd", "batch_size=64"]):
        by_set = names_of(optimizers.SWEEP, *(word for text in words for word in ("--set", text)))
        assert names_of(optimizers.SWEEP, "--arm", ",".join(words)) == by_set


def test_an_arm_has_one_name_whichever_arms_are_beside_it():
    words = ["learning_rate=0.1", "optimizer=sgd", "optimizer=sgd,dropout_1=0.5", "family=residual_cnn", "filters_1=16"]
    alone = [names_of(optimizers.SWEEP, "--arm", word)[0] for word in words]
    assert names_of(optimizers.SWEEP, *(each for word in words for each in ("--arm", word))) == alone
    assert len({*alone, *names_of(optimizers.SWEEP)}) == len(words) + len(names_of(optimizers.SWEEP)) - 1  # sgd is both


def test_what_all_spaces_of_a_family_fix_stays_unless_the_arm_says_otherwise():
    (kept, changed) = arms_of(mobilenet_scratch.SWEEP, "--arm", "alpha=0.75", "--arm", "alpha=0.75,optimizer=sgd")
    assert (kept.name, kept.config.optimizer, kept.config.image_size) == ("0.75", "rmsprop", 32)
    assert (changed.name, changed.config.optimizer, changed.config.image_size) == ("0.75 optimizer=sgd", "sgd", 32)
    (xception,) = arms_of(pretrained.SWEEP, "--arm", "family=xception")
    assert (xception.config.image_size, xception.config.weights) == (150, "imagenet")


def test_a_family_that_the_sweep_does_not_have_is_named():
    made = arms_of(optimizers.SWEEP, "--arm", "family=residual_cnn,blocks=3", "--arm", "optimizer=adam")
    assert [(a.name, a.family) for a in made] == [("residual_cnn blocks=3", "residual_cnn"), ("adam", "")]
    (vgg,) = arms_of(resolution.SWEEP, "--arm", "family=vgg16,image_size=32")
    assert (vgg.name, vgg.family) == ("vgg16 image_size=32", "vgg16")


def test_set_applies_to_all_arms():
    made = arms_of(optimizers.SWEEP, "--arm", "optimizer=sgd", "--arm", "optimizer=adam", "--set", "batch_size=64,128")
    assert [a.name for a in made] == [f"{name} batch_size={size}" for name in ("sgd", "adam") for size in (64, 128)]


def test_a_key_of_set_that_one_family_has_leaves_the_others_alone():
    words = ["--arm", "family=residual_cnn", "--arm", "family=fashion_cnn", "--set", "blocks=3"]
    assert names_of(resolution.SWEEP, *words) == ["residual_cnn image_size=0 blocks=3", "fashion_cnn"]


def test_values_of_another_sweep_give_way_to_those_of_an_arm(tmp_path):
    keys = []

    def values_from(results, set_keys):
        keys.append(set_keys)
        return {f"activation_{k}": "selu" for k in (1, 2, 3, 4)}, "from elsewhere"

    words = [each for k in (16, 32) for each in ("--arm", f"filters_1={k},activation_2=tanh")]
    sweep = sweep_of(replace(filters.SWEEP, values_from=values_from), *words)
    overrides, _ = with_sweep_values(sweep, {}, tmp_path)
    made = arms(sweep, overrides, overrides.keys())
    assert keys == [{"filters_1", "activation_2"}]
    assert [(a.config.activation_1, a.config.activation_2) for a in made] == [("selu", "tanh")] * 2
    assert [a.name for a in made] == ["16-32-64-64 activation_2=tanh", "32-32-64-64 activation_2=tanh"]


def test_quick_has_its_sizes_but_not_its_keys():
    options = parse(["--quick", "--arm", "family=alexnet,image_size=67"], program="s.py")
    made = resolve(with_arms(resolution.SWEEP, options), options)
    assert (made.set, made.epochs, made.images) == ((), 2, 500)


def test_arms_replace_the_searches_of_oracles():
    options = parse(["--quick", "--arm", "family=fashion_cnn"], program="s.py")
    made = resolve(with_arms(nas.SWEEP, options), options)
    assert (made.search, made.time_budget, made.search_time) == ("grid", None, None)
    with pytest.raises(UsageError, match="--search random: --arm has no tuned spaces; valid: grid, or a range"):
        resolve(with_arms(nas.SWEEP, options), replace(options, search="random"))


def test_an_arm_may_have_its_own_range():
    words = ["--arm", "optimizer=sgd,learning_rate=1e-3..1", "--arm", "optimizer=adam,learning_rate=1e-5..1e-2"]
    made = grid(sweep_of(optimizers.SWEEP, *words, "--search", "random"), {})
    assert [(each.arm.name, each.ranges) for each in made] == [
        ("sgd learning_rate=0.001..1.0", {"learning_rate": Range(0.001, 1.0, log=True)}),
        ("adam learning_rate=1e-05..0.01", {"learning_rate": Range(1e-5, 0.01, log=True)}),
    ]
    assert made[0].fixed_values["optimizer"] == "sgd"
    assert "learning_rate" not in made[0].fixed_values


def test_commas_of_a_value_are_the_values():
    (made,) = arms_of(nas.SWEEP, "--arm", 'family=autokeras,choices={"a": 1, "b": 2},block=resnet')
    assert (made.config.choices, made.config.block) == ('{"a": 1, "b": 2}', "resnet")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer"], "--arm optimizer is not valid; valid: key=value,key=value, such as optimizer=sgd"),
        (["optimizer="], "--arm optimizer= is not valid"),
        (["optimizer=sgd,adam"], "--arm optimizer=sgd,adam: optimizer=sgd,adam is not valid; valid: one value in each"),
        (["optimizer=sgd,optimizer=adam"], "gives optimizer twice; valid: an --arm for each value"),
        (["optimzer=sgd"], "--arm optimzer=sgd: unknown key 'optimzer': did you mean 'optimizer'?"),
        (["batch_size=0"], "--arm batch_size=0: batch_size=0 is not valid; valid: 1 to 1e+06"),
        (["family=residual_cn"], "did you mean 'residual_cnn'"),
        (["family=residual_cnn,filters_1=3"], "unknown key 'filters_1'"),
        (["optimizer=adam,momentum=0.9"], "momentum=0.9 is not valid with optimizer=adam; valid: 0, or with sgd"),
        (["optimizer=adam,momentum=0..0.9"], "--arm optimizer=adam,momentum=0.0..0.9: momentum does nothing with"),
        (["dropout_1=0.5..0.1"], "valid: the smaller number first"),
        (["optimizer=sgd", "optimizer=sgd,learning_rate=0.01"],
         "--arm optimizer=sgd and --arm optimizer=sgd,learning_rate=0.01 are the same arm; valid: each arm once"),
        (["optimizer=adam", "optimizer=adam,momentum=0"], "are the same arm; valid: each arm once"),
        (["shift=0..0.5", "shift=0.0..0.5"], "--arm shift=0..0.5 is there twice; valid: each arm once"),
    ],
)  # fmt: skip
def test_an_arm_that_is_not_valid_is_refused(words, message):
    with pytest.raises(UsageError) as caught:
        arms_of(optimizers.SWEEP, *(each for word in words for each in ("--arm", word)))
    assert message in str(caught.value)


def test_a_key_is_given_by_arms_or_by_set():
    with pytest.raises(UsageError, match="--arm optimizer=sgd and --set optimizer= give the same key; valid: one of"):
        sweep_of(optimizers.SWEEP, "--arm", "optimizer=sgd", "--set", "optimizer=adam")
    with pytest.raises(UsageError, match="valid with --arm: family= in each arm"):
        sweep_of(resolution.SWEEP, "--arm", "image_size=32", "--set", "family=alexnet")


@dataclass(frozen=True, kw_only=True)
class Nested(fashion_cnn.Config):
    """A config of which a key depends on another."""

    @classmethod
    def inactive(cls, values):
        return super().inactive(values) | (set() if values["dense_units_1"] > 100 else {"dense_units_2"})


def train_nested(config: Nested):
    raise NotImplementedError


def test_a_key_that_is_used_in_some_configurations_of_a_search_keeps_its_value(monkeypatch):
    sweep = Sweep(name="s", train=fashion_cnn.train, spaces=[{}])
    monkeypatch.setattr(Sweep, "config_type", Nested)
    for low, units in ((1, 7), (50, 7)):
        (made,) = grid(sweep, {"dense_units_1": Range(low, 200), "dense_units_2": [7]})
        assert made.fixed_values["dense_units_2"] == units
    (made,) = grid(sweep, {"dense_units_1": Range(1, 50), "dense_units_2": [7]})
    assert made.fixed_values["dense_units_2"] == Nested().dense_units_2
