"""The space of the optimizers' study, and the names that may replace it from the command line."""

from search_spaces.optimizers import EVERY_OPTIMIZER, RANGES, SPACES, TUNED
from trainables.families.fashion_cnn import Config
from trainables.optimizers import LEARNING_RATES


def test_the_space_is_the_eight_optimizers_of_the_report():
    report = "Adadelta, Adagrad, Adamax, FTRL, Nadam, RMSprop, Adam, SGD"
    assert [set(space) for space in SPACES] == [{"optimizer"}]
    assert set(SPACES[0]["optimizer"]) == set(report.lower().split(", "))
    assert len(SPACES[0]["optimizer"]) == 8


def test_every_optimizer_is_every_one_that_the_trainables_know():
    # tests/trainables/test_keras_names.py compares those with the installed Keras
    assert tuple(LEARNING_RATES) == EVERY_OPTIMIZER


def test_every_optimizer_is_a_valid_value_at_its_own_learning_rate():
    rates = {name: Config(optimizer=name).learning_rate for name in EVERY_OPTIMIZER}
    assert rates == LEARNING_RATES


def test_every_optimizer_has_a_range_of_two_decades_that_holds_keras_own_rate():
    assert tuple(RANGES) == EVERY_OPTIMIZER
    for name, rates in RANGES.items():
        assert rates.log
        assert rates.high / rates.low >= 100
        assert rates.low <= LEARNING_RATES[name] <= rates.high
        Config(optimizer=name, learning_rate=rates.low)
        Config(optimizer=name, learning_rate=rates.high)


def test_the_optimizers_that_are_compared_are_those_that_are_tuned():
    assert [space["optimizer"] for space in TUNED] == [[name] for name in SPACES[0]["optimizer"]]
    assert all(space["learning_rate"] == RANGES[space["optimizer"][0]] for space in TUNED)
