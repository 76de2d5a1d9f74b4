"""Tuned arms: what is fixed, what is searched, how `--set` narrows them, and what is refused."""

from dataclasses import replace

import made_up
import pytest

from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_grid import arms
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.tuned_arms import TunedArm, tuned_arms
from search_spaces.ranges import Range
from sweeps.optimizers import SWEEP
from trainables.families import fashion_cnn

QUALITY = Range(0.01, 1, log=True)
BY_MISDEED = ({"misdeed": ["none"], "quality": QUALITY}, {"misdeed": ["early"], "quality": Range(0, 0.5)})


def sweep(*tuned):
    return Sweep(name="s", train=made_up.train, spaces=[], tuned=tuned)


def arm(name, fixed, searched):
    return TunedArm(name=name, config_type=made_up.Config, fixed_values=fixed, search_space=searched)


def test_the_sweep_of_the_optimizers_tunes_the_learning_rate_of_each():
    arms = tuned_arms(SWEEP, {})
    assert [a.name for a in arms] == [f"{name} tuned" for name in SWEEP.spaces[0]["optimizer"]]
    assert arms[2].fixed_values == {"optimizer": "adam"}
    assert arms[2].search_space == {"learning_rate": Range(3e-5, 1e-2, log=True)}


def test_a_key_with_one_value_is_fixed_and_one_with_several_is_searched():
    (made,) = tuned_arms(sweep({"batch_size": [8], "misdeed": ["none", "early"], "quality": QUALITY}), {})
    assert made == arm("tuned", {"batch_size": 8}, {"misdeed": ["none", "early"], "quality": QUALITY})


def test_arms_are_named_by_the_fixed_keys_that_vary():
    spaces = [{"batch_size": [8], "misdeed": [m], "quality": QUALITY} for m in ("none", "early")]
    assert [a.name for a in tuned_arms(sweep(*spaces), {})] == ["none tuned", "early tuned"]


def test_beside_arms_that_are_named_by_their_families_a_tuned_arm_is_named_so_too():
    rates = {"learning_rate": Range(1e-4, 1e-1, log=True)}
    both = Sweep(name="s", train=fashion_cnn.train, spaces=[{"family": ["fashion_cnn", "alexnet"]}], tuned=[rates])
    assert [a.name for a in tuned_arms(both, {})] == ["fashion_cnn tuned"]


def test_arms_that_fix_the_same_are_named_by_what_they_search():
    made = tuned_arms(sweep({"quality": QUALITY}, {"batch_size": [8, 16]}), {})
    assert [a.name for a in made] == ["default quality tuned", "default batch_size tuned"]


def test_two_spaces_that_nothing_tells_apart_are_refused():
    with pytest.raises(UsageError, match="sweep 's': two tuned spaces fix the same and search the same keys"):
        tuned_arms(sweep({"quality": QUALITY}, {"quality": Range(0, 1)}), {})


def test_a_sweep_without_tuned_spaces_has_no_tuned_arms():
    assert tuned_arms(sweep(), {"misdeed": ["none"]}) == []


def test_narrowing_a_fixed_key_keeps_the_spaces_that_have_a_value_under_the_same_name():
    assert tuned_arms(sweep(*BY_MISDEED), {"misdeed": ["kill", "early"]}) == [
        arm("early tuned", {"misdeed": "early"}, {"quality": Range(0, 0.5)})
    ]


def test_narrowing_a_fixed_key_to_what_no_space_has_is_refused_with_those_that_one_has():
    words = "--set misdeed=kill,nan: no tuned space of sweep 's' has it; valid: none, early"
    with pytest.raises(UsageError, match=words):
        tuned_arms(sweep(*BY_MISDEED), {"misdeed": ["kill", "nan"]})
    with pytest.raises(
        UsageError, match="--set optimizer=lion: no tuned space of sweep 'optimizers' has it; valid: ada"
    ):
        tuned_arms(SWEEP, {"optimizer": ["lion"]})


def test_narrowing_a_searched_key_replaces_what_is_searched():
    (first, _) = tuned_arms(sweep(*BY_MISDEED), {"quality": [0.25, 0.5]})
    assert first == arm("none tuned", {"misdeed": "none"}, {"quality": [0.25, 0.5]})


