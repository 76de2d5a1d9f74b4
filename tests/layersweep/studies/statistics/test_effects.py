"""Effects of a grid's keys, against numbers worked out by hand and scipy's own tests."""

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import stats

from layersweep.studies.statistics.effects import Effects, effects

CHOICES = ("relu", "selu", "elu")


def fitted(keys: dict[str, list[Any]], seeds: list[Any], values: list[float]) -> Effects:
    result = effects(keys, seeds, values)
    assert result is not None
    return result


def level(result: Effects, key: str, value: str) -> Any:
    return next(level for level in result.levels[key] if level.value == value)


def noise(n: int) -> Any:
    return np.random.default_rng(1).normal(0, 0.01, n)


def grid_of_four(interaction: float = 0.0) -> tuple[dict[str, list[Any]], list[Any], list[float]]:
    """All 81 combinations on one seed: the first layer likes selu, the others relu; two may act together."""
    rows = list(itertools.product(CHOICES, repeat=4))
    liked = [{"selu": 0.03, "relu": -0.01, "elu": -0.02}, *[{"relu": 0.02, "selu": -0.01, "elu": -0.01}] * 3]
    values = [0.9 + sum(effect[choice] for effect, choice in zip(liked, row, strict=True)) for row in rows]
    values = [v + interaction * (row[1] == row[2] == "elu") for v, row in zip(values, rows, strict=True)]
    keys = {f"activation_{i + 1}": [row[i] for row in rows] for i in range(4)}
    return keys, [0] * 81, (np.array(values) + noise(81)).tolist()


def test_two_values_on_common_seeds_are_the_paired_t_test() -> None:
    a, b = [0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.92, 0.93]
    result = fitted({"k": ["a"] * 4 + ["b"] * 4}, [1, 2, 3, 4] * 2, a + b)
    (test,) = result.main
    assert (test.df, result.df) == (1, 3)
    assert test.p == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert level(result, "k", "a").effect == pytest.approx((np.mean(a) - np.mean(b)) / 2)


def test_several_values_on_one_seed_are_the_analysis_of_variance() -> None:
    groups = [[0.1, 0.2, 0.4], [0.3, 0.5, 0.6], [0.5, 0.9, 0.8]]
    result = fitted({"k": ["a"] * 3 + ["b"] * 3 + ["c"] * 3}, [1] * 9, np.ravel(groups).tolist())
    expected = stats.f_oneway(*groups)
    (test,) = result.main
    assert test.f == pytest.approx(expected.statistic)
    # each mean less the grand mean, 43/90; half the interval by the t distribution with 6 degrees of freedom
    assert level(result, "k", "b").effect == pytest.approx(1.4 / 3 - 4.3 / 9)
    # each group by its own variance: that of b's effect is (4 s_b² + s_a² + s_c²) / 9 / 3. Degrees of freedom: the
    # weights are 4, 1 and 1, and each group has 2: 2 * (4 + 1 + 1)² / (16 + 1 + 1) = 4
    a, b, c = (np.var(group, ddof=1) for group in groups)
    error = np.sqrt((4 * b + a + c) / 27)
    assert level(result, "k", "b").half_width == pytest.approx(stats.t.ppf(0.975, 4) * error)


def test_the_effects_of_a_full_grid_are_the_means_of_its_rows() -> None:
    keys, seeds, values = grid_of_four()
    result = fitted(keys, seeds, values)
    assert (result.n, result.df) == (81, 81 - 1 - 4 * 2 - 6 * 4)
    for key, choice in itertools.product(keys, CHOICES):
        mine = [v for v, c in zip(values, keys[key], strict=True) if c == choice]
        assert level(result, key, choice).effect == pytest.approx(np.mean(mine) - np.mean(values))
        assert level(result, key, choice).n == 27
    assert result.best == {"activation_1": ["selu"]} | {f"activation_{k}": ["relu"] for k in (2, 3, 4)}
    assert result.deviation == pytest.approx(0.01, rel=0.3)
    assert all(test.p < 1e-6 for test in result.main)
    assert all(test.p > 0.05 for test in result.pairs)


