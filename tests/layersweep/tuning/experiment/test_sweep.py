"""Arms of a space, trials of arms, and what a trial's id depends on."""

import dataclasses
import json
import re
import subprocess
import sys

import made_up
import pytest

from layersweep.records.questions import COMPARISON
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_checks import check_images
from layersweep.tuning.experiment.arm_grid import arms, grid
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.trials import TrialContent, TrialFactory
from search_spaces.ranges import Range
from trainables.config import between
from trainables.families import applications, by_name, fashion_cnn, residual_cnn
from trainables.families.family import trains
from trainables.keys import Keys


@pytest.fixture
def data(tmp_path):
    return made_up.data(tmp_path)


def sweep(*spaces):
    return Sweep(name="s", train=made_up.train, spaces=spaces, warm_up=made_up.WARM_UP)


def trial_id(family, arm, seed, data, precision):
    return TrialContent(family=family, arm=arm, seed=seed, data=data, precision=precision).trial_id


def trials(sweep, arms, data, *, seeds, epochs=3, folds=0):
    factory = TrialFactory(sweep=sweep, data=data, epochs=epochs, precision="float32", folds=folds)
    return factory.trials(arms, COMPARISON, seeds)


def test_an_arm_is_named_by_the_one_key_that_varies():
    assert [a.name for a in arms(sweep({"quality": [0.1, 0.2], "batch_size": [8]}), {})] == ["0.1", "0.2"]


def test_an_arm_is_named_by_every_key_that_varies():
    made = arms(sweep({"quality": [0.1, 0.2], "batch_size": [8, 16]}), {})
    assert [a.name for a in made] == [
        "quality=0.1 batch_size=8",
        "quality=0.1 batch_size=16",
        "quality=0.2 batch_size=8",
        "quality=0.2 batch_size=16",
    ]
    assert made[1].config == made_up.Config(quality=0.1, batch_size=16)


def layered(*spaces):
    return Sweep(name="s", train=fashion_cnn.train, spaces=spaces)


def test_a_family_of_keras_applications_is_named_by_its_row(data):
    made = Sweep(name="s", train=applications.xception.train, spaces=({"dropout": [0.1]},))
    assert (made.family, made.config_type) == ("xception", applications.xception.Config)
    named = families({"family": ["xception"], "dropout": [0.1]})
    assert named.train_of("xception") is applications.xception.train
    assert [a.config for a in arms(named, {})] == [a.config for a in arms(made, {})]


def test_keys_of_all_layers_name_an_arm_in_one_word():
    space = {f"activation_{k}": ["relu", "selu"] for k in (1, 2, 3, 4)} | {"optimizer": ["nadam"]}
    made = arms(layered(space), {})
    assert len(made) == 16
    assert [a.name for a in made][:3] == ["relu-relu-relu-relu", "relu-relu-relu-selu", "relu-relu-selu-relu"]
    narrow = arms(layered(space), {"activation_3": ["relu"], "activation_4": ["relu"]})
    assert [a.name for a in narrow][1] == "relu-selu-relu-relu"  # the same arm, the same name
    assert {a.config for a in narrow} <= {a.config for a in made}


def test_a_searched_network_is_named_by_a_digest_of_its_choices():
    versions = ("resnet50", "resnet50_v2")
    made = arms(
        Sweep(
            name="s",
            train=fashion_cnn.train,
            spaces=(
                {"family": ["fashion_cnn"], "optimizer": ["sgd"]},
                {
                    "family": ["autokeras"],
                    "choices": ["{}", *(json.dumps({"image_block_1/res_net_block_1/version": v}) for v in versions)],
                },
            ),
        ),
        {},
    )
    assert [a.name for a in made][:2] == ["fashion_cnn optimizer=sgd", "autokeras choices={}"]
    assert [re.fullmatch("autokeras choices=[0-9a-f]{8}", a.name) is not None for a in made[2:]] == [True, True]
    assert len({a.name for a in made}) == 4


def test_keys_of_some_layers_are_named_one_by_one():
    made = arms(layered({"filters_2": [16, 32], "filters_3": [64]}), {})
    assert [a.name for a in made] == ["filters_2=16 filters_3=64", "filters_2=32 filters_3=64"]
    assert [a.name for a in arms(layered({"filters_2": [16, 32]}), {})] == ["16", "32"]


