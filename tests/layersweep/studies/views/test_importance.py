"""Shares of variance: that of a key that decides, and about none for noise."""

import numpy as np
import pytest

from layersweep.studies.views.configuration_keys import Key
from layersweep.studies.views.importance import importance


def key(name, values, levels=None):
    return Key(name=name, log=False, levels=levels, values=list(values))


def shares(keys, values):
    return {item["key"]: item["share"] for item in importance(keys, values)[0]}


def test_a_key_that_decides_explains_all_and_another_nothing():
    groups = ["a", "b", "c"] * 20
    values = [{"a": 0.1, "b": 0.5, "c": 0.9}[group] for group in groups]
    other = ["x", "y"] * 30
    result = shares([key("other", other, ["x", "y"]), key("main", groups, ["a", "b", "c"])], values)
    assert result["main"] > 0.99
    assert result["other"] == 0
    assert [*result] == ["main", "other"]


@pytest.mark.parametrize("n", [12, 50, 400])
def test_pure_noise_gives_about_nothing(n):
    """The mean over many draws, before negative estimates are cut off, is 0: with the cut a few percent are left."""
    draws = np.random.default_rng(1)
    means = {"number": [], "word": []}
    for _ in range(200):
        keys = [key("number", draws.normal(size=n)), key("word", draws.choice([*"abc"], n), [*"abc"])]
        for name, share in shares(keys, draws.normal(size=n).tolist()).items():
            means[name].append(share)
    limit = 1.2 / np.sqrt(n)
    assert all(np.mean(values) < limit / 2 for values in means.values())
    assert all(np.median(values) < 0.03 for values in means.values())


def test_the_share_of_a_smooth_effect_is_that_of_its_variance():
    draws = np.random.default_rng(2)
    x, y = draws.uniform(size=4000), draws.uniform(size=4000)
    result = shares([key("x", x), key("y", y)], (2 * x + y).tolist())
    assert result["x"] == pytest.approx(0.8 * (1 - 1 / 25), abs=0.02)  # 4 / 5 of the variance; five groups catch 96 %
    assert result["y"] == pytest.approx(0.2 * (1 - 1 / 25), abs=0.02)


def test_too_few_trials_or_keys_are_said():
    two = [key("a", [1, 2] * 4), key("b", [1, 1, 2, 2] * 2)]
    assert importance(two, [0.5] * 8) == ([], "Importance needs 10 trials with a value.")
    assert importance([key("a", [1, 2] * 10)], [0.5] * 20) == (
        [], "Importance needs two configuration keys that vary.",
    )  # fmt: skip
    values = [0.1 * n for n in range(9)] + [None, float("nan")] * 5
    assert importance([key("a", range(19)), key("b", range(19))], values)[0] == []


def test_trials_without_a_value_do_not_count():
    keys = [key("a", [*"xy"] * 10, ["x", "y"]), key("b", [*"zw"] * 10, ["w", "z"])]
    values = [0.1, 0.9] * 9 + [None, float("nan")]
    assert shares(keys, values)["a"] > 0.99


def test_equal_values_are_explained_by_nothing():
    assert shares([key("a", [1, 2] * 10), key("b", [1, 1, 2, 2] * 5)], [0.5] * 20) == {"a": 0.0, "b": 0.0}


def test_missing_values_of_a_key_are_a_group():
    a = [None, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * 6
    values = [0.9 if value is None else 0.1 for value in a]
    assert shares([key("a", a), key("b", [1, 2] * 21)], values)["a"] > 0.9
