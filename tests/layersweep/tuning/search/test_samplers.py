"""What draws configurations: never one twice, within bounds, the same again, and HyperOpt near what was good."""

import itertools
import logging
import math
import statistics
import subprocess
import sys

import made_up
import pytest
from scipy import stats

from layersweep.tuning.experiment.tuned_arms import TunedArm
from layersweep.tuning.search.samplers import RANDOM_POINTS, sampler
from search_spaces.ranges import Range
from trainables.families import fashion_cnn

SEARCHES = ("random", "hyperopt")
RATE = Range(1e-4, 1.0, log=True)
MIXED = {
    "quality": RATE,
    "batch_size": Range(1, 1024, log=True),
    "seconds": Range(0, 60),
    "misdeed": ["none", "early", "talk"],
}


def arm(searched, fixed=None, name="tuned"):
    return TunedArm(name=name, config_type=made_up.Config, fixed_values=fixed or {}, search_space=searched)


def make(search, of, *, seed=1, recorded=(), mode="max"):
    metric = {"max": "val_accuracy", "min": "val_loss"}[mode]
    return sampler(of, search=search, seed=seed, metric=metric, mode=mode, earlier_configs=recorded)


def near(config, best=0.01):
    """A value that is the larger the nearer the quality is to the best, by order of magnitude."""
    return -abs(math.log10(config.quality / best))


def searched(source, n, value=near):
    """Draws and tells n times, one after the other."""
    made = []
    for _ in range(n):
        made.append(source.draw())
        source.tell(made[-1], value(made[-1]))
    return made


@pytest.mark.parametrize("search", SEARCHES)
def test_values_are_plain_in_their_bounds_and_beside_those_that_are_fixed(search):
    for config in searched(make(search, arm(MIXED)), 30):
        assert [type(getattr(config, key)) for key in MIXED] == [float, int, float, str]
        assert 1e-4 <= config.quality <= 1
        assert 1 <= config.batch_size <= 1024
        assert 0 <= config.seconds <= 60
        assert config.misdeed in MIXED["misdeed"]
    (config,) = searched(make(search, arm({"quality": RATE}, fixed={"batch_size": 7})), 1)
    assert config.batch_size == 7


@pytest.mark.parametrize("search", SEARCHES)
def test_a_logarithmic_range_is_drawn_uniformly_in_its_logarithm(search):
    drawn = [searched(make(search, arm({"quality": RATE}), seed=seed), RANDOM_POINTS) for seed in range(50)]
    logs = [math.log10(config.quality) for config in itertools.chain.from_iterable(drawn)]
    assert stats.kstest(logs, "uniform", args=(-4, 4)).pvalue > 0.01
    assert stats.kstest([10**log for log in logs], "uniform").pvalue < 1e-9


@pytest.mark.parametrize("search", SEARCHES)
def test_another_range_is_drawn_uniformly(search):
    drawn = [searched(make(search, arm({"seconds": Range(0, 60)}), seed=seed), RANDOM_POINTS) for seed in range(50)]
    values = [config.seconds for config in itertools.chain.from_iterable(drawn)]
    assert stats.kstest(values, "uniform", args=(0, 60)).pvalue > 0.01


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("log", [False, True])
def test_whole_numbers_are_drawn_up_to_both_bounds(search, log):
    of = arm({"batch_size": Range(2, 5, log=log)})
    assert {make(search, of, seed=seed).draw().batch_size for seed in range(40)} == {2, 3, 4, 5}


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    ("few", "n"),
    [
        ({"batch_size": [8, 16, 32], "misdeed": ["none", "early"]}, 6),
        ({"batch_size": Range(1, 9, log=True), "quality": [0.25, 1.0]}, 18),
        ({"batch_size": Range(1, 64)}, 64),
    ],
)
def test_no_configuration_is_drawn_twice_and_none_when_all_were(search, few, n):
    source = make(search, arm(few))
    assert len(set(searched(source, n, value=lambda config: config.batch_size))) == n
    assert source.draw() is None
    assert source.draw() is None


@pytest.mark.parametrize("search", SEARCHES)
def test_a_drawer_made_anew_goes_on_where_the_first_stood(search):
    of = arm(MIXED)
    whole = searched(make(search, of), 12)
    for k in (0, 1, 5, 11):
        resumed = make(search, of, recorded=whole[:k])
        for config in whole[:k]:
            resumed.tell(config, near(config))
        assert searched(resumed, 12 - k) == whole[k:]


def test_a_random_candidate_depends_on_seed_arm_and_number_alone():
    of = arm({"quality": RATE})
    first = searched(make("random", of), 6)
    assert searched(make("random", of), 9, value=lambda config: None)[:6] == first
    assert not set(searched(make("random", of, seed=2), 6)) & set(first)
    assert not set(searched(make("random", arm({"quality": RATE}, name="another")), 6)) & set(first)
    holes = make("random", of, recorded=[first[1], first[4], made_up.Config(quality=0.5)])
    assert [holes.draw() for _ in range(4)] == [first[0], first[2], first[3], first[5]]