@pytest.mark.parametrize(
    ("spaces", "narrowed"),
    [
        ([{"filters_1": [16, 32], "filters_2": [16, 32]}], {"filters_1": [16]}),
        ([{"filters_1": [16, 32], "filters_2": [16, 32]}], {"filters_1": [16], "filters_2": [32]}),
        ([{"optimizer": ["adam", "sgd"]}, {"optimizer": ["adam", "sgd"], "classes": ["0-1"]}], {"optimizer": ["adam"]}),
        ([{"optimizer": ["adam", "sgd"]}, {"optimizer": ["adam", "sgd"], "classes": ["0-1"]}], {"classes": ["0-1"]}),
        ([{"family": ["residual_cnn"], "image_size": [32, 64]}, {"family": ["alexnet_32"], "image_size": [32]}],
         {"family": ["residual_cnn"]}),
        ([{"family": ["residual_cnn"], "image_size": [32, 64]}, {"family": ["alexnet_32"], "image_size": [32]}],
         {"image_size": [32]}),
        ([{"family": ["residual_cnn", "fashion_cnn"]}], {"family": ["fashion_cnn"]}),
    ],
)  # fmt: skip
def test_a_command_that_narrows_a_sweep_names_its_arms_as_the_whole_does(spaces, narrowed):
    whole = {arm.config: arm.name for arm in arms(layered(*spaces), {})}
    made = arms(layered(*spaces), narrowed)
    assert len(made) < len(whole)
    assert [arm.name for arm in made] == [whole[arm.config] for arm in made]


def test_a_key_that_the_sweep_does_not_vary_is_named():
    first, second = ({f"filters_{k}": [16, 32], "optimizer": ["adam"]} for k in (1, 2))
    space = {"optimizer": ["adam", "sgd"]}
    assert [a.name for a in arms(layered(space), first)] == ["adam filters_1=16", "adam filters_1=32"]
    assert arms(layered(space), second)[0].name == "adam filters_2=16"
    assert arms(layered({"optimizer": ["adam"]}), {"filters_1": [16, 32]})[0].name == "filters_1=16"


def test_a_key_that_a_family_does_not_have_leaves_its_arms_alone():
    made = arms(layered({"family": ["fashion_cnn", "residual_cnn"]}), {"blocks": [1, 2]})
    assert [a.name for a in made] == ["fashion_cnn", "residual_cnn blocks=1", "residual_cnn blocks=2"]


def test_layers_are_one_word_beside_other_keys():
    made = arms(layered({"filters_1": [16, 32], "filters_2": [64], "optimizer": ["adam", "sgd"]}), {})
    assert [a.name for a in made][1] == "filters=16-64 optimizer=sgd"


def test_several_spaces_are_a_union_without_doubles():
    made = arms(sweep({"quality": [0.1, 0.2]}, {"quality": [0.2, 0.3]}), {})
    assert [a.name for a in made] == ["0.1", "0.2", "0.3"]


def test_spaces_of_different_keys_name_each_arm_by_its_own():
    made = arms(sweep({"quality": [0.1]}, {"batch_size": [8]}), {})
    assert [(a.name, a.values["quality"], a.values["batch_size"]) for a in made] == [("0.1", 0.1, 32), ("8", 0.5, 8)]


def test_arms_of_one_value_under_different_keys_are_told_apart():
    made = arms(sweep({"quality": [0.5, 1]}, {"seconds": [1]}), {})
    assert [a.name for a in made] == ["quality=0.5", "quality=1", "seconds=1"]


def test_equal_configurations_are_one_arm_however_they_are_written():
    made = arms(sweep({"quality": [0.5, 1]}, {"quality": [1.0], "batch_size": [32]}), {})
    assert [a.config for a in made] == [made_up.Config(quality=0.5), made_up.Config(quality=1.0)]


def test_a_whole_number_for_a_real_one_gives_the_same_id(data):
    (whole,), (real,) = arms(sweep({"quality": [1]}), {}), arms(sweep({"quality": [1.0]}), {})
    assert trial_id("f", whole, 1, data, "float32") == trial_id("f", real, 1, data, "float32")


def test_a_space_without_a_list_or_without_values_is_refused():
    with pytest.raises(UsageError, match=r"batch_size=32 is no list of choices: write \[32\]"):
        arms(sweep({"batch_size": 32}), {})
    with pytest.raises(UsageError, match="misdeed='none' is no list of choices"):
        arms(sweep({"misdeed": "none"}), {})
    with pytest.raises(UsageError, match="has no arms"):
        arms(sweep({"quality": []}), {})


