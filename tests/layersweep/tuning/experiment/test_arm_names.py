"""What a command changes of a sweep's defaults is in the arms' names, and nothing else is."""

from dataclasses import replace

import made_up
import pytest

from layersweep.records.questions import COMPARISON
from layersweep.tuning.experiment.arm_grid import arms, name_of_control
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import TrialFactory
from search_spaces.ranges import Space
from sweeps.optimizers import SWEEP
from trainables.families import fashion_cnn


def sweep(*spaces: Space, **more) -> Sweep:
    return Sweep(name="s", train=fashion_cnn.train, spaces=spaces, **more)


def names(of: Sweep, **overrides) -> list[str]:
    return [arm.name for arm in arms(of, overrides)]


def test_two_commands_with_another_learning_rate_make_two_arms():
    assert names(SWEEP, optimizer=["sgd"], learning_rate=[0.05]) == ["sgd learning_rate=0.05"]
    assert names(SWEEP, optimizer=["sgd"], learning_rate=[0.002]) == ["sgd learning_rate=0.002"]
    both = names(SWEEP, optimizer=["sgd"], learning_rate=[0.05, 0.002])
    assert both == ["sgd learning_rate=0.05", "sgd learning_rate=0.002"]  # one command names them as two do


def test_a_default_is_not_in_the_name_of_the_arm_whose_default_it_is():
    """Keras' SGD has a learning rate of .01, its Adam one of .001."""
    assert names(SWEEP, optimizer=["adam", "sgd"], learning_rate=[0.01]) == ["adam learning_rate=0.01", "sgd"]
    assert names(SWEEP, optimizer=["adam"], batch_size=[32]) == ["adam"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", 16), ("classes", "0-4"), ("train_share", 0.5), ("batch_size", 64), ("normalization_momentum", 0.9)],
)
def test_keys_of_data_and_training_are_named_alike(key, value):
    assert names(SWEEP, optimizer=["adam"], **{key: [value]}) == [f"adam {key}={value}"]


def test_several_changes_stand_in_the_order_of_the_command():
    assert names(SWEEP, optimizer=["sgd"], momentum=[0.9], batch_size=[64]) == ["sgd momentum=0.9 batch_size=64"]


def test_a_value_that_is_only_valid_beside_another_change_is_named():
    assert names(sweep({"filters_1": [16, 32]}), optimizer=["sgd"], momentum=[0.9]) == [
        f"{n} optimizer=sgd momentum=0.9" for n in (16, 32)
    ]


def test_a_key_that_the_sweep_fixes_has_the_sweeps_value_as_its_default():
    """`nadam` is the sweep's, `adam` the family's."""
    fixed = sweep({"filters_1": [16, 32], "optimizer": ["nadam"]})
    assert names(fixed) == names(fixed, optimizer=["nadam"]) == ["16", "32"]
    assert names(fixed, optimizer=["adam"]) == ["16 optimizer=adam", "32 optimizer=adam"]


def test_an_arm_that_nothing_sets_apart_is_named_by_the_change_alone():
    assert names(sweep({"optimizer": ["adam"]})) == ["default"]
    assert names(sweep({"optimizer": ["adam"]}), batch_size=[64]) == ["batch_size=64"]


def test_an_arm_of_a_family_keeps_its_familys_name():
    families = sweep({"family": ["fashion_cnn", "residual_cnn"]}, {"family": ["mobilenet"], "image_size": [32]})
    assert names(families, learning_rate=[0.5]) == [
        "fashion_cnn learning_rate=0.5", "residual_cnn learning_rate=0.5", "mobilenet learning_rate=0.5",
    ]  # fmt: skip
    assert names(families, image_size=[32]) == ["fashion_cnn image_size=32", "residual_cnn image_size=32", "mobilenet"]
    assert names(families, image_size=[32, 64])[4:] == ["mobilenet image_size=32", "mobilenet image_size=64"]


def test_a_space_without_a_key_that_varies_elsewhere_is_not_named_by_the_familys_default():
    """`batch_size` varies among the spaces: a command that sets its default in all changes nothing in the first."""
    spaces = sweep({"filters_1": [16]}, {"filters_1": [32], "batch_size": [64]})
    assert names(spaces) == ["16", "filters_1=32 batch_size=64"]
    assert names(spaces, batch_size=[32]) == ["16", "filters_1=32 batch_size=32"]


def test_one_configuration_of_two_spaces_has_the_name_of_the_space_that_the_command_changes_least():
    spaces = sweep({"optimizer": ["adam", "sgd"]}, {"optimizer": ["adam", "sgd"], "classes": ["0-1"]})
    assert names(spaces, optimizer=["sgd"], classes=["0-1"]) == ["optimizer=sgd classes=0-1"]


def test_a_sweep_whose_defaults_come_from_elsewhere_names_what_a_command_sets_and_not_what_it_gives_itself():
    """Even where that is the family's default (relu): tomorrow the sweep's own may be another."""
    other = sweep({"filters_1": [16, 32]}, values_from=lambda _results, _keys: ({}, ""))
    overrides = {"activation_1": ["relu"], "activation_2": ["selu"]}
    assert [arm.name for arm in arms(other, overrides, {"activation_2"})] == [
        "16 activation_1=relu",
        "32 activation_1=relu",
    ]
    assert [arm.name for arm in arms(other, overrides, overrides)] == ["16", "32"]


def test_layers_that_a_command_changes_are_one_word_only_if_all_from_the_first_on_are_changed():
    layers = {"filters_1": [16], "filters_2": [16]}
    assert names(SWEEP, optimizer=["adam"], **layers) == ["adam filters=16-16"]
    assert names(SWEEP, optimizer=["adam"], filters_2=[16]) == ["adam filters_2=16"]


def test_the_control_is_found_under_the_name_that_a_command_gives_it():
    made_up_sweep = Sweep(name="s", train=made_up.train, spaces=[{"quality": [0.2, 0.25]}], control="0.2")

    def control(**overrides):
        return name_of_control(made_up_sweep, arms(made_up_sweep, overrides))

    assert control() == "0.2"
    assert control(batch_size=[8]) == "0.2 batch_size=8"
    assert control(batch_size=[8, 16]) == "0.2"  # two arms, none of which is the control


def test_a_trials_id_does_not_depend_on_the_name(tmp_path):
    """So records of before, whose names were shorter, are trained on, not again."""
    factory = TrialFactory(sweep=SWEEP, data=made_up.data(tmp_path), epochs=1, precision="float32")
    (arm,) = arms(SWEEP, {"optimizer": ["sgd"], "learning_rate": [0.05]})
    new, old = (factory.trials([a], COMPARISON, [1])[0] for a in (arm, replace(arm, name="sgd")))
    assert (new.arm.name, old.arm.name) == ("sgd learning_rate=0.05", "sgd")
    assert new.trial_id == old.trial_id