def test_layers_that_act_together_are_told() -> None:
    result = fitted(*grid_of_four(interaction=0.06))
    assert result.pairs[0].term == ("activation_2", "activation_3")
    assert result.pairs[0].p < 1e-4
    assert all(test.p > 0.05 for test in result.pairs[1:])
    cells = result.cells["activation_2", "activation_3"]
    assert max(cells, key=lambda cell: cells[cell]) == ("elu", "elu")
    for choice in CHOICES:  # what is beyond both choices alone adds up to nothing
        assert sum(cells[choice, other] for other in CHOICES) == pytest.approx(0)
    # .06 in one of nine cells, less the parts that row, column and mean take of it
    assert cells["elu", "elu"] == pytest.approx(0.06 * (1 - 1 / 3) ** 2, abs=0.01)


def test_where_values_were_tried_unequally_often_each_counts_once() -> None:
    # k=b was tried with the good value of l alone: its raw mean is better, its effect is none
    k = ["a"] * 4 + ["b"] * 3
    where = ["good", "bad", "good", "bad", "good", "good", "bad"]
    values = [0.9, 0.5, 0.9, 0.5, 0.9, 0.9, 0.5]
    result = fitted({"k": k, "l": where}, [1] * 7, [v + e for v, e in zip(values, noise(7), strict=True)])
    assert level(result, "k", "a").effect == pytest.approx(0, abs=0.01)
    assert level(result, "l", "good").effect == pytest.approx(0.2, abs=0.01)


def test_pairs_are_left_out_where_the_trainings_are_too_few() -> None:
    result = fitted({"k": ["a", "a", "b", "b"], "l": ["c", "d", "c", "d"]}, [1] * 4, [0.1, 0.2, 0.3, 0.45])
    assert (list(result.pairs), result.df) == ([], 1)
    assert level(result, "k", "b").effect == pytest.approx((0.375 - 0.15) / 2)


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        ({}, []),
        ({"k": ["a", "a"]}, [0.1, 0.2]),  # nothing varies
        ({"k": ["a", "b"]}, [0.1, 0.2]),  # nothing is left for the noise
        ({"k": ["a", "b", "a", "b"], "l": ["c", "d", "c", "d"]}, [0.1, 0.2, 0.3, 0.4]),  # always together
        ({"k": ["a", "a", "b", "b"]}, [0.1, 0.1, 0.3, 0.3]),  # no noise
    ],
)
def test_nothing_is_said_where_nothing_can_be_told(keys: dict[str, list[Any]], values: list[float]) -> None:
    assert effects(keys, [1] * len(values), values) is None


def test_of_a_key_that_matters_all_values_are_best_that_no_test_tells_from_the_first() -> None:
    keys, seeds, values = grid_of_four()
    values = [v + 0.04 * (c == "relu") for v, c in zip(values, keys["activation_1"], strict=True)]  # as good as selu
    result = fitted(keys, seeds, values)
    assert sorted(result.best["activation_1"]) == ["relu", "selu"]
    first, second, third = result.levels["activation_1"]
    assert (first.p_to_best, third.value) == (1.0, "elu")
    assert third.p_to_best < 1e-6
    assert second.p_to_best > 0.05


def test_two_values_are_told_apart_as_the_keys_test_does() -> None:
    result = fitted({"k": ["a"] * 4 + ["b"] * 4}, [1] * 8, [0.1, 0.2, 0.15, 0.18, 0.3, 0.28, 0.31, 0.35])
    assert result.levels["k"][1].p_to_best == pytest.approx(result.main[0].p)


def test_no_training_is_removed_however_far_it_is() -> None:
    keys, seeds, values = grid_of_four()
    broken = [0.1 if i in (7, 44) else v for i, v in enumerate(values)]
    result = fitted(keys, seeds, broken)
    assert result.n == 81
    assert result.best == {}