@pytest.mark.parametrize("search", SEARCHES)
def test_another_process_draws_the_same(search):
    code = (
        "import made_up\n"
        "from search_spaces.ranges import Range\n"
        "from layersweep.tuning.search.samplers import sampler\n"
        "from layersweep.tuning.experiment.tuned_arms import TunedArm\n"
        "arm = TunedArm(name='tuned', config_type=made_up.Config, fixed_values={},"
        " search_space={'quality': Range(0, 1)})\n"
        f"print(sampler(arm, search={search!r}, seed=1, metric='val_accuracy', mode='max').draw().quality)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(said.stdout) == make(search, arm({"quality": Range(0, 1)})).draw().quality
    assert said.stderr == ""


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("resumed", [False, True])
def test_hyperopt_searches_near_what_was_good(mode, resumed):
    sign = {"max": 1, "min": -1}[mode]
    source = make("hyperopt", arm({"quality": RATE}), mode=mode)
    made = searched(source, 15, value=lambda config: sign * near(config))
    if resumed:
        source = make("hyperopt", arm({"quality": RATE}), recorded=made, mode=mode)
        for config in made:
            source.tell(config, sign * near(config))
    late = searched(source, 20, value=lambda config: sign * near(config))
    assert not set(late) & set(made)
    by_chance = searched(make("random", arm({"quality": RATE})), 20)
    assert statistics.median(map(near, late)) > -0.5 > statistics.median(map(near, by_chance))


def test_hyperopt_turns_away_from_what_failed_or_diverged():
    """Where all above 0.01 fails, candidates lie below; told nothing, half of them would not."""
    for failure in (None, math.nan):
        source = make("hyperopt", arm({"quality": RATE}))
        late = searched(source, 30, value=lambda c, failure=failure: failure if c.quality > 0.01 else 0.5)[10:]
        assert sum(config.quality > 0.01 for config in late) < 7


def test_hyperopt_draws_while_others_have_not_ended():
    source = make("hyperopt", arm({"misdeed": ["none", "early", "talk", "nan"], "batch_size": [1, 2]}))
    pending = [source.draw() for _ in range(8)]
    assert len(set(pending)) == 8
    assert source.draw() is None


def test_hyperopt_goes_on_from_records_that_the_arm_no_longer_holds():
    narrowed = arm({"misdeed": ["none", "early"], "quality": Range(0.1, 0.2)}, fixed={"batch_size": 8})
    outside = [
        made_up.Config(quality=0.15, batch_size=16),
        made_up.Config(quality=0.5, batch_size=8),
        made_up.Config(quality=0.15, batch_size=8, misdeed="talk"),
    ]
    source = make("hyperopt", narrowed, recorded=outside)
    for config in outside:
        source.tell(config, 1.0)
    for config in searched(source, 8):
        assert (0.1 <= config.quality <= 0.2, config.batch_size) == (True, 8)
        assert config.misdeed in {"none", "early"}


@pytest.mark.parametrize("search", SEARCHES)
def test_what_was_never_drawn_cannot_have_ended(search):
    with pytest.raises(KeyError):
        make(search, arm({"quality": RATE})).tell(made_up.Config(quality=0.5), 1.0)


def test_hyperopt_says_nothing(caplog, capfd):
    with caplog.at_level(logging.INFO):
        searched(make("hyperopt", arm(MIXED)), 6)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("search", SEARCHES)
def test_a_key_that_does_nothing_has_its_default_and_no_configuration_is_drawn_twice_for_it(search):
    space = {"optimizer": ["sgd", "adam"], "momentum": [0.5, 0.9]}
    tuned = TunedArm(name="tuned", config_type=fashion_cnn.Config, fixed_values={}, search_space=space)
    source = make(search, tuned)
    made = searched(source, 3, value=lambda config: config.momentum)
    assert {(c.optimizer, c.momentum) for c in made} == {("sgd", 0.5), ("sgd", 0.9), ("adam", 0.0)}
    assert source.draw() is None
    assert all(tuned.holds(config) for config in made)
    assert not tuned.holds(fashion_cnn.Config(optimizer="sgd"))


def test_hyperopt_learns_from_configurations_in_which_a_key_does_nothing():
    space = {"optimizer": ["sgd", "adam"], "momentum": Range(0.5, 0.9), "learning_rate": RATE}
    tuned = TunedArm(name="tuned", config_type=fashion_cnn.Config, fixed_values={}, search_space=space)
    made = searched(make("hyperopt", tuned), 12, value=lambda config: -config.learning_rate)
    assert {config.momentum for config in made if config.optimizer == "adam"} == {0.0}
    again = make("hyperopt", tuned, recorded=made)
    assert isinstance(again.draw(), fashion_cnn.Config)