def test_narrowing_replaces_a_key_and_may_add_one():
    made = arms(sweep({"quality": [0.1, 0.2]}), {"quality": [0.3], "batch_size": [8, 16]})
    assert [(a.config.quality, a.config.batch_size) for a in made] == [(0.3, 8), (0.3, 16)]


def test_a_key_that_no_config_knows_is_refused_with_the_near_one():
    with pytest.raises(UsageError, match=r"unknown key 'qualty': did you mean 'quality'\?"):
        arms(sweep({"qualty": [0.1]}), {})


def test_a_value_outside_its_domain_is_refused():
    with pytest.raises(UsageError, match=r"quality=2.0 is not valid; valid: 0 to 1"):
        arms(sweep({"quality": [2]}), {})


def test_a_range_is_no_grid():
    with pytest.raises(UsageError, match="quality is a Range"):
        arms(sweep({"quality": Range(0.1, 0.2)}), {})


def test_each_seed_has_every_arm_in_an_order_of_its_own(data):
    compared = arms(sweep({"quality": [k / 20 for k in range(20)]}), {})
    made = trials(sweep(), compared, data, seeds=[1, 2])
    first, second = [[t.arm.name for t in made if t.seed == seed] for seed in (1, 2)]
    names = [a.name for a in compared]
    assert sorted(first) == sorted(second) == sorted(names)
    assert len({tuple(first), tuple(second), tuple(names)}) == 3
    again = trials(sweep(), compared, data, seeds=[1, 2])
    assert [t.trial_id for t in again] == [t.trial_id for t in made]


def test_an_id_depends_on_everything_that_results_depend_on(data):
    (arm,) = arms(sweep({"quality": [0.1]}), {})
    (other,) = arms(sweep({"quality": [0.2]}), {})
    changed = [
        ("made_up", arm, 1, data, "float32"),
        ("another", arm, 1, data, "float32"),
        ("made_up", other, 1, data, "float32"),
        ("made_up", arm, 2, data, "float32"),
        ("made_up", arm, 1, dataclasses.replace(data, fingerprint="1" * 16), "float32"),
        ("made_up", arm, 1, dataclasses.replace(data, train_images=3), "float32"),
        ("made_up", arm, 1, data, "mixed_bfloat16"),
    ]
    assert len({trial_id(*c) for c in changed}) == len(changed)


def test_an_id_does_not_depend_on_where_the_data_lies_nor_on_the_epochs(data, tmp_path):
    (arm,) = arms(sweep({"quality": [0.1]}), {})
    elsewhere = dataclasses.replace(data, folder=tmp_path / "elsewhere", majority_share=0.75)
    assert trial_id("f", arm, 1, data, "float32") == trial_id("f", arm, 1, elsewhere, "float32")
    short, long = (trials(sweep(), [arm], data, seeds=[1], epochs=n)[0] for n in (2, 9))
    assert short.trial_id == long.trial_id