def test_the_pilot_plant_of_the_textbook() -> None:
    """Montgomery 2017, example 6.2: filtration rate in 16 runs; effects, sums of squares, no replicates."""
    rates = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]
    rows = [row[::-1] for row in itertools.product("-+", repeat=4)]
    result = fitted({name: [row[i] for row in rows] for i, name in enumerate("ABCD")}, [1] * 16, rates)
    effect = {key: 2 * level(result, key, "+").effect for key in "ABCD"}
    assert effect == pytest.approx({"A": 21.625, "B": 3.125, "C": 9.875, "D": 14.625})
    assert 2 * result.cells["A", "C"]["+", "+"] == pytest.approx(-18.125)
    assert 2 * result.cells["A", "D"]["+", "+"] == pytest.approx(16.625)
    # what is left: 14.0625 + 68.0625 + 10.5625 + 27.5625 + 7.5625, the interactions of three and four keys
    assert (result.df, result.deviation**2 * 5) == (5, pytest.approx(127.8125))
    f = {test.term: test.f for test in (*result.main, *result.pairs)}
    assert f["A",] == pytest.approx(1870.5625 / (127.8125 / 5))
    assert f["A", "C"] == pytest.approx(1314.0625 / (127.8125 / 5))
    # Holm over 10 terms: the smallest p-value times 10
    assert result.main[0].p == pytest.approx(10 * stats.f.sf(f["A",], 1, 5))


def test_two_groups_of_unequal_variance_have_the_degrees_of_freedom_of_the_paper() -> None:
    """Imbens and Kolesár 2016, equation 2.6: n0 = 27 and n1 = 3 give 2.5 (their section 2.3)."""
    rng = np.random.default_rng(5)
    few, many = rng.normal(1, 1, 3), rng.normal(0, 1, 27)
    result = fitted({"k": ["a"] * 3 + ["b"] * 27}, [1] * 30, [*few, *many])
    variance = np.var(few, ddof=1) / 3 + np.var(many, ddof=1) / 27
    df = (1 / 3 + 1 / 27) ** 2 / (1 / 3**2 / 2 + 1 / 27**2 / 26)
    assert df == pytest.approx(2.5, abs=0.05)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance) / 2
    assert level(result, "k", "a").half_width == pytest.approx(half)


def test_seeds_that_prefer_other_choices_are_the_error_of_effects() -> None:
    rng = np.random.default_rng(2)
    rows = list(itertools.product("ab", "cd", "ef", range(3)))
    shift = rng.normal(0, 1, (2, 3))
    values = [shift["ab".index(a), seed] + 0.01 * rng.normal() for a, _, _, seed in rows]
    keys = {name: [row[i] for row in rows] for i, name in enumerate("klm")}
    result = fitted(keys, [row[3] for row in rows], values)
    assert result.has_seed_error
    # by hand: the gap of each key in each seed, whose spread has 2 degrees of freedom
    cube = np.array(values).reshape(2, 2, 2, 3)
    gaps = [np.diff(cube.mean(tuple({0, 1, 2} - {axis})), axis=0)[0] for axis in range(3)]
    own, *others = [6 * np.var(gap) / 2 for gap in gaps]
    assert level(result, "k", "a").half_width == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(own / 24), rel=1e-6)
    # the other keys, on which seeds do not differ more, have the mean square that is pooled over all keys
    pooled = (own + sum(others)) / 3
    assert level(result, "l", "c").half_width == pytest.approx(stats.t.ppf(0.975, 6) * np.sqrt(pooled / 24), rel=1e-6)


def test_a_test_of_failures_is_paid_for_in_the_same_family() -> None:
    keys, seeds, values = grid_of_four()
    result = effects(keys, seeds, values, {"activation_1": 0.002})
    assert result is not None
    # four keys have smaller p-values; the test of failures is the fifth of 11
    assert result.failure_p["activation_1"] == pytest.approx(0.002 * 7)


def test_a_key_without_any_effect_spoils_no_other_test() -> None:
    # the sums of k=a and k=b are equal to the last digit: its sum of squares is 0, which rounding may make negative
    values = [0.515, 0.52, 0.53, 0.535, 0.535, 0.53, 0.52, 0.515]
    keys = {"k": list("aabbaabb"), "l": list("abababab"), "m": list("aaaabbbb")}
    result = fitted(keys, [1] * 8, [v + 0.2 * (c == "a") for v, c in zip(values, keys["l"], strict=True)])
    p = {test.term[0]: test.p for test in result.main}
    assert p["l"] < 1e-4
    assert 0 <= p["m"] <= 1