def test_narrowing_a_searched_key_to_one_value_fixes_it():
    (made,) = tuned_arms(sweep({"quality": QUALITY, "batch_size": [8, 16]}), {"quality": [0.25]})
    assert made == arm("quality=0.25 tuned", {"quality": 0.25}, {"batch_size": [8, 16]})


def test_a_value_that_a_command_fixes_is_named_before_the_word_tuned_as_in_the_arm_of_its_defaults():
    def names(**overrides):
        untuned = replace(SWEEP, spaces=[{"optimizer": ["adam", "sgd"]}], tuned=SWEEP.tuned)
        overrides = {"optimizer": ["adam"], **overrides}
        return [a.name for a in (*arms(untuned, overrides), *tuned_arms(untuned, overrides))]

    assert names(batch_size=[64]) == ["adam batch_size=64", "adam batch_size=64 tuned"]
    assert names(batch_size=[32]) == ["adam", "adam tuned"]  # the default
    assert names(momentum=[0.9], optimizer=["sgd"])[1] == "sgd momentum=0.9 tuned"


def test_what_the_sweep_itself_takes_from_elsewhere_is_not_in_a_tuned_arms_name():
    (made,) = tuned_arms(sweep({"quality": QUALITY}), {"batch_size": [64]}, {"batch_size"})
    assert made == arm("tuned", {"batch_size": 64}, {"quality": QUALITY})


def test_narrowing_all_that_is_searched_to_one_value_is_refused():
    words = r"'none tuned' of sweep 's' has nothing to search with --set quality=0.25; valid: several values of quality"
    with pytest.raises(UsageError, match=words):
        tuned_arms(sweep(*BY_MISDEED), {"quality": [0.25]})


def test_narrowing_another_key_fixes_it_or_has_it_searched_in_every_arm():
    for made in tuned_arms(sweep(*BY_MISDEED), {"batch_size": [64]}):
        assert made.fixed_values["batch_size"] == 64
        assert set(made.search_space) == {"quality"}
    for made in tuned_arms(sweep(*BY_MISDEED), {"batch_size": [64, 128]}):
        assert made.search_space["batch_size"] == [64, 128]


def test_values_are_of_the_keys_type_and_each_there_once():
    (made,) = tuned_arms(sweep({"quality": [1, 0, 1.0, 0.5]}), {})
    assert made.search_space == {"quality": [1.0, 0.0, 0.5]}
    assert [type(value) for value in made.search_space["quality"]] == [float] * 3
    with pytest.raises(UsageError, match="'tuned' of sweep 's' has nothing to search; valid: several values of a key"):
        tuned_arms(sweep({"quality": [1, 1.0]}), {})


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"qualty": QUALITY}, r"unknown key 'qualty': did you mean 'quality'\? valid keys: quality, misdeed"),
        ({"quality": [0.5, 2]}, r"quality=2 is not valid; valid: 0 to 1"),
        ({"quality": Range(-1, 1)}, r"quality=-1 is not valid; valid: 0 to 1"),
        ({"quality": Range(0, 1.5)}, r"quality=1.5 is not valid; valid: 0 to 1"),
        ({"batch_size": Range(1, 64.5)}, r"batch_size=64.5 is not valid; valid: 1 to 1024 \(int\)"),
        (
            {"misdeed": Range(1, 2)},
            r"misdeed=1\.\.2 is no list of choices; valid: none, raise",
        ),
        ({"misdeed": ["none", "steal"]}, r"misdeed='steal' is not valid; valid: none, raise"),
        ({"misdeed": "none"}, r"misdeed='none' is no list of choices: write \['none'\]"),
        ({"quality": []}, r"quality has no values; valid: 0 to 1"),
    ],
)
def test_a_space_with_what_is_not_valid_is_refused(space, words):
    with pytest.raises(UsageError, match="the tuned space of sweep 's': " + words):
        tuned_arms(sweep(space), {})


def test_narrowing_with_what_is_not_valid_is_refused():
    with pytest.raises(UsageError, match="quality=2 is not valid; valid: 0 to 1"):
        tuned_arms(sweep(*BY_MISDEED), {"quality": [0.1, 2]})
    with pytest.raises(UsageError, match="unknown key 'lr'"):
        tuned_arms(sweep(*BY_MISDEED), {"lr": [0.1]})
