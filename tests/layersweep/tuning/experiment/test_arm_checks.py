"""Arms whose step on large pictures takes more memory than there is are refused before any trial."""

import resource
from dataclasses import replace

import made_up
import pytest

from layersweep.records.values import NetworkSummary
from layersweep.tuning.common.errors import UsageError
from layersweep.tuning.experiment.arm_checks import check_memory, idle_values
from layersweep.tuning.experiment.arm_grid import arms, grid
from layersweep.tuning.experiment.key_values import key_values
from layersweep.tuning.experiment.options import Options
from layersweep.tuning.experiment.settings import resolve
from layersweep.tuning.experiment.sweep import Sweep
from layersweep.tuning.experiment.tuned_arms import searched_arms, tuned_arms
from search_spaces.ranges import Range
from trainables.families import fashion_cnn
from trainables.worker import model_check

GIB = 1 << 30
SWEEP = Sweep(name="s", train=fashion_cnn.train, spaces=[{"optimizer": ["adam", "sgd"], "batch_size": [32]}])


@pytest.fixture
def data(tmp_path):
    return replace(made_up.data(tmp_path), image_shape=(384, 512, 3))


def network(parameters):
    return NetworkSummary(
        parameters=parameters, trainable_parameters=parameters, flops=0, size_bytes=0, layers=(), seconds_build=0.0
    )  # fmt: skip


def check(data, share_bytes, **overrides):
    options = Options()
    check_memory(SWEEP, arms(SWEEP, overrides), data, resolve(SWEEP, options), share_bytes)


def test_the_first_such_arm_is_named_with_what_to_change(data, monkeypatch):
    asked = []
    monkeypatch.setattr(model_check, "networks", lambda specs: asked.append(specs) or [network(GIB) for _ in specs])
    with pytest.raises(UsageError, match=r"arm adam: by estimate .*16\.0 for parameters.*--set image_size=64"):
        check(data, 15 * GIB)
    check(data, 17 * GIB)
    assert [len(specs) for specs in asked] == [1, 1]  # both optimizers have one network


def test_small_images_are_not_built_to_be_checked(data, monkeypatch):
    monkeypatch.setattr(model_check, "networks", lambda _: pytest.fail("built"))
    check(data, 1, image_size=[64])
    check(replace(data, image_shape=(28, 28, 1)), 1)


def test_a_network_that_cannot_be_built_is_left_to_those_who_say_why(data, monkeypatch):
    monkeypatch.setattr(model_check, "networks", lambda specs: [None for _ in specs])
    check(data, 1)


@pytest.mark.slow
def test_a_network_of_gigabytes_is_described_without_them(data):
    """Its dense layer alone has 3 GiB."""
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with pytest.raises(UsageError, match=r"arm adam: by estimate a step with batch_size=32 takes 19\.\d GiB"):
        check(data, 10 * GIB)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(largest_child, 2 << 20)  # KiB


def idle(sweep, *sets, search=False):
    """The remarks and the errors about a command's keys."""
    values = key_values(sweep, sets)
    grid_arms = grid(sweep, values)
    tuned = tuned_arms(sweep, values) if search else searched_arms(grid_arms)
    return idle_values(sweep, values, [each.arm for each in grid_arms if not each.ranges], tuned)


def families(*names, **space):
    return Sweep(name="s", train=fashion_cnn.train, spaces=[{"family": [*names], **space}])


def test_a_key_that_some_families_do_not_have_is_told_and_one_that_none_has_is_refused():
    both = families("fashion_cnn", "vgg16", "residual_cnn")
    line = "--set weights=imagenet does nothing in fashion_cnn, residual_cnn: no such key there"
    assert idle(both, "weights=imagenet") == ([line], [])
    line = "--set blocks=3 does nothing in fashion_cnn, vgg16: no such key there"
    assert idle(both, "family=fashion_cnn,vgg16", "blocks=3") == ([], [line])
    assert idle(both, "batch_size=8") == ([], [])


def test_a_key_that_does_nothing_is_told_or_refused_unless_it_has_its_default():
    line = (
        "--set momentum=0.9 does nothing in adam: momentum=0.9 is not valid with optimizer=adam; valid: 0, or with sgd "
        "or rmsprop"
    )
    assert idle(SWEEP, "momentum=0.9") == ([line], [])
    assert idle(SWEEP, "momentum=0.9", "optimizer=adam") == ([], [line])
    assert idle(SWEEP, "momentum=0", "optimizer=adam") == ([], [])
    assert idle(SWEEP, "momentum=0..0.9", "optimizer=adam")[1] != []
    assert idle(SWEEP, "momentum=0..0.9")[1] == []


def test_a_key_of_a_space_that_does_nothing_is_refused():
    remarks, errors = idle(
        Sweep(name="s", train=fashion_cnn.train, spaces=[{"optimizer": ["adam"], "momentum": [0.5]}])
    )
    assert remarks == []
    (error,) = errors
    assert error.startswith(
        "the space of sweep 's': momentum=0.5 does nothing in default: momentum=0.5 is not valid with"
    )


def test_a_key_that_a_search_uses_does_something():
    sweep = replace(SWEEP, tuned=[{"optimizer": ["sgd"], "learning_rate": Range(0.1, 1)}])
    assert idle(sweep, "momentum=0.9", "optimizer=sgd", search=True) == ([], [])
    (tuned,) = tuned_arms(sweep, {"momentum": Range(0.0, 0.9)})
    assert (tuned.name, [*tuned.search_space]) == ("momentum=0.0..0.9 tuned", ["learning_rate", "momentum"])