def test_an_id_is_the_same_in_another_process(data, tmp_path):
    (arm,) = arms(sweep({"quality": [0.1]}), {})
    code = (
        "import made_up, sys, pathlib\n"
        "from trainables.data.dataset import Data\n"
        "from layersweep.tuning.experiment.arm import Arm\n"
        "from layersweep.tuning.experiment.trials import TrialContent\n"
        "data = Data(name='none', folder=pathlib.Path('/'), fingerprint='f' * 16, classes=('a', 'b'),"
        " image_shape=(2, 2, 1), train_images=4, validation_images=2, test_images=2, majority_share=0.5)\n"
        "arm = Arm(name='x', config=made_up.Config(quality=0.1))\n"
        "print(TrialContent(family='f', arm=arm, seed=1, data=data, precision='float32').trial_id)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == trial_id("f", arm, 1, data, "float32")


def test_a_configuration_is_plain_enough_for_json():
    (arm,) = arms(sweep({"quality": [0.1]}), {})
    assert json.loads(json.dumps(arm.values)) == {
        "quality": 0.1, "misdeed": "none", "batch_size": 32, "seconds": 0.0, "before": 0,
    }  # fmt: skip


# keys that do nothing, ranges, and a key twice


def test_a_key_that_does_nothing_has_its_default_and_equal_arms_are_one():
    made = arms(layered({"optimizer": ["sgd", "adam"]}), {"momentum": [0.0, 0.9]})
    assert [a.name for a in made] == ["sgd momentum=0.0", "sgd momentum=0.9", "adam"]
    assert [a.config.momentum for a in made] == [0.0, 0.9, 0.0]
    made = arms(layered({"optimizer": ["adam", "rmsprop"], "momentum": [0, 0.9]}), {})
    assert [(a.config.optimizer, a.config.momentum) for a in made] == [("adam", 0), ("rmsprop", 0), ("rmsprop", 0.9)]


def test_a_key_that_does_nothing_still_needs_a_valid_value():
    with pytest.raises(UsageError, match=r"the space of sweep 's': momentum=2 is not valid; valid: 0 to 0\.9999"):
        arms(layered({"optimizer": ["adam"], "momentum": [2]}), {})


def test_an_arm_without_the_key_keeps_its_name_and_its_trials(data):
    (alone,) = arms(layered({"optimizer": ["adam", "sgd"]}), {"optimizer": ["adam"]})
    both = arms(layered({"optimizer": ["adam", "sgd"]}), {"momentum": [0.5]})
    assert (both[0].name, trial_id("f", both[0], 1, data, "float32")) == (
        "adam", trial_id("f", alone, 1, data, "float32"),
    )  # fmt: skip


def test_a_grid_leaves_keys_open_that_are_searched():
    rates, sizes = Range(1e-4, 0.1, log=True), Range(16, 64, log=True, step=2)
    made = grid(
        layered({"optimizer": ["adam", "sgd"], "batch_size": [8]}), {"learning_rate": rates, "batch_size": sizes}
    )
    assert [each.arm.name for each in made] == [
        f"{name} batch_size=16..64 learning_rate=0.0001..0.1" for name in ("adam", "sgd")
    ]
    assert made[0].ranges == {"batch_size": sizes, "learning_rate": rates}
    assert not {"batch_size", "learning_rate"} & made[0].fixed_values.keys()


def test_a_range_of_a_key_that_an_arm_does_not_use_leaves_the_arm_as_it_is():
    made = grid(layered({"optimizer": ["adam", "sgd"]}), {"momentum": Range(0.0, 0.9)})
    assert [(each.arm.name, [*each.ranges]) for each in made] == [("adam", []), ("sgd momentum=0.0..0.9", ["momentum"])]
    made = grid(families({"family": ["fashion_cnn", "residual_cnn"]}), {"blocks": Range(1, 3)})
    assert [(each.arm.name, [*each.ranges]) for each in made] == [
        ("fashion_cnn", []), ("residual_cnn blocks=1..3", ["blocks"]),
    ]  # fmt: skip


# several families


def families(*spaces):
    return Sweep(name="s", train=fashion_cnn.train, spaces=spaces)


def test_a_space_may_name_families_which_have_their_own_keys():
    made = arms(families({"family": ["fashion_cnn", "residual_cnn"]}, {"family": ["residual_cnn"], "blocks": [3]}), {})
    assert [(a.name, a.family, type(a.config)) for a in made] == [
        ("fashion_cnn", "", fashion_cnn.Config),
        ("residual_cnn", "residual_cnn", residual_cnn.Config),
        ("residual_cnn blocks=3", "residual_cnn", residual_cnn.Config),
    ]


def test_where_families_alone_vary_an_arm_is_its_family():
    made = arms(families({"family": ["fashion_cnn", "residual_cnn"], "batch_size": [8]}), {})
    assert [a.name for a in made] == ["fashion_cnn", "residual_cnn"]


def test_a_family_is_trained_by_its_own_train_and_keys_are_those_of_all():
    sweep = families({"family": ["residual_cnn"]})
    assert sweep.train_of("residual_cnn") is residual_cnn.train
    assert sweep.train_of("fashion_cnn") is fashion_cnn.train
    assert {"blocks", "filters_1", "batch_size"} <= set(sweep.key_types)


def test_an_unknown_family_and_another_familys_key_are_refused():
    with pytest.raises(UsageError, match="did you mean 'residual_cnn'"):
        arms(families({"family": ["residual_cn"]}), {})
    with pytest.raises(UsageError, match="unknown key 'blocks'"):
        arms(families({"family": ["fashion_cnn", "residual_cnn"], "blocks": [2]}), {})


def test_a_choice_of_families_leaves_out_the_spaces_of_others():
    sweep = families({"family": ["fashion_cnn", "residual_cnn"]}, {"family": ["mobilenet"], "image_size": [32]})
    assert [a.name for a in arms(sweep, {"family": ["residual_cnn"]})] == ["residual_cnn"]
    chosen = arms(sweep, {"family": ["mobilenet"]})
    assert [(a.family, a.config.image_size) for a in chosen] == [("mobilenet", 32)]


def test_the_same_trial_of_two_sweeps_has_one_id(fashion_mnist):
    """Whether the family is the sweep's own or named by a space; and what it trains has not changed with new keys."""
    (own,) = arms(families({"optimizer": ["adam"]}), {})
    (named,) = arms(Sweep(name="t", train=residual_cnn.train, spaces=[{"family": ["fashion_cnn"]}]), {})
    assert trial_id("fashion_cnn", own, 1, fashion_mnist, "float32") == trial_id(
        named.family, named, 1, fashion_mnist, "float32"
    )
    assert not {"flip", "classes", "image_size"} & set(own.stated)


def test_images_that_a_family_cannot_take_are_refused_before_anything_starts(fashion_mnist):
    sweep = families({"family": ["mobilenet"]})
    with pytest.raises(UsageError, match=r"arm mobilenet: mobilenet needs images of 32x32 pixels or more, .*28x28"):
        check_images(sweep, arms(sweep, {"family": ["mobilenet"]}), fashion_mnist)


def test_grey_images_are_said_to_be_coloured_for_a_colour_family(fashion_mnist):
    sweep = families({"family": ["mobilenet"], "image_size": [32]}, {"family": ["fashion_cnn"]})
    assert check_images(sweep, arms(sweep, {}), fashion_mnist) == ["grey images get three equal channels for mobilenet"]


def test_what_a_family_remarks_is_said_once(fashion_mnist):
    train = trains(fashion_cnn.build)
    vars(train)["remarks"] = ("a hyperparameter has another name",)
    sweep = Sweep(name="s", train=train, spaces=[{"optimizer": ["adam", "sgd"]}])
    assert check_images(sweep, arms(sweep, {}), fashion_mnist) == ["a hyperparameter has another name"]


def test_a_sweep_without_spaces_has_one_arm_of_the_defaults():
    (arm,) = arms(Sweep(name="s", train=fashion_cnn.train), {})
    assert (arm.name, arm.config) == ("default", fashion_cnn.Config())


def test_classes_and_folds_that_the_data_does_not_have_are_refused(fashion_mnist):
    sweep = families({"classes": ["0-4", "8+12"]})
    with pytest.raises(UsageError, match=r"arm 8\+12: classes=8\+12 is not valid; valid: at least two of 0 to 9"):
        check_images(sweep, arms(sweep, {}), fashion_mnist)
    with pytest.raises(UsageError, match="too few for 7000 folds"):
        check_images(families({}), arms(families({}), {}), fashion_mnist, folds=7000)


def test_folds_are_replicates_beside_seeds(fashion_mnist):
    sweep = families({"optimizer": ["adam", "sgd"]})
    made = trials(sweep, arms(sweep, {}), fashion_mnist, seeds=[1, 2], folds=3)
    assert sorted((t.arm.name, t.seed, t.data.fold) for t in made) == [
        (name, seed, fold) for name in ("adam", "sgd") for seed in (1, 2) for fold in (0, 1, 2)
    ]
    assert len({t.trial_id for t in made}) == 12
    assert made[0].label.endswith(", seed 1, fold 1 of 3")


def test_a_loss_is_better_when_smaller():
    assert Sweep(name="s", train=made_up.train, spaces=[], metric="val_loss").mode == "min"
    assert Sweep(name="s", train=made_up.train, spaces=[], metric="val_accuracy").mode == "max"


@pytest.mark.parametrize("name", ["seed", "epoch", "val_loss"])
def test_a_key_that_is_a_column_of_the_records_is_refused(name):
    kinds = [(name, int, between(1, 1, 9, "of mine"))]
    config_type = dataclasses.make_dataclass("Config", kinds, bases=(Keys,), frozen=True, kw_only=True)
    mine = Sweep(name="mine", train=trains(lambda config, image_shape, classes: None, config_type))
    with pytest.raises(UsageError, match=f"the key '{name}', which is a column of the records; valid: another name"):
        mine.config_type  # noqa: B018


def test_no_family_of_ours_has_a_key_that_is_a_column():
    for name in by_name.NAMES:
        assert Sweep(name="s", train=name).config_type


@pytest.mark.parametrize("name", ["spaces", "tuned"])
def test_a_space_that_is_no_list_is_refused(name):
    mine = Sweep(name="mine", train="fashion_cnn", **{name: {"filters": [4, 8]}})
    with pytest.raises(UsageError, match=f"{name} of the sweep 'mine' is one dict; valid: a list of dicts"):
        mine.check_spaces()
